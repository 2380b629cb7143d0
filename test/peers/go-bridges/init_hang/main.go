package main

import (
	_ "github.com/envoyproxy/envoy/contrib/golang/upstreams/http/tcp/source/go/pkg/upstreams/http/tcp"
)

func init() {
	select {}
}

func main() {}
