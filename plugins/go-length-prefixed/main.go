// A bridge to servers that speak frames, as a Go library for Envoy and for Pontoon: a length, then the payload. The request's body becomes one frame, and the payload
// of the frame that comes back is the response's body. README.md describes the configuration.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	xds "github.com/cncf/xds/go/xds/type/v3"
	"github.com/envoyproxy/envoy/contrib/golang/common/go/api"
	"github.com/envoyproxy/envoy/contrib/golang/upstreams/http/tcp/source/go/pkg/upstreams/http/tcp"
	"google.golang.org/protobuf/types/known/anypb"
)

func init() {
	// Next to nothing outlives a request, so by Go's default its collector would run for every 4 MiB that pass.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	tcp.RegisterHttpTcpBridgeFactoryAndConfigParser("length_prefixed", newBridge, parser{})
}

func main() {}

// framing says how frames look.
type framing struct {
	lengthSize int
	order      binary.ByteOrder
	maxPayload uint64
}

type parser struct{}

// Parse reads the plugin_config: a TypedStruct, as is usual for Envoy's Go plugins.
func (parser) Parse(config *anypb.Any) (interface{}, error) {
	typed := &xds.TypedStruct{}
	if config.GetTypeUrl() != "" {
		if err := config.UnmarshalTo(typed); err != nil {
			return nil, err
		}
	}
	f := &framing{lengthSize: 4, order: binary.BigEndian, maxPayload: 16 << 20}
	for name, value := range typed.GetValue().AsMap() {
		if err := f.set(name, value); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if most := uint64(1)<<(8*f.lengthSize) - 1; f.lengthSize < 8 && f.maxPayload > most {
		f.maxPayload = most
	}
	return f, nil
}

func (f *framing) set(name string, value any) error {
	switch name {
	case "length_size":
		size, ok := value.(float64)
		if !ok || size != 1 && size != 2 && size != 4 && size != 8 {
			return fmt.Errorf("must be 1, 2, 4 or 8, not %v", value)
		}
		f.lengthSize = int(size)
	case "endianness":
		switch value {
		case "big":
			f.order = binary.BigEndian
		case "little":
			f.order = binary.LittleEndian
		default:
			return fmt.Errorf("must be big or little, not %v", value)
		}
	case "max_payload_size":
		size, ok := value.(float64)
		if !ok || size < 0 || size > 1<<31-1 || size != float64(uint64(size)) {
			return fmt.Errorf("must be a whole number from 0 to %d, not %v", 1<<31-1, value)
		}
		f.maxPayload = uint64(size)
	default:
		return fmt.Errorf("unknown field; known are length_size, endianness and max_payload_size")
	}
	return nil
}

func (f *framing) header(length uint64) []byte {
	header := make([]byte, 8)
	switch f.lengthSize {
	case 1:
		header[0] = byte(length)
	case 2:
		f.order.PutUint16(header, uint16(length))
	case 4:
		f.order.PutUint32(header, uint32(length))
	case 8:
		f.order.PutUint64(header, length)
	}
	return header[:f.lengthSize]
}

func (f *framing) length(header []byte) uint64 {
	switch f.lengthSize {
	case 1:
		return uint64(header[0])
	case 2:
		return uint64(f.order.Uint16(header))
	case 4:
		return uint64(f.order.Uint32(header))
	default:
		return f.order.Uint64(header)
	}
}

// wholeUpTo is the largest payload of an answer that is passed on whole, in bytes; larger ones are streamed.
const wholeUpTo = 65536

// bridge never asks for the bytes of a body that it only passes on: Bytes copies all that is in a buffer, while Len, Prepend and Drain copy none of it.
type bridge struct {
	api.PassThroughHttpTcpBridge
	framing   *framing
	callbacks api.HttpTcpBridgeCallbackHandler
	headers   api.RequestHeaderMap
	// The request's frame has begun.
	streaming bool
	// What has come of a request body whose length is not known.
	gathered []byte
	// The length of the answer's payload is known.
	announced bool
	// Bytes of that payload that are still to come.
	remaining uint64
	// The answer's header was passed.
	answering bool
}

func newBridge(config interface{}, callbacks api.HttpTcpBridgeCallbackHandler) api.HttpTcpBridge {
	return &bridge{framing: config.(*framing), callbacks: callbacks}
}

func (b *bridge) EncodeHeaders(headers api.RequestHeaderMap, dataForSet api.BufferInstance, endOfStream bool) api.HttpTcpBridgeStatus {
	if endOfStream {
		_ = dataForSet.Set(b.framing.header(0))
	}
	b.headers = headers
	return api.HttpTcpBridgeContinue
}

func (b *bridge) EncodeData(buffer api.BufferInstance, endOfStream bool) api.HttpTcpBridgeStatus {
	if b.streaming {
		return api.HttpTcpBridgeContinue
	}
	length := uint64(len(b.gathered) + buffer.Len())
	known := endOfStream
	if !endOfStream && b.gathered == nil {
		// The HTTP codec sees to it that the body is as long as this says.
		text, _ := b.headers.Get("content-length")
		if announced, err := strconv.ParseUint(text, 10, 63); err == nil {
			length, known = announced, true
		}
	}
	if length > b.framing.maxPayload {
		// A bridge can't choose the status of what it answers by itself.
		_ = buffer.SetString(fmt.Sprintf("the request body is larger than a frame's payload may be (%d bytes)\n", b.framing.maxPayload))
		return api.HttpTcpBridgeEndStream
	}
	if !known {
		// StopAndBuffer is no way here: Envoy would lose this piece.
		b.gathered = append(b.gathered, buffer.Bytes()...)
		buffer.Reset()
		return api.HttpTcpBridgeContinue
	}
	b.streaming = true
	if len(b.gathered) > 0 {
		_ = buffer.Prepend(b.gathered)
		b.gathered = nil
	}
	_ = buffer.Prepend(b.framing.header(length))
	return api.HttpTcpBridgeContinue
}

func (b *bridge) OnUpstreamData(headers api.ResponseHeaderMap, buffer api.BufferInstance, endOfStream bool) api.HttpTcpBridgeStatus {
	if !b.answering {
		if whole := b.readHeader(buffer); !whole && endOfStream {
			return badGateway(headers, buffer, "the server closed the connection in the middle of a frame\n")
		} else if b.announced && b.remaining > b.framing.maxPayload {
			return badGateway(headers, buffer, fmt.Sprintf("the server announced a payload of %d bytes; allowed are %d\n", b.remaining, b.framing.maxPayload))
		} else if !whole && (!b.announced || b.remaining <= wholeUpTo) {
			return api.HttpTcpBridgeStopAndBuffer
		}
		buffer.Drain(b.framing.lengthSize)
		headers.Set("content-length", strconv.FormatUint(b.remaining, 10))
		b.answering = true
	}
	if uint64(buffer.Len()) > b.remaining {
		// Bytes that nobody asked for: the connection is out of step, and must not serve another request.
		_ = buffer.Set(buffer.Bytes()[:b.remaining])
		b.callbacks.SetSelfHalfCloseForUpstreamConn(true)
	}
	b.remaining -= uint64(buffer.Len())
	if b.remaining == 0 || endOfStream {
		return api.HttpTcpBridgeEndStream
	}
	return api.HttpTcpBridgeContinue
}

// readHeader reads the length, once, and says whether the whole frame is in the buffer.
func (b *bridge) readHeader(buffer api.BufferInstance) bool {
	size := b.framing.lengthSize
	if buffer.Len() < size {
		return false
	}
	if !b.announced {
		b.remaining = b.framing.length(buffer.Bytes())
		b.announced = true
	}
	return uint64(buffer.Len()-size) >= b.remaining
}

func badGateway(headers api.ResponseHeaderMap, buffer api.BufferInstance, text string) api.HttpTcpBridgeStatus {
	headers.Set(":status", "502")
	_ = buffer.SetString(text)
	return api.HttpTcpBridgeEndStream
}
