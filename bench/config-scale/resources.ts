import { projectRoot } from '../side-by-side/tools/paths.js';

/** What the control plane serves. Clusters have ten endpoints each. */
export interface World {
  readonly clusters: readonly object[];
  readonly endpoints: readonly object[];
  readonly listeners: readonly object[];
  readonly routes: readonly object[];
}

/** How a proxy names its bridge. */
export type Bridge = object;

export const endpointsPerCluster = 10;
/** Serves the load. */
export const loadedCluster = 'cluster-0';
/** Changes while others serve. */
export const changingCluster = 'cluster-1';
/** On the listener `http`: answered by `changingCluster`. */
export const changingPath = '/changing';
export const nodeId = 'config-scale';

export const tcpAddress = (address: string, port: number) => ({ socket_address: { address, port_value: port } });

const ads = { ads: {}, resource_api_version: 'V3' };
const type = (name: string) => `type.googleapis.com/${name}`;

/** Pontoon's: the script that puts a body into a frame. */
export const scriptBridge: Bridge = {
  name: 'envoy.upstreams.http.tcp.golang',
  typed_config: {
    '@type': type('envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config'),
    library_id: 'framed',
    library_path: `${projectRoot}plugins/length-prefixed/index.ts`,
    plugin_name: 'length_prefixed',
  },
};

/** Envoy's: the same as a native module. */
export const moduleBridge: Bridge = {
  name: 'envoy.upstreams.http.dynamic_modules',
  typed_config: {
    '@type': type('envoy.extensions.upstreams.http.dynamic_modules.v3.Config'),
    dynamic_module_config: { name: 'bench_bridge' },
    bridge_name: 'length_prefixed',
  },
};

/** @param refusing takes no request: whoever asks it sees at once that this version is active */
export function cluster(index: number, bridge: Bridge, connectTimeout = '1s', refusing = false): object {
  return {
    name: `cluster-${index}`,
    type: 'EDS',
    connect_timeout: connectTimeout,
    eds_cluster_config: { eds_config: ads },
    circuit_breakers: {
      thresholds: [{ max_connections: 1024, ...(refusing && { max_requests: 0, max_pending_requests: 0 }) }],
    },
    upstream_config: bridge,
  };
}

/** The first two have real servers behind them, the others addresses that nobody connects to. */
function assignment(index: number, upstreamPort: number): object {
  const endpoints = Array.from({ length: endpointsPerCluster }, (_, host) => {
    const number = index * endpointsPerCluster + host;
    const nowhere = tcpAddress(`10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`, 8080);
    return { endpoint: { address: index < 2 ? tcpAddress('127.0.0.1', upstreamPort) : nowhere } };
  });
  // Of an address more than once only the first counts.
  return {
    cluster_name: `cluster-${index}`,
    endpoints: [{ lb_endpoints: index < 2 ? endpoints.slice(0, 1) : endpoints }],
  };
}

function listener(name: string, port: number, routes: string): object {
  return {
    name,
    address: tcpAddress('127.0.0.1', port),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': type('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'),
              stat_prefix: name,
              codec_type: 'HTTP1',
              rds: { route_config_name: routes, config_source: ads },
              http_filters: [
                {
                  name: 'envoy.filters.http.router',
                  typed_config: { '@type': type('envoy.extensions.filters.http.router.v3.Router') },
                },
              ],
            },
          },
        ],
      },
    ],
  };
}

function routes(name: string, clusters: number, count: number): object {
  const others = Array.from({ length: count }, (_, index) => ({
    match: { prefix: `/${index}/` },
    route: { cluster: `cluster-${index % clusters}` },
  }));
  return {
    name,
    validate_clusters: false,
    virtual_hosts: [
      {
        name: 'all',
        domains: ['*'],
        routes: [
          { match: { path: changingPath }, route: { cluster: changingCluster } },
          ...others,
          { match: { prefix: '/' }, route: { cluster: loadedCluster, timeout: '60s' } },
        ],
      },
    ],
  };
}

/** `ports` are free ones: of the listener `http`, and of others. */
export function world(clusters: number, bridge: Bridge, upstreamPort: number, ports: readonly number[]): World {
  const names = ports.map((_, index) => (index === 0 ? 'http' : `http-${index}`));
  return {
    clusters: Array.from({ length: clusters }, (_, index) => cluster(index, bridge)),
    endpoints: Array.from({ length: clusters }, (_, index) => assignment(index, upstreamPort)),
    listeners: ports.map((port, index) => listener(names[index] as string, port, `routes-${names[index]}`)),
    routes: names.map((name, index) => routes(`routes-${name}`, clusters, index === 0 ? 0 : 100)),
  };
}

/** The bootstrap of both, in Envoy's JSON. */
export function bootstrap(controlPlane: string, variant: 'GRPC' | 'DELTA_GRPC'): string {
  const [host = '', port = ''] = controlPlane.split(':');
  const http2 = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  return JSON.stringify({
    node: { id: nodeId, cluster: 'bench' },
    admin: { address: tcpAddress('127.0.0.1', 0) },
    dynamic_resources: {
      ads_config: {
        api_type: variant,
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
        set_node_on_first_message_only: true,
      },
      cds_config: ads,
      lds_config: ads,
    },
    static_resources: {
      clusters: [
        {
          name: 'xds',
          type: 'STATIC',
          connect_timeout: '1s',
          typed_extension_protocol_options: {
            [http2]: { '@type': type(http2), explicit_http_config: { http2_protocol_options: {} } },
          },
          load_assignment: {
            cluster_name: 'xds',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: tcpAddress(host, Number(port)) } }] }],
          },
        },
      ],
    },
  });
}
