// scripted is an xDS server that says only what it is told: a gRPC server and a protobuf encoder in Go, without go-control-plane's
// own caches, for messages that no real control plane can be brought to send.
//
// Commands come as lines of JSON on stdin, events go as lines of JSON to stdout. Servers and streams are numbered by who asks, and
// in the order in which they open. It ends with its stdin.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

type anyJSON struct {
	TypeURL string `json:"type_url"`
	Value   string `json:"value"` // base64
}

type resourceJSON struct {
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Resource *anyJSON `json:"resource"`
	TTL      *struct {
		Seconds int64 `json:"seconds"`
		Nanos   int32 `json:"nanos"`
	} `json:"ttl"`
}

type command struct {
	Op     string `json:"op"` // listen, close, send, end
	Server int    `json:"server"`
	Port   int    `json:"port"`
	Stream int    `json:"stream"`
	// send: bytes as they are, or a response
	Raw       *string        `json:"raw"`
	Version   string         `json:"version"`
	TypeURL   string         `json:"type_url"`
	Nonce     string         `json:"nonce"`
	Anys      []anyJSON      `json:"anys"`
	Resources []resourceJSON `json:"resources"`
	Removed   []string       `json:"removed"`
	// end
	Code    uint32 `json:"code"`
	Details string `json:"details"`
}

type stream struct {
	delta bool
	queue chan item
}

// item is a message, or how the stream ends.
type item struct {
	bytes []byte
	end   bool
	err   error
}

// raw lets whole messages through as bytes: what is no message can be sent, too.
type raw struct{}

func (raw) Name() string { return "proto" }
func (raw) Marshal(v any) ([]byte, error) {
	return *(v.(*[]byte)), nil
}
func (raw) Unmarshal(data []byte, v any) error {
	*(v.(*[]byte)) = append([]byte(nil), data...)
	return nil
}

type program struct {
	mu      sync.Mutex
	out     *bufio.Writer
	servers map[int]*grpc.Server
	streams map[int]*stream
	last    int
}

func (p *program) tell(event map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	_, _ = p.out.Write(append(line, '\n'))
	_ = p.out.Flush()
}

func (p *program) handle(server int) grpc.StreamHandler {
	return func(_ any, call grpc.ServerStream) error {
		method, _ := grpc.MethodFromServerStream(call)
		s := &stream{delta: strings.Contains(method, "/Delta"), queue: make(chan item, 100_000)}
		p.mu.Lock()
		p.last++
		id := p.last
		p.streams[id] = s
		p.mu.Unlock()
		p.tell(map[string]any{"server": server, "stream": id, "opened": method})
		defer p.tell(map[string]any{"stream": id, "closed": true})
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for {
				var bytes []byte
				if call.RecvMsg(&bytes) != nil {
					return
				}
				event, err := request(s.delta, bytes)
				if err != nil {
					panic(err)
				}
				p.tell(map[string]any{"stream": id, "request": event})
			}
		}()
		for {
			select {
			case next := <-s.queue:
				if next.end {
					return next.err
				}
				if call.SendMsg(&next.bytes) != nil {
					return nil
				}
				p.tell(map[string]any{"stream": id, "sent": true})
			case <-gone:
				return nil
			}
		}
	}
}

func request(delta bool, bytes []byte) (map[string]any, error) {
	if delta {
		r := &discovery.DeltaDiscoveryRequest{}
		if err := proto.Unmarshal(bytes, r); err != nil {
			return nil, err
		}
		return map[string]any{
			"node": nodeOf(r.GetNode()), "type_url": r.GetTypeUrl(), "response_nonce": r.GetResponseNonce(),
			"error_detail":               errorOf(r.GetErrorDetail()),
			"resource_names_subscribe":   list(r.GetResourceNamesSubscribe()),
			"resource_names_unsubscribe": list(r.GetResourceNamesUnsubscribe()),
			"initial_resource_versions":  versions(r.GetInitialResourceVersions()),
		}, nil
	}
	r := &discovery.DiscoveryRequest{}
	if err := proto.Unmarshal(bytes, r); err != nil {
		return nil, err
	}
	return map[string]any{
		"node": nodeOf(r.GetNode()), "type_url": r.GetTypeUrl(), "response_nonce": r.GetResponseNonce(),
		"error_detail": errorOf(r.GetErrorDetail()), "version_info": r.GetVersionInfo(), "resource_names": list(r.GetResourceNames()),
	}, nil
}

func nodeOf(node *core.Node) any {
	if node == nil {
		return nil
	}
	return map[string]any{
		"id": node.GetId(), "cluster": node.GetCluster(), "user_agent_name": node.GetUserAgentName(),
		"client_features": list(node.GetClientFeatures()),
	}
}

func errorOf(detail *rpc.Status) any {
	if detail == nil {
		return nil
	}
	return map[string]any{"code": detail.GetCode(), "message": detail.GetMessage()}
}

func versions(held map[string]string) map[string]string {
	if held == nil {
		return map[string]string{}
	}
	return held
}

func list(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

func anyOf(a anyJSON) *anypb.Any {
	value, err := base64.StdEncoding.DecodeString(a.Value)
	if err != nil {
		panic(err)
	}
	return &anypb.Any{TypeUrl: a.TypeURL, Value: value}
}

func response(delta bool, c command) []byte {
	if c.Raw != nil {
		bytes, err := base64.StdEncoding.DecodeString(*c.Raw)
		if err != nil {
			panic(err)
		}
		return bytes
	}
	var message proto.Message
	if delta {
		r := &discovery.DeltaDiscoveryResponse{SystemVersionInfo: c.Version, TypeUrl: c.TypeURL, Nonce: c.Nonce, RemovedResources: c.Removed}
		for _, each := range c.Resources {
			wrapped := &discovery.Resource{Name: each.Name, Version: each.Version}
			if each.Resource != nil {
				wrapped.Resource = anyOf(*each.Resource)
			}
			if each.TTL != nil {
				wrapped.Ttl = &durationpb.Duration{Seconds: each.TTL.Seconds, Nanos: each.TTL.Nanos}
			}
			r.Resources = append(r.Resources, wrapped)
		}
		message = r
	} else {
		r := &discovery.DiscoveryResponse{VersionInfo: c.Version, TypeUrl: c.TypeURL, Nonce: c.Nonce}
		for _, each := range c.Anys {
			r.Resources = append(r.Resources, anyOf(each))
		}
		message = r
	}
	bytes, err := proto.Marshal(message)
	if err != nil {
		// Strings that are no UTF-8, for one: the caller sends them as bytes.
		panic(err)
	}
	return bytes
}

func (p *program) run(c command) error {
	p.mu.Lock()
	s, server := p.streams[c.Stream], p.servers[c.Server]
	p.mu.Unlock()
	switch c.Op {
	case "listen":
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", c.Port))
		if err != nil {
			return err
		}
		g := grpc.NewServer(
			grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(p.handle(c.Server)),
			grpc.MaxRecvMsgSize(1<<30), grpc.MaxSendMsgSize(1<<30),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 1, PermitWithoutStream: true}),
		)
		p.mu.Lock()
		p.servers[c.Server] = g
		p.mu.Unlock()
		go func() { _ = g.Serve(l) }()
		p.tell(map[string]any{"server": c.Server, "port": l.Addr().(*net.TCPAddr).Port})
	case "close":
		if server != nil {
			server.Stop()
		}
	case "send":
		if s != nil {
			s.queue <- item{bytes: response(s.delta, c)}
		}
	case "end":
		if s == nil {
			return nil
		}
		var err error
		if c.Code != 0 {
			err = status.Error(codes.Code(c.Code), c.Details)
		}
		s.queue <- item{end: true, err: err}
	default:
		return fmt.Errorf("unknown op %q", c.Op)
	}
	return nil
}

func main() {
	p := &program{out: bufio.NewWriter(os.Stdout), servers: map[int]*grpc.Server{}, streams: map[int]*stream{}}
	in := json.NewDecoder(bufio.NewReaderSize(os.Stdin, 1<<20))
	for {
		var c command
		if err := in.Decode(&c); err == io.EOF {
			return
		} else if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := p.run(c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
