import { type ExtensionSupport, types, words } from './rules.js';

const listenerFilters = 'envoy.extensions.filters.listener';
const networkFilters = 'envoy.extensions.filters.network';
const udpFilters = 'envoy.extensions.filters.udp';
const sockets = 'envoy.extensions.transport_sockets';

export const listenerFilterSupport: ExtensionSupport = {
  point: '`listener_filters` of a listener',
  categories: ['envoy.filters.listener', 'envoy.filters.udp_listener'],
  implemented: [`${listenerFilters}.tls_inspector.v3.TlsInspector`],
  rules: [
    types(
      'active',
      listenerFilters,
      'http_inspector.v3.HttpInspector',
      'what it finds out is used only to match filter chains by application_protocols, which parks the listener',
    ),
    types(
      'parked',
      listenerFilters,
      'proxy_protocol.v3.ProxyProtocol',
      'the PROXY protocol is not read, so clients would have another address',
    ),
    types(
      'parked',
      listenerFilters,
      'original_dst.v3.OriginalDst original_src.v3.OriginalSrc',
      'redirected connections are not taken',
    ),
    types(
      'parked',
      listenerFilters,
      `dynamic_modules.v3.DynamicModuleListenerFilter local_ratelimit.v3.LocalRateLimit
       postgres_inspector.v3alpha.PostgresInspector set_filter_state.v3.Config`,
      'it may decide who connects',
    ),
    types(
      'parked',
      udpFilters,
      `dns_filter.v3.DnsFilterConfig dynamic_modules.v3.DynamicModuleUdpListenerFilter udp_proxy.v3.UdpProxyConfig`,
      'only TCP is served',
    ),
  ],
  others: { treatment: 'parked', reason: 'it may decide who connects' },
  names: words(
    `envoy.listener.http_inspector envoy.listener.original_dst envoy.listener.original_src envoy.listener.proxy_protocol
     envoy.listener.tls_inspector`,
  ),
};

const decidesWho = 'it may decide who connects and where connections go';

export const networkFilterSupport: ExtensionSupport = {
  point: '`filters` of a filter chain',
  categories: ['envoy.filters.network'],
  implemented: [`${networkFilters}.http_connection_manager.v3.HttpConnectionManager`],
  rules: [
    {
      types: ['envoy.tcp.metadataexchange.config.MetadataExchange'],
      treatment: 'active',
      reason: 'it exchanges metadata only where mutual TLS has agreed on it',
    },
    types('parked', networkFilters, 'tcp_proxy.v3.TcpProxy', 'plain TCP is not proxied'),
    types(
      'parked',
      networkFilters,
      `direct_response.v3.Config dubbo_proxy.v3.DubboProxy echo.v3.Echo generic_proxy.v3.GenericProxy
       kafka_broker.v3.KafkaBroker kafka_mesh.v3alpha.KafkaMesh mongo_proxy.v3.MongoProxy mysql_proxy.v3.MySQLProxy
       postgres_proxy.v3alpha.PostgresProxy redis_proxy.v3.RedisProxy rocketmq_proxy.v3.RocketmqProxy
       sip_proxy.v3alpha.SipProxy thrift_proxy.v3.ThriftProxy zookeeper_proxy.v3.ZooKeeperProxy`,
      'only HTTP is served',
    ),
    types(
      'parked',
      networkFilters,
      `client_ssl_auth.v3.ClientSSLAuth connection_limit.v3.ConnectionLimit ext_authz.v3.ExtAuthz
       local_ratelimit.v3.LocalRateLimit ratelimit.v3.RateLimit rbac.v3.RBAC
       tcp_bandwidth_limit.v3.TcpBandwidthLimit`,
      'without it connections would be served that must not',
    ),
    types(
      'parked',
      networkFilters,
      `dynamic_modules.v3.DynamicModuleNetworkFilter ext_proc.v3.NetworkExternalProcessor geoip.v3.Geoip
       golang.v3alpha.Config reverse_tunnel.v3.DrainAwareHttpConnectionManager reverse_tunnel.v3.ReverseTunnel
       set_filter_state.v3.Config sni_cluster.v3.SniCluster sni_dynamic_forward_proxy.v3.FilterConfig wasm.v3.Wasm`,
      decidesWho,
    ),
  ],
  others: { treatment: 'parked', reason: decidesWho },
  names: words(
    `envoy.echo envoy.ext_authz envoy.http_connection_manager envoy.mongo_proxy envoy.ratelimit envoy.redis_proxy
     envoy.tcp_proxy`,
  ),
};

const plainOrTls = 'only plain text and TLS are served';

export const downstreamTransportSocketSupport: ExtensionSupport = {
  point: '`transport_socket` of a filter chain',
  categories: ['envoy.transport_sockets.downstream'],
  implemented: [`${sockets}.raw_buffer.v3.RawBuffer`, `${sockets}.tls.v3.DownstreamTlsContext`],
  rules: [
    types(
      'parked',
      sockets,
      `alts.v3.Alts dynamic_modules.v3.DynamicModuleTransportSocket quic.v3.QuicDownstreamTransport
       starttls.v3.StartTlsConfig tap.v3.Tap tcp_stats.v3.Config`,
      plainOrTls,
    ),
  ],
  others: { treatment: 'parked', reason: plainOrTls },
  names: words('raw_buffer starttls tls'),
};

const plainOrTlsToServers = 'only plain text and TLS are; without this transport socket servers would see other bytes';

export const transportSocketSupport: ExtensionSupport = {
  point: '`transport_socket` of a cluster with the bridge',
  categories: ['envoy.transport_sockets.upstream'],
  implemented: [`${sockets}.raw_buffer.v3.RawBuffer`, `${sockets}.tls.v3.UpstreamTlsContext`],
  rules: [
    types(
      'rejected',
      sockets,
      `alts.v3.Alts dynamic_modules.v3.DynamicModuleTransportSocket http_11_proxy.v3.Http11ProxyUpstreamTransport
       internal_upstream.v3.InternalUpstreamTransport proxy_protocol.v3.ProxyProtocolUpstreamTransport
       quic.v3.QuicUpstreamTransport starttls.v3.UpstreamStartTlsConfig tap.v3.Tap tcp_stats.v3.Config`,
      plainOrTlsToServers,
    ),
  ],
  others: { treatment: 'rejected', reason: plainOrTlsToServers },
  names: words('raw_buffer starttls tls'),
};

/** Of a cluster: `envoy.filters.network` stands there, too. */
export const clusterFilterSupport: ExtensionSupport = {
  point: '`filters` of a cluster with the bridge',
  categories: ['envoy.filters.upstream_network'],
  implemented: [],
  rules: [
    {
      types: ['envoy.tcp.metadataexchange.config.MetadataExchange'],
      treatment: 'active',
      reason: 'it exchanges metadata only where mutual TLS has agreed on it',
    },
  ],
  others: {
    treatment: 'rejected',
    reason: 'network filters are not run on connections to servers',
  },
  names: ['envoy.filters.upstream_network.reverse_tunnel_lifecycle'],
};
