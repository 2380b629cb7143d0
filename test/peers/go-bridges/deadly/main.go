// Plugins that end or block the process that they run in, and some that bring it close to that. All but those of the factory serve an exchange as it should be
// (they answer "alive") unless the request has the header x-die.
package main

import (
	"os"
	"runtime"
	"time"

	"github.com/envoyproxy/envoy/contrib/golang/common/go/api"
	"github.com/envoyproxy/envoy/contrib/golang/upstreams/http/tcp/source/go/pkg/upstreams/http/tcp"
)

type deadly struct {
	api.PassThroughHttpTcpBridge
	die func()
}

func (d *deadly) EncodeHeaders(headers api.RequestHeaderMap, data api.BufferInstance, _ bool) api.HttpTcpBridgeStatus {
	if _, told := headers.Get("x-die"); told {
		d.die()
	}
	_ = data.SetString("alive")
	return api.HttpTcpBridgeEndStream
}

func plugin(name string, create func() api.HttpTcpBridge) {
	tcp.RegisterHttpTcpBridgeFactoryAndConfigParser(name, func(interface{}, api.HttpTcpBridgeCallbackHandler) api.HttpTcpBridge {
		return create()
	}, tcp.NullParser)
}

func dying(name string, die func()) {
	plugin(name, func() api.HttpTcpBridge { return &deadly{die: die} })
}

func init() {
	plugin("panic_in_factory", func() api.HttpTcpBridge { panic("the factory had enough") })
	plugin("exit_in_factory", func() api.HttpTcpBridge {
		os.Exit(4)
		return nil
	})
	dying("exit", func() { os.Exit(5) })
	dying("endless_loop", func() {
		for {
		}
	})
	// Blocked for ever, without using the processor.
	dying("blocked", func() { time.Sleep(24 * time.Hour) })
	dying("panic_in_goroutine", func() {
		go func() { panic("a goroutine had enough") }()
		time.Sleep(time.Second)
	})
	// The same after the call has returned: nothing of the plugin is on the stack.
	dying("panic_later", func() {
		go func() {
			time.Sleep(50 * time.Millisecond)
			panic("a goroutine had enough, later")
		}()
	})
	// Go ends the process by itself, and nothing recovers it: fatal error: concurrent map writes.
	dying("fatal_error", func() {
		shared := map[int]int{}
		for range 4 {
			go func() {
				for i := 0; ; i++ {
					shared[i%100] = i
				}
			}()
		}
		time.Sleep(10 * time.Second)
	})
	dying("stack_overflow", func() { overflow(0) })
	// For a worker's limits: memory that is held for as long as the process lives.
	dying("memory", func() {
		block := make([]byte, 256<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		held = append(held, block)
		runtime.KeepAlive(block)
	})
}

var held [][]byte

// Go's stacks end at 1 GB, with fatal error: stack overflow.
func overflow(depth int) int {
	return overflow(depth+1) + 1
}

func main() {}
