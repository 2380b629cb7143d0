package main

import (
	_ "github.com/envoyproxy/envoy/contrib/golang/upstreams/http/tcp/source/go/pkg/upstreams/http/tcp"
	"os"
)

func init() {
	os.Exit(3)
}

func main() {}
