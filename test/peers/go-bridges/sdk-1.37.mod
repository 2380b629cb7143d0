module pontoon.example/peers/go-bridges

go 1.24.6

require (
	github.com/envoyproxy/envoy v1.37.0
	google.golang.org/protobuf v1.36.11
)
