import { type ExtensionSupport, types, words } from './rules.js';

const extensions = 'envoy.extensions';
const upstreams = `${extensions}.upstreams`;
const policies = `${extensions}.load_balancing_policies`;

const notRun = 'clusters of this type are not run';

/** What `type` can say is implemented, but for ORIGINAL_DST. */
export const clusterTypeSupport: ExtensionSupport = {
  point: '`cluster_type` of a cluster, and the ORIGINAL_DST of `type`',
  categories: ['envoy.clusters'],
  implemented: [`${extensions}.clusters.dns.v3.DnsCluster`],
  rules: [
    types(
      'parked',
      `${extensions}.clusters`,
      `aggregate.v3.ClusterConfig composite.v3.ClusterConfig dynamic_forward_proxy.v3.ClusterConfig
       dynamic_modules.v3.ClusterConfig mcp_multicluster.v3.ClusterConfig original_dst.v3.OriginalDstCluster
       redis.v3.RedisClusterConfig reverse_connection.v3.ReverseConnectionClusterConfig`,
      notRun,
    ),
  ],
  others: { treatment: 'parked', reason: notRun },
  names: words('envoy.cluster.static envoy.cluster.strict_dns envoy.cluster.logical_dns envoy.cluster.eds'),
};

const onlyTheBridge = 'only the HTTP-TCP bridge serves requests';

export const upstreamSupport: ExtensionSupport = {
  point: '`upstream_config` of a cluster',
  categories: ['envoy.upstreams'],
  implemented: [`${upstreams}.http.tcp.golang.v3alpha.Config`],
  rules: [
    types(
      'parked',
      upstreams,
      `http.generic.v3.GenericConnectionPoolProto http.http.v3.HttpConnectionPoolProto
       http.tcp.v3.TcpConnectionPoolProto http.udp.v3.UdpConnectionPoolProto
       tcp.generic.v3.GenericConnectionPoolProto`,
      onlyTheBridge,
    ),
  ],
  others: { treatment: 'parked', reason: onlyTheBridge },
};

const noFilterReadsIt = 'there is no filter that reads it';

export const protocolOptionsSupport: ExtensionSupport = {
  point: '`typed_extension_protocol_options` of a cluster with the bridge',
  categories: ['envoy.upstream_options'],
  implemented: [`${upstreams}.tcp.v3.TcpProtocolOptions`, `${upstreams}.http.v3.HttpProtocolOptions`],
  rules: [types('warned', upstreams, 'http.reverse_tunnel.v3.ReverseTunnelUpstreamCodecOptions', noFilterReadsIt)],
  others: { treatment: 'warned', reason: noFilterReadsIt },
  names: words('envoy.upstreams.http.http_protocol_options envoy.upstreams.tcp.tcp_protocol_options'),
};

const roundRobin = 'the cluster is balanced round robin';
const otherHosts = 'this policy may choose hosts that round robin would not';

export const lbPolicySupport: ExtensionSupport = {
  point: '`load_balancing_policy.policies` of a cluster with the bridge; the first known one counts',
  categories: ['envoy.load_balancing_policies'],
  implemented: [`${policies}.round_robin.v3.RoundRobin`],
  rules: [
    types(
      'warned',
      policies,
      'ring_hash.v3.RingHash maglev.v3.Maglev',
      `${roundRobin}, so requests do not stick to a host`,
    ),
    types(
      'warned',
      policies,
      `least_request.v3.LeastRequest random.v3.Random pick_first.v3.PickFirst
       client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin wrr_locality.v3.WrrLocality`,
      roundRobin,
    ),
    types(
      'rejected',
      policies,
      `cluster_provided.v3.ClusterProvided dynamic_modules.v3.DynamicModulesLoadBalancerConfig
       load_aware_locality.v3.LoadAwareLocality override_host.v3.OverrideHost peak_ewma.v3alpha.PeakEwma
       subset.v3.Subset`,
      otherHosts,
    ),
  ],
  others: { treatment: 'rejected', reason: otherHosts },
};

const otherServers = 'names would be asked of other servers than configured; the system resolver is used';
const resolvers = `${extensions}.network.dns_resolver`;

/** A resolver that names no servers of its own is as good as the system's. */
export const dnsResolverSupport: ExtensionSupport = {
  point: '`typed_dns_resolver_config` of a cluster with the bridge; rejected with `resolvers`',
  categories: ['envoy.network.dns_resolver'],
  implemented: [
    `${resolvers}.cares.v3.CaresDnsResolverConfig`,
    `${resolvers}.getaddrinfo.v3.GetAddrInfoDnsResolverConfig`,
    `${resolvers}.apple.v3.AppleDnsResolverConfig`,
  ],
  rules: [types('rejected', resolvers, 'hickory.v3.HickoryDnsResolverConfig', otherServers)],
  others: { treatment: 'rejected', reason: otherServers },
};

export const clusterExtensions: readonly ExtensionSupport[] = [
  clusterTypeSupport,
  upstreamSupport,
  protocolOptionsSupport,
  lbPolicySupport,
  dnsResolverSupport,
];
