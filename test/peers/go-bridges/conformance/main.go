// The behaviours that Envoy tests its bridge with, and some beyond, as one library of small plugins.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"

	xds "github.com/envoyproxy/envoy/contrib/golang/common/go/api"
	"github.com/envoyproxy/envoy/contrib/golang/upstreams/http/tcp/source/go/pkg/upstreams/http/tcp"
	"google.golang.org/protobuf/types/known/anypb"
)

// Short names for the SDK's.
type (
	status    = xds.HttpTcpBridgeStatus
	callbacks = xds.HttpTcpBridgeCallbackHandler
	buffer    = xds.BufferInstance
	request   = xds.RequestHeaderMap
	response  = xds.ResponseHeaderMap
)

const (
	proceed = xds.HttpTcpBridgeContinue
	keep    = xds.HttpTcpBridgeStopAndBuffer
	end     = xds.HttpTcpBridgeEndStream
)

// bridge is a bridge made of functions; a missing one passes through.
type bridge struct {
	xds.PassThroughHttpTcpBridge
	encodeHeaders  func(headers request, data buffer, endOfStream bool) status
	encodeData     func(data buffer, endOfStream bool) status
	onUpstreamData func(headers response, data buffer, endOfStream bool) status
	onDestroy      func()
}

func (b *bridge) EncodeHeaders(headers request, data buffer, endOfStream bool) status {
	if b.encodeHeaders == nil {
		return proceed
	}
	return b.encodeHeaders(headers, data, endOfStream)
}

func (b *bridge) EncodeData(data buffer, endOfStream bool) status {
	if b.encodeData == nil {
		return proceed
	}
	return b.encodeData(data, endOfStream)
}

func (b *bridge) OnUpstreamData(headers response, data buffer, endOfStream bool) status {
	if b.onUpstreamData == nil {
		return proceed
	}
	return b.onUpstreamData(headers, data, endOfStream)
}

func (b *bridge) OnDestroy() {
	if b.onDestroy != nil {
		b.onDestroy()
	}
}

func register(name string, parser xds.HttpTcpBridgeConfigParser, create func(config any, callbacks callbacks) *bridge) {
	tcp.RegisterHttpTcpBridgeFactoryAndConfigParser(name, func(config interface{}, callbacks callbacks) xds.HttpTcpBridge {
		return create(config, callbacks)
	}, parser)
}

func plugin(name string, create func(callbacks callbacks) *bridge) {
	register(name, tcp.NullParser, func(_ any, callbacks callbacks) *bridge { return create(callbacks) })
}

type parser func(config *anypb.Any) (interface{}, error)

func (p parser) Parse(config *anypb.Any) (interface{}, error) { return p(config) }

func init() {
	plugin("streaming", func(callbacks) *bridge {
		first := true
		return &bridge{
			encodeData: func(data buffer, _ bool) status {
				_ = data.PrependString("streaming-http-to-tcp:")
				return proceed
			},
			onUpstreamData: func(_ response, data buffer, _ bool) status {
				if first {
					_ = data.PrependString("streaming-tcp-to-http:")
				}
				first = false
				return proceed
			},
		}
	})
	plugin("buffered", func(callbacks) *bridge {
		return &bridge{
			encodeHeaders: func(request, buffer, bool) status { return keep },
			encodeData: func(data buffer, _ bool) status {
				_ = data.PrependString("buffered-http-to-tcp:")
				return proceed
			},
			onUpstreamData: func(_ response, data buffer, _ bool) status {
				if !bytes.HasSuffix(data.Bytes(), []byte("end")) {
					return keep
				}
				_ = data.PrependString("buffered-tcp-to-http:")
				return end
			},
		}
	})
	plugin("add_data", func(callbacks) *bridge {
		return &bridge{encodeHeaders: func(headers request, data buffer, _ bool) status {
			value, _ := headers.Get("data-to-upstream")
			_ = data.SetString(value)
			return proceed
		}}
	})
	plugin("local_reply", func(callbacks) *bridge {
		return &bridge{
			encodeHeaders: func(_ request, data buffer, endOfStream bool) status {
				if !endOfStream {
					return proceed
				}
				_ = data.SetString("local_reply-http-to-tcp-encode_headers")
				return end
			},
			encodeData: func(data buffer, _ bool) status {
				_ = data.SetString("local_reply-http-to-tcp-encode_data")
				return end
			},
		}
	})
	plugin("header_op", func(callbacks) *bridge {
		return &bridge{
			encodeHeaders: func(headers request, data buffer, _ bool) status {
				_ = data.SetString("header_op-http-to-tcp-encode_headers-" + headers.Host())
				return proceed
			},
			onUpstreamData: func(headers response, _ buffer, _ bool) status {
				headers.Set(":status", "202")
				headers.Set("from-tcp", "a")
				headers.Add("from-tcp", "b")
				headers.Set("gone", "x")
				headers.Del("gone")
				return proceed
			},
		}
	})
	plugin("property", func(callbacks callbacks) *bridge {
		return &bridge{encodeHeaders: func(_ request, data buffer, _ bool) status {
			_ = data.SetString("property-http-to-tcp-encode_headers-" + callbacks.GetRouteName() + "-" + callbacks.GetVirtualClusterName())
			return end
		}}
	})
	plugin("panic", func(callbacks) *bridge {
		panicAtEnd := func(endOfStream bool) status {
			if endOfStream {
				panic("panic")
			}
			return proceed
		}
		return &bridge{
			encodeHeaders:  func(_ request, _ buffer, endOfStream bool) status { return panicAtEnd(endOfStream) },
			encodeData:     func(_ buffer, endOfStream bool) status { return panicAtEnd(endOfStream) },
			onUpstreamData: func(response, buffer, bool) status { panic("panic") },
		}
	})
	plugin("self_half_close", func(callbacks callbacks) *bridge {
		return &bridge{encodeHeaders: func(request, buffer, bool) status {
			callbacks.SetSelfHalfCloseForUpstreamConn(true)
			return proceed
		}}
	})

	// Beyond Envoy's.
	plugin("headers", func(callbacks) *bridge {
		return &bridge{encodeHeaders: func(headers request, data buffer, _ bool) status {
			for _, name := range strings.Split(":method :path :scheme :authority x-two x-empty x-byte", " ") {
				_, _ = fmt.Fprintf(data.(interface{ Write([]byte) (int, error) }), "%s=%q\n", name, headers.Values(name))
			}
			return end
		}}
	})
	plugin("buffer_ops", func(callbacks) *bridge {
		return &bridge{encodeData: func(data buffer, _ bool) status {
			data.Drain(2)
			_ = data.AppendString("-tail")
			_ = data.PrependString("head-")
			_ = data.WriteByte('!')
			seen := data.String()
			_ = data.Prepend([]byte("0"))
			data.Drain(3)
			_, _ = data.WriteString("|" + seen + "|" + data.String() + fmt.Sprintf("|%d", data.Len()))
			return end
		}}
	})
	// The body is a list of operations, with the size and how often: what comes of them must be what a slice comes to.
	plugin("buffer_script", func(callbacks) *bridge {
		return &bridge{encodeData: func(data buffer, _ bool) status {
			model := []byte(data.String())
			for i, operation := range strings.Fields(strings.TrimRight(string(model), ".")) {
				var kind byte
				var size, times int
				_, _ = fmt.Sscanf(operation, "%c%d*%d", &kind, &size, &times)
				for range times {
					bytes := []byte(strings.Repeat(string(rune('a'+i%26)), size))
					switch kind {
					case 's':
						_, model = data.Set(bytes), bytes
					case 'a':
						_, model = data.Append(bytes), append(model, bytes...)
					case 'p':
						_, model = data.Prepend(bytes), append(bytes, model...)
					case 'd':
						data.Drain(size)
						model = model[min(size, len(model)):]
					}
				}
				if data.Len() != len(model) || data.String() != string(model) {
					_ = data.SetString("wrong after " + operation)
					return end
				}
			}
			return end
		}}
	})
	plugin("response_parts", func(callbacks) *bridge {
		calls := 0
		return &bridge{onUpstreamData: func(headers response, data buffer, _ bool) status {
			calls++
			switch calls {
			case 1:
				headers.Set(":status", "201")
				headers.Set("x-kept", "one")
				return keep
			case 2:
				value, _ := headers.Get("x-kept")
				status, _ := headers.Status()
				headers.Add("x-seen", fmt.Sprintf("%s,%d", value, status))
				return proceed
			}
			headers.Set("x-late", "too late")
			return proceed
		}}
	})
	plugin("bad_header", func(callbacks) *bridge {
		return &bridge{onUpstreamData: func(headers response, _ buffer, _ bool) status {
			headers.Set("x-bad", "a\r\nb")
			return proceed
		}}
	})
	plugin("panic_after_status", func(callbacks) *bridge {
		return &bridge{onUpstreamData: func(headers response, _ buffer, _ bool) status {
			headers.Set(":status", "418")
			panic("after the status")
		}}
	})
	plugin("panic_in_destroy", func(callbacks) *bridge {
		return &bridge{
			encodeHeaders: func(_ request, data buffer, _ bool) status {
				_ = data.SetString("answer")
				return end
			},
			onDestroy: func() { panic("in OnDestroy") },
		}
	})
	plugin("echo", func(callbacks) *bridge {
		return &bridge{
			encodeHeaders: func(request, buffer, bool) status { return keep },
			encodeData: func(data buffer, _ bool) status {
				_ = data.Set(append([]byte(nil), data.Bytes()...))
				return proceed
			},
			onUpstreamData: func(headers response, data buffer, endOfStream bool) status {
				if !endOfStream {
					return keep
				}
				_ = data.Set(append([]byte(nil), data.Bytes()...))
				return end
			},
		}
	})
	plugin("stop_at_end", func(callbacks) *bridge {
		return &bridge{encodeData: func(_ buffer, endOfStream bool) status { return keep }}
	})
	plugin("wrong_status", func(callbacks) *bridge {
		return &bridge{encodeHeaders: func(request, buffer, bool) status { return 7 }}
	})
	plugin("big", func(callbacks) *bridge {
		return &bridge{encodeHeaders: func(_ request, data buffer, _ bool) status {
			_ = data.Set(bytes.Repeat([]byte{'x'}, 1<<30))
			return end
		}}
	})
	plugin("logs", func(callbacks) *bridge {
		return &bridge{encodeHeaders: func(_ request, _ buffer, _ bool) status {
			xds.LogInfo("an info line")
			xds.LogWarn("a warning")
			return end
		}}
	})
	// memory tells what Go's heap holds, and how many goroutines there are.
	plugin("memory", func(callbacks) *bridge {
		return &bridge{encodeHeaders: func(_ request, data buffer, _ bool) status {
			var memory runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&memory)
			_ = data.SetString(fmt.Sprintf("%d %d", memory.HeapObjects, runtime.NumGoroutine()))
			return end
		}}
	})
	// bench touches everything once; see bench/go-call.ts.
	plugin("bench", func(callbacks) *bridge {
		return &bridge{
			encodeHeaders: func(headers request, data buffer, _ bool) status {
				_ = data.SetString(headers.Host())
				return keep
			},
			encodeData: func(data buffer, _ bool) status {
				_ = data.Set(data.Bytes())
				return proceed
			},
			onUpstreamData: func(headers response, data buffer, _ bool) status {
				headers.Set("x-bench", "yes")
				_ = data.Set(data.Bytes())
				return end
			},
		}
	})
	// scripted does what the request's headers say: x-headers, x-data and x-upstream are lists of answers, the last one for all further calls. The same in
	// TypeScript is in test/bridge/runtimes.test.ts.
	plugin("scripted", func(callbacks callbacks) *bridge {
		answers := map[string][]string{}
		next := func(call string, data buffer, endOfStream bool) status {
			list := answers[call]
			if len(list) > 1 {
				answers[call] = list[1:]
			}
			_ = data.AppendString(fmt.Sprintf("[%s %d %t]", call, data.Len(), endOfStream))
			switch list[0] {
			case "keep":
				return keep
			case "end":
				return end
			case "panic":
				panic("as told")
			}
			return proceed
		}
		return &bridge{
			encodeHeaders: func(headers request, data buffer, endOfStream bool) status {
				for _, call := range []string{"headers", "data", "upstream"} {
					list, _ := headers.Get("x-" + call)
					answers[call] = strings.Split(list, ",")
				}
				if half, _ := headers.Get("x-half-close"); half == "1" {
					callbacks.SetSelfHalfCloseForUpstreamConn(true)
				}
				return next("headers", data, endOfStream)
			},
			encodeData: func(data buffer, endOfStream bool) status { return next("data", data, endOfStream) },
			onUpstreamData: func(headers response, data buffer, endOfStream bool) status {
				return next("upstream", data, endOfStream)
			},
		}
	})
	register("bad_config", parser(func(*anypb.Any) (interface{}, error) { panic("bad configuration") }), func(any, callbacks) *bridge {
		return &bridge{}
	})
	parsing := parser(func(config *anypb.Any) (interface{}, error) {
		switch text := string(config.GetValue()); text {
		case "refuse":
			return nil, errors.New("this is no configuration")
		case "panic":
			panic("Parse had enough")
		case "hang":
			select {}
		default:
			return config.GetTypeUrl() + "=" + text, nil
		}
	})
	register("parsing", parsing, func(config any, _ callbacks) *bridge {
		return &bridge{encodeHeaders: func(_ request, data buffer, _ bool) status {
			_ = data.SetString(config.(string))
			return end
		}}
	})
}

func main() {}
