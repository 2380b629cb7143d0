// Plugins that do what no plugin may: touch their request from goroutines, after the call, without recovering anything.
package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/envoyproxy/envoy/contrib/golang/common/go/api"
	"github.com/envoyproxy/envoy/contrib/golang/upstreams/http/tcp/source/go/pkg/upstreams/http/tcp"
)

type rogue struct {
	api.PassThroughHttpTcpBridge
	callbacks api.HttpTcpBridgeCallbackHandler
	headers   api.RequestHeaderMap
	wait      bool
}

func (r *rogue) touch(headers api.ResponseHeaderMap, data api.BufferInstance) {
	_ = r.callbacks.GetRouteName()
	r.callbacks.SetSelfHalfCloseForUpstreamConn(true)
	_, _ = r.headers.Get("x-test")
	if headers != nil {
		headers.Set("x-rogue", "1")
		headers.Del("x-rogue")
	}
	_ = data.Bytes()
	_ = data.AppendString("rogue")
	data.Drain(1)
	_ = data.SetString("r")
}

func (r *rogue) run(headers api.ResponseHeaderMap, data api.BufferInstance) {
	if r.wait {
		var group sync.WaitGroup
		for range 8 {
			group.Add(1)
			go func() {
				defer group.Done()
				r.touch(headers, data)
			}()
		}
		group.Wait()
		return
	}
	go func() {
		for range 20 {
			r.touch(headers, data)
			time.Sleep(time.Millisecond)
		}
	}()
}

func (r *rogue) EncodeHeaders(headers api.RequestHeaderMap, data api.BufferInstance, _ bool) api.HttpTcpBridgeStatus {
	r.headers = headers
	if !r.wait {
		r.run(nil, data)
	}
	return api.HttpTcpBridgeContinue
}

func (r *rogue) EncodeData(data api.BufferInstance, _ bool) api.HttpTcpBridgeStatus {
	r.run(nil, data)
	if r.wait {
		// The goroutines have left the SDK with a wrong idea of the length.
		_ = data.Bytes()
	}
	return api.HttpTcpBridgeContinue
}

func (r *rogue) OnUpstreamData(headers api.ResponseHeaderMap, data api.BufferInstance, _ bool) api.HttpTcpBridgeStatus {
	r.run(headers, data)
	return api.HttpTcpBridgeEndStream
}

// many starts goroutines that only ask for a name.
type many struct {
	api.PassThroughHttpTcpBridge
	callbacks api.HttpTcpBridgeCallbackHandler
}

func (m *many) EncodeHeaders(api.RequestHeaderMap, api.BufferInstance, bool) api.HttpTcpBridgeStatus {
	for range 1000 {
		go m.callbacks.GetRouteName()
	}
	return api.HttpTcpBridgeEndStream
}

// keeper keeps what belongs to one call, or one exchange, and uses it in another, on the right thread.
type keeper struct {
	api.PassThroughHttpTcpBridge
	callbacks api.HttpTcpBridgeCallbackHandler
	request   api.RequestHeaderMap
	response  api.ResponseHeaderMap
	data      api.BufferInstance
	what      string
	calls     int
}

var firstCallbacks api.HttpTcpBridgeCallbackHandler

func (k *keeper) EncodeHeaders(headers api.RequestHeaderMap, data api.BufferInstance, _ bool) api.HttpTcpBridgeStatus {
	k.request, k.data = headers, data
	if firstCallbacks == nil {
		firstCallbacks = k.callbacks
	}
	return api.HttpTcpBridgeContinue
}

func (k *keeper) EncodeData(data api.BufferInstance, _ bool) api.HttpTcpBridgeStatus {
	what, _ := k.request.Get("x-what")
	k.what = what
	switch what {
	case "buffer":
		_ = k.data.AppendString("x")
	case "callbacks":
		_ = firstCallbacks.GetRouteName()
	}
	return api.HttpTcpBridgeContinue
}

func (k *keeper) OnUpstreamData(headers api.ResponseHeaderMap, data api.BufferInstance, endOfStream bool) api.HttpTcpBridgeStatus {
	k.calls++
	api.LogInfof("call %d", k.calls)
	switch k.calls {
	case 1:
		k.response = headers
	case 2:
		count, length := 100, 100
		if k.what == "small" {
			count, length = 20, 1
		}
		for i := range count {
			headers.Set(fmt.Sprintf("x-%d", i), strings.Repeat("v", length))
		}
	default:
		_ = k.response.GetAllHeaders()
		return api.HttpTcpBridgeEndStream
	}
	return api.HttpTcpBridgeStopAndBuffer
}

func init() {
	tcp.RegisterHttpTcpBridgeFactoryAndConfigParser("keeper", func(_ interface{}, callbacks api.HttpTcpBridgeCallbackHandler) api.HttpTcpBridge {
		return &keeper{callbacks: callbacks}
	}, tcp.NullParser)
	tcp.RegisterHttpTcpBridgeFactoryAndConfigParser("many", func(_ interface{}, callbacks api.HttpTcpBridgeCallbackHandler) api.HttpTcpBridge {
		return &many{callbacks: callbacks}
	}, tcp.NullParser)
	for name, wait := range map[string]bool{"after_return": false, "during_call": true} {
		tcp.RegisterHttpTcpBridgeFactoryAndConfigParser(name, func(_ interface{}, callbacks api.HttpTcpBridgeCallbackHandler) api.HttpTcpBridge {
			return &rogue{callbacks: callbacks, wait: wait}
		}, tcp.NullParser)
	}
}

func main() {}
