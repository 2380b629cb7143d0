// gcp is a real xDS control plane on go-control-plane (envoyproxy's own library), driven over HTTP.
//
//	PUT    /snapshot               set a node's snapshot (JSON or YAML body, see Body)
//	GET    /snapshot?nodeId=X      what is set now
//	DELETE /snapshot?nodeId=X      clear it
//	PATCH  /resources              linear/mux cache only: {kind, update:[...], delete:[names]}
//	GET    /acks?since=N           every request received (DiscoveryRequest, DeltaDiscoveryRequest)
//	DELETE /acks                   forget them (sequence numbers go on)
//	GET    /responses?since=N      every response sent
//	GET    /streams                streams, open and closed
//	POST   /grpc/stop, /grpc/start drop every stream and the port; listen again (reconnect tests)
//	POST   /streams/kill?id=N      fail that stream at its next request
//	GET    /healthz
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	clusterservice "github.com/envoyproxy/go-control-plane/envoy/service/cluster/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	endpointservice "github.com/envoyproxy/go-control-plane/envoy/service/endpoint/v3"
	extensionservice "github.com/envoyproxy/go-control-plane/envoy/service/extension/v3"
	listenerservice "github.com/envoyproxy/go-control-plane/envoy/service/listener/v3"
	routeservice "github.com/envoyproxy/go-control-plane/envoy/service/route/v3"
	runtimeservice "github.com/envoyproxy/go-control-plane/envoy/service/runtime/v3"
	secretservice "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/config"
	"github.com/envoyproxy/go-control-plane/pkg/server/sotw/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	"pontoon.example/peers/go-control-plane/anyres"
	_ "pontoon.example/peers/go-control-plane/protoall"
)

var kinds = map[string]string{
	"clusters": resource.ClusterType, "endpoints": resource.EndpointType, "listeners": resource.ListenerType,
	"routes": resource.RouteType, "scopedRoutes": resource.ScopedRouteType, "virtualHosts": resource.VirtualHostType,
	"secrets": resource.SecretType, "runtimes": resource.RuntimeType, "extensionConfigs": resource.ExtensionConfigType,
}

// Body is what PUT /snapshot takes.
type Body struct {
	Version   string                       `json:"version"`
	NodeID    string                       `json:"nodeId"`
	Versions  map[string]string            `json:"versions"` // per kind, over version
	Resources map[string][]json.RawMessage `json:"resources"`
	TTLs      map[string]string            `json:"ttls"` // "clusters/name": "2s"
	Strict    bool                         `json:"strict"` // refuse an inconsistent snapshot
}

type event struct {
	Seq           int64             `json:"seq"`
	Time          time.Time         `json:"time"`
	Dir           string            `json:"dir"`  // request, response
	Kind          string            `json:"kind"` // sotw, delta
	Stream        int64             `json:"stream_id"`
	TypeURL       string            `json:"type_url"`
	Version       string            `json:"version_info,omitempty"`
	Nonce         string            `json:"nonce,omitempty"` // response_nonce of a request
	Ack           string            `json:"ack,omitempty"`   // initial, ack, nack, subscribe
	Error         string            `json:"error_detail,omitempty"`
	ErrorCode     int32             `json:"error_code,omitempty"`
	Names         []string          `json:"resource_names,omitempty"`
	Subscribe     []string          `json:"subscribe,omitempty"`
	Unsubscribe   []string          `json:"unsubscribe,omitempty"`
	InitialVers   map[string]string `json:"initial_resource_versions,omitempty"`
	Removed       []string          `json:"removed_resources,omitempty"`
	Node          string            `json:"node_id,omitempty"`
	UserAgent     string            `json:"user_agent,omitempty"`
	NodeFull      json.RawMessage   `json:"node,omitempty"`
	ResourceCount int               `json:"resources,omitempty"`
}

type streamInfo struct {
	ID     int64      `json:"id"`
	Kind   string     `json:"kind"`
	Type   string     `json:"type_url"` // empty: ADS
	Node   string     `json:"node_id"`
	Peer   string     `json:"-"`
	Opened time.Time  `json:"opened"`
	Closed *time.Time `json:"closed,omitempty"`
}

type state struct {
	mu        sync.Mutex
	seq       int64
	reqs      []event
	resps     []event
	streams   map[string]*streamInfo
	order     []string
	kill      map[int64]bool
	capture   string
	bodies    map[string]Body
	snapshot  cachev3.SnapshotCache
	linear    map[string]*cachev3.LinearCache
	mode      string
	xds       serverv3.Server
	newServer func() *grpc.Server
	grpcAddr  string
	srv       *grpc.Server
	noNodeDet bool
}

func (s *state) cacheFor() cachev3.Cache {
	switch s.mode {
	case "snapshot":
		return s.snapshot
	case "linear", "mux":
		caches := map[string]cachev3.Cache{}
		for _, t := range kinds {
			if s.mode == "linear" || t == resource.EndpointType {
				lc := cachev3.NewLinearCache(t)
				s.linear[t] = lc
				caches[t] = lc
			} else {
				caches[t] = s.snapshot
			}
		}
		return &cachev3.MuxCache{
			Classify:      func(r *cachev3.Request) string { return r.GetTypeUrl() },
			ClassifyDelta: func(r *cachev3.DeltaRequest) string { return r.GetTypeUrl() },
			Caches:        caches,
		}
	}
	log.Fatalf("unknown -cache %q", s.mode)
	return nil
}

func decode(kind string, raw json.RawMessage) (types.Resource, error) {
	t, ok := kinds[kind]
	if !ok {
		return nil, fmt.Errorf("unknown kind %q", kind)
	}
	mt, err := anyres.Default.FindMessageByURL(t)
	if err != nil {
		return nil, err
	}
	m := mt.New().Interface()
	if err := anyres.Unmarshal.Unmarshal(raw, m); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	return m, nil
}

func (s *state) set(ctx context.Context, b Body) error {
	res := map[string][]types.ResourceWithTTL{}
	for kind, raws := range b.Resources {
		t := kinds[kind]
		if t == "" {
			return fmt.Errorf("unknown kind %q", kind)
		}
		res[t] = []types.ResourceWithTTL{}
		for _, raw := range raws {
			m, err := decode(kind, raw)
			if err != nil {
				return err
			}
			r := types.ResourceWithTTL{Resource: m}
			if v, ok := b.TTLs[kind+"/"+cachev3.GetResourceName(m)]; ok {
				d, err := time.ParseDuration(v)
				if err != nil {
					return err
				}
				r.TTL = &d
			}
			res[t] = append(res[t], r)
		}
	}
	for t, lc := range s.linear {
		m := map[string]types.Resource{}
		for _, r := range res[t] {
			m[cachev3.GetResourceName(r.Resource)] = r.Resource
		}
		lc.SetResources(m)
	}
	if s.mode != "linear" {
		snap, err := cachev3.NewSnapshotWithTTLs(b.Version, res)
		if err != nil {
			return err
		}
		for kind, v := range b.Versions {
			idx := cachev3.GetResponseType(kinds[kind])
			if kinds[kind] == "" || int(idx) >= len(snap.Resources) {
				return fmt.Errorf("unknown kind %q", kind)
			}
			snap.Resources[idx].Version = v
		}
		if b.Strict {
			if err := snap.Consistent(); err != nil {
				return err
			}
		}
		if err := s.snapshot.SetSnapshot(ctx, b.NodeID, snap); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.bodies[b.NodeID] = b
	s.mu.Unlock()
	return nil
}

func (s *state) add(e event) event {
	s.seq++
	e.Seq, e.Time = s.seq, time.Now()
	if e.Dir == "request" {
		s.reqs = append(s.reqs, e)
	} else {
		s.resps = append(s.resps, e)
	}
	j, _ := json.Marshal(e)
	log.Printf("%s", j)
	return e
}

func (s *state) save(e event, m proto.Message) {
	if s.capture == "" {
		return
	}
	short := e.TypeURL[strings.LastIndex(e.TypeURL, ".")+1:]
	base := filepath.Join(s.capture, fmt.Sprintf("%04d-%s-s%d-%s-%s", e.Seq, e.Kind, e.Stream, e.Dir, short))
	b, _ := proto.Marshal(m)
	_ = os.WriteFile(base+".pb", b, 0o644)
	j, err := anyres.Marshal.Marshal(m)
	if err != nil {
		j = []byte(err.Error())
	}
	_ = os.WriteFile(base+".json", j, 0o644)
}

func nodeJSON(n *core.Node) (json.RawMessage, string) {
	if n == nil {
		return nil, ""
	}
	c := proto.Clone(n).(*core.Node)
	c.Extensions = nil // Envoy's long list
	j, err := anyres.MarshalCompact.Marshal(c)
	if err != nil {
		return nil, n.GetUserAgentName()
	}
	return j, n.GetUserAgentName()
}

func (s *state) open(kind string, id int64, typ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := kind + strconv.FormatInt(id, 10)
	s.streams[k] = &streamInfo{ID: id, Kind: kind, Type: typ, Opened: time.Now()}
	s.order = append(s.order, k)
}

func (s *state) close(kind string, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if si := s.streams[kind+strconv.FormatInt(id, 10)]; si != nil {
		t := time.Now()
		si.Closed = &t
	}
}

func (s *state) node(kind string, id int64, n *core.Node) string {
	si := s.streams[kind+strconv.FormatInt(id, 10)]
	if si == nil {
		return n.GetId()
	}
	if n.GetId() != "" {
		si.Node = n.GetId()
	}
	return si.Node
}

func (s *state) callbacks() serverv3.Callbacks {
	return serverv3.CallbackFuncs{
		StreamOpenFunc:        func(_ context.Context, id int64, t string) error { s.open("sotw", id, t); return nil },
		StreamClosedFunc:      func(id int64, _ *core.Node) { s.close("sotw", id) },
		DeltaStreamOpenFunc:   func(_ context.Context, id int64, t string) error { s.open("delta", id, t); return nil },
		DeltaStreamClosedFunc: func(id int64, _ *core.Node) { s.close("delta", id) },
		StreamRequestFunc: func(id int64, r *discovery.DiscoveryRequest) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			e := event{Dir: "request", Kind: "sotw", Stream: id, TypeURL: r.GetTypeUrl(), Version: r.GetVersionInfo(), Nonce: r.GetResponseNonce(), Names: r.GetResourceNames(), Node: s.node("sotw", id, r.GetNode())}
			switch {
			case r.GetErrorDetail() != nil:
				e.Ack, e.Error, e.ErrorCode = "nack", r.GetErrorDetail().GetMessage(), r.GetErrorDetail().GetCode()
			case r.GetResponseNonce() != "":
				e.Ack = "ack"
			default:
				e.Ack = "initial"
			}
			e.NodeFull, e.UserAgent = nodeJSON(r.GetNode())
			s.save(s.add(e), r)
			if s.kill[id] {
				delete(s.kill, id)
				return fmt.Errorf("killed by the control API")
			}
			return nil
		},
		StreamResponseFunc: func(_ context.Context, id int64, _ *discovery.DiscoveryRequest, r *discovery.DiscoveryResponse) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.save(s.add(event{Dir: "response", Kind: "sotw", Stream: id, TypeURL: r.GetTypeUrl(), Version: r.GetVersionInfo(), Nonce: r.GetNonce(), ResourceCount: len(r.GetResources())}), r)
		},
		StreamDeltaRequestFunc: func(id int64, r *discovery.DeltaDiscoveryRequest) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			e := event{Dir: "request", Kind: "delta", Stream: id, TypeURL: r.GetTypeUrl(), Nonce: r.GetResponseNonce(), Subscribe: r.GetResourceNamesSubscribe(), Unsubscribe: r.GetResourceNamesUnsubscribe(), InitialVers: r.GetInitialResourceVersions(), Node: s.node("delta", id, r.GetNode())}
			switch {
			case r.GetErrorDetail() != nil:
				e.Ack, e.Error, e.ErrorCode = "nack", r.GetErrorDetail().GetMessage(), r.GetErrorDetail().GetCode()
			case r.GetResponseNonce() != "":
				e.Ack = "ack"
			default:
				e.Ack = "subscribe"
			}
			e.NodeFull, e.UserAgent = nodeJSON(r.GetNode())
			s.save(s.add(e), r)
			if s.kill[id] {
				delete(s.kill, id)
				return fmt.Errorf("killed by the control API")
			}
			return nil
		},
		StreamDeltaResponseFunc: func(id int64, _ *discovery.DeltaDiscoveryRequest, r *discovery.DeltaDiscoveryResponse) {
			s.mu.Lock()
			defer s.mu.Unlock()
			names := []string{}
			for _, x := range r.GetResources() {
				names = append(names, x.GetName())
			}
			s.save(s.add(event{Dir: "response", Kind: "delta", Stream: id, TypeURL: r.GetTypeUrl(), Version: r.GetSystemVersionInfo(), Nonce: r.GetNonce(), ResourceCount: len(r.GetResources()), Names: names, Removed: r.GetRemovedResources()}), r)
		},
	}
}

func (s *state) startGRPC() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.grpcAddr)
	if err != nil {
		return err
	}
	srv := s.newServer()
	s.srv = srv
	s.grpcAddr = l.Addr().String() // port 0: the same port after a stop
	go func() {
		if err := srv.Serve(l); err != nil {
			log.Printf("grpc: %v", err)
		}
	}()
	return nil
}

func (s *state) stopGRPC() {
	s.mu.Lock()
	srv := s.srv
	s.srv = nil
	s.mu.Unlock()
	if srv != nil {
		srv.Stop()
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("content-type", "application/json")
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}

func readBody(r *http.Request, v any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	j, err := yaml.YAMLToJSON(b)
	if err != nil {
		return err
	}
	return json.Unmarshal(j, v)
}

func since(r *http.Request, evs []event) []event {
	n, _ := strconv.ParseInt(r.URL.Query().Get("since"), 10, 64)
	out := []event{}
	for _, e := range evs {
		if e.Seq > n {
			out = append(out, e)
		}
	}
	return out
}

func (s *state) routes() http.Handler {
	m := http.NewServeMux()
	fail := func(w http.ResponseWriter, err error) { http.Error(w, err.Error(), http.StatusBadRequest) }
	m.HandleFunc("PUT /snapshot", func(w http.ResponseWriter, r *http.Request) {
		var b Body
		if err := readBody(r, &b); err != nil {
			fail(w, err)
			return
		}
		// Before the push: an answer to it may be here before the push is done.
		s.mu.Lock()
		seq := s.seq
		s.mu.Unlock()
		if err := s.set(r.Context(), b); err != nil {
			fail(w, err)
			return
		}
		writeJSON(w, map[string]any{"ok": true, "version": b.Version, "nodeId": b.NodeID, "seq": seq})
	})
	m.HandleFunc("GET /snapshot", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		writeJSON(w, s.bodies[r.URL.Query().Get("nodeId")])
	})
	m.HandleFunc("DELETE /snapshot", func(w http.ResponseWriter, r *http.Request) {
		s.snapshot.ClearSnapshot(r.URL.Query().Get("nodeId"))
		writeJSON(w, map[string]bool{"ok": true})
	})
	m.HandleFunc("PATCH /resources", func(w http.ResponseWriter, r *http.Request) {
		var b struct {
			Kind   string            `json:"kind"`
			Update []json.RawMessage `json:"update"`
			Delete []string          `json:"delete"`
		}
		if err := readBody(r, &b); err != nil {
			fail(w, err)
			return
		}
		lc := s.linear[kinds[b.Kind]]
		if lc == nil {
			fail(w, fmt.Errorf("no linear cache for %q (start with -cache linear, or mux for endpoints)", b.Kind))
			return
		}
		up := map[string]types.Resource{}
		for _, raw := range b.Update {
			res, err := decode(b.Kind, raw)
			if err != nil {
				fail(w, err)
				return
			}
			up[cachev3.GetResourceName(res)] = res
		}
		if err := lc.UpdateResources(up, b.Delete); err != nil {
			fail(w, err)
			return
		}
		writeJSON(w, map[string]bool{"ok": true})
	})
	m.HandleFunc("GET /acks", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		writeJSON(w, since(r, s.reqs))
	})
	m.HandleFunc("DELETE /acks", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reqs, s.resps = nil, nil
		writeJSON(w, map[string]int64{"seq": s.seq})
	})
	m.HandleFunc("GET /responses", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		writeJSON(w, since(r, s.resps))
	})
	m.HandleFunc("GET /streams", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		out := []*streamInfo{}
		for _, k := range s.order {
			out = append(out, s.streams[k])
		}
		writeJSON(w, out)
	})
	m.HandleFunc("POST /streams/kill", func(w http.ResponseWriter, r *http.Request) {
		id, _ := strconv.ParseInt(r.URL.Query().Get("id"), 10, 64)
		s.mu.Lock()
		s.kill[id] = true
		s.mu.Unlock()
		writeJSON(w, map[string]bool{"ok": true})
	})
	m.HandleFunc("POST /grpc/stop", func(w http.ResponseWriter, r *http.Request) {
		s.stopGRPC()
		writeJSON(w, map[string]bool{"ok": true})
	})
	m.HandleFunc("POST /grpc/start", func(w http.ResponseWriter, r *http.Request) {
		if err := s.startGRPC(); err != nil {
			fail(w, err)
			return
		}
		writeJSON(w, map[string]bool{"ok": true})
	})
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	return m
}

type constHash string

func (c constHash) ID(*core.Node) string { return string(c) }

type clusterHash struct{}

func (clusterHash) ID(n *core.Node) string { return n.GetCluster() }

func main() {
	listen := flag.String("listen", "127.0.0.1", "address for both ports")
	port := flag.Int("port", 18000, "xDS gRPC port, 0 for any")
	httpPort := flag.Int("http", 18001, "control API port, 0 for any")
	ads := flag.Bool("ads", true, "snapshot cache in ADS mode (a SotW answer waits until the request names all of EDS/RDS/SDS resources)")
	mode := flag.String("cache", "snapshot", "snapshot, linear (one linear cache a type, all nodes alike) or mux (EDS linear, the rest snapshot)")
	hash := flag.String("hash", "id", "snapshot key: id, cluster, or =NAME for one key for every node")
	hb := flag.Duration("heartbeat", 0, "TTL heartbeat interval (snapshot cache)")
	cert := flag.String("cert", "", "server certificate PEM")
	key := flag.String("key", "", "server key PEM")
	ca := flag.String("ca", "", "client CA PEM: require and check a client certificate")
	initial := flag.String("snapshot", "", "snapshot file (JSON or YAML) to begin with")
	capture := flag.String("capture", "", "folder for every message as .pb and .json")
	ordered := flag.Bool("ordered", false, "SotW ADS answers in order (CDS, EDS, LDS, RDS)")
	flag.Parse()

	var nh cachev3.NodeHash = cachev3.IDHash{}
	if *hash == "cluster" {
		nh = clusterHash{}
	} else if strings.HasPrefix(*hash, "=") {
		nh = constHash((*hash)[1:])
	}
	ctx := context.Background()
	s := &state{streams: map[string]*streamInfo{}, kill: map[int64]bool{}, capture: *capture, bodies: map[string]Body{}, linear: map[string]*cachev3.LinearCache{}, mode: *mode}
	if *hb > 0 {
		s.snapshot = cachev3.NewSnapshotCacheWithHeartbeating(ctx, *ads, nh, nil, *hb)
	} else {
		s.snapshot = cachev3.NewSnapshotCache(*ads, nh, nil)
	}
	if *capture != "" {
		if err := os.MkdirAll(*capture, 0o755); err != nil {
			log.Fatal(err)
		}
	}
	var xopts []config.XDSOption
	if *ordered {
		xopts = append(xopts, sotw.WithOrderedADS())
	}
	s.xds = serverv3.NewServer(ctx, s.cacheFor(), s.callbacks(), xopts...)
	opts := []grpc.ServerOption{
		grpc.MaxConcurrentStreams(1000000),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 5 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			log.Fatal(err)
		}
		cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		if *ca != "" {
			pem, err := os.ReadFile(*ca)
			if err != nil {
				log.Fatal(err)
			}
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM(pem) {
				log.Fatalf("no certificate in %s", *ca)
			}
			cfg.ClientCAs, cfg.ClientAuth = pool, tls.RequireAndVerifyClientCert
		}
		opts = append(opts, grpc.Creds(credentials.NewTLS(cfg)))
	}
	s.newServer = func() *grpc.Server {
		g := grpc.NewServer(opts...)
		discovery.RegisterAggregatedDiscoveryServiceServer(g, s.xds)
		clusterservice.RegisterClusterDiscoveryServiceServer(g, s.xds)
		endpointservice.RegisterEndpointDiscoveryServiceServer(g, s.xds)
		listenerservice.RegisterListenerDiscoveryServiceServer(g, s.xds)
		routeservice.RegisterRouteDiscoveryServiceServer(g, s.xds)
		routeservice.RegisterScopedRoutesDiscoveryServiceServer(g, s.xds)
		routeservice.RegisterVirtualHostDiscoveryServiceServer(g, s.xds)
		secretservice.RegisterSecretDiscoveryServiceServer(g, s.xds)
		runtimeservice.RegisterRuntimeDiscoveryServiceServer(g, s.xds)
		extensionservice.RegisterExtensionConfigDiscoveryServiceServer(g, s.xds)
		reflection.Register(g)
		return g
	}
	if *initial != "" {
		raw, err := os.ReadFile(*initial)
		if err != nil {
			log.Fatal(err)
		}
		j, err := yaml.YAMLToJSON(raw)
		if err != nil {
			log.Fatal(err)
		}
		var b Body
		if err := json.Unmarshal(j, &b); err != nil {
			log.Fatal(err)
		}
		if err := s.set(ctx, b); err != nil {
			log.Fatal(err)
		}
	}
	s.grpcAddr = net.JoinHostPort(*listen, strconv.Itoa(*port))
	if err := s.startGRPC(); err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(*listen, strconv.Itoa(*httpPort)))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("xDS on %s, control API on %s, cache %s", s.grpcAddr, l.Addr(), *mode)
	log.Fatal(http.Serve(l, s.routes()))
}
