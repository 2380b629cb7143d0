// A bridge to servers that speak frames, as a Go library for Envoy and for Pontoon: a length, then the payload. The request's body becomes one frame, and the payload
// of the frame that comes back is the response's body. README.md describes the configuration.
package main

import (
	"encoding/binary"
	"fmt"
	"strconv"

	xds "github.com/cncf/xds/go/xds/type/v3"
	"github.com/envoyproxy/envoy/contrib/golang/common/go/api"
	"github.com/envoyproxy/envoy/contrib/golang/upstreams/http/tcp/source/go/pkg/upstreams/http/tcp"
	"google.golang.org/protobuf/types/known/anypb"
)

func init() {
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

func (f *framing) header(length int) []byte {
	header := make([]byte, 8)
	switch f.lengthSize {
	case 1:
		header[0] = byte(length)
	case 2:
		f.order.PutUint16(header, uint16(length))
	case 4:
		f.order.PutUint32(header, uint32(length))
	case 8:
		f.order.PutUint64(header, uint64(length))
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

type bridge struct {
	api.PassThroughHttpTcpBridge
	framing *framing
}

func newBridge(config interface{}, _ api.HttpTcpBridgeCallbackHandler) api.HttpTcpBridge {
	return &bridge{framing: config.(*framing)}
}

func (b *bridge) EncodeHeaders(_ api.RequestHeaderMap, dataForSet api.BufferInstance, endOfStream bool) api.HttpTcpBridgeStatus {
	if endOfStream {
		_ = dataForSet.Set(b.framing.header(0))
		return api.HttpTcpBridgeContinue
	}
	return api.HttpTcpBridgeStopAndBuffer
}

func (b *bridge) EncodeData(buffer api.BufferInstance, _ bool) api.HttpTcpBridgeStatus {
	if uint64(buffer.Len()) > b.framing.maxPayload {
		// A bridge can't choose the status of what it answers by itself.
		_ = buffer.SetString(fmt.Sprintf("the request body is larger than a frame's payload may be (%d bytes)\n", b.framing.maxPayload))
		return api.HttpTcpBridgeEndStream
	}
	_ = buffer.Prepend(b.framing.header(buffer.Len()))
	return api.HttpTcpBridgeContinue
}

func (b *bridge) OnUpstreamData(headers api.ResponseHeaderMap, buffer api.BufferInstance, endOfStream bool) api.HttpTcpBridgeStatus {
	size := b.framing.lengthSize
	data := buffer.Bytes()
	whole := false
	if len(data) >= size {
		length := b.framing.length(data)
		if length > b.framing.maxPayload {
			return badGateway(headers, buffer, fmt.Sprintf("the server announced a payload of %d bytes; allowed are %d\n", length, b.framing.maxPayload))
		}
		whole = uint64(len(data)-size) >= length
	}
	if whole {
		payload := data[size:][:b.framing.length(data)]
		headers.Set("content-length", strconv.Itoa(len(payload)))
		_ = buffer.Set(payload)
		return api.HttpTcpBridgeEndStream
	}
	if endOfStream {
		return badGateway(headers, buffer, "the server closed the connection in the middle of a frame\n")
	}
	return api.HttpTcpBridgeStopAndBuffer
}

func badGateway(headers api.ResponseHeaderMap, buffer api.BufferInstance, text string) api.HttpTcpBridgeStatus {
	headers.Set(":status", "502")
	_ = buffer.SetString(text)
	return api.HttpTcpBridgeEndStream
}
