module pontoon.example/peers/go-bridges

go 1.24

require (
	github.com/envoyproxy/envoy v1.36.2
	google.golang.org/protobuf v1.36.10
)
