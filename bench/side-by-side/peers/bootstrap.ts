/** Envoy's bootstrap, for Envoy and for Pontoon alike: one listener, one cluster, no access log. */

export const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

/** Bodies of 1 MiB have to fit as a whole, and Envoy's default is just that. */
const bufferLimit = 4 * 1024 * 1024;

export function cluster(upstreamPort: number, upstreamConfig: object): object {
  return {
    name: 'server',
    type: 'STATIC',
    connect_timeout: '1s',
    per_connection_buffer_limit_bytes: bufferLimit,
    load_assignment: {
      cluster_name: 'server',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(upstreamPort) } }] }],
    },
    upstream_config: upstreamConfig,
  };
}

export function listener(port: number, ofRoutes: object = {}): object {
  return {
    name: 'http',
    address: address(port),
    per_connection_buffer_limit_bytes: bufferLimit,
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              stat_prefix: 'http',
              codec_type: 'HTTP1',
              route_config: {
                name: 'routes',
                ...ofRoutes,
                virtual_hosts: [
                  {
                    name: 'all',
                    domains: ['*'],
                    routes: [{ match: { prefix: '/' }, route: { cluster: 'server', timeout: '60s' } }],
                  },
                ],
              },
              http_filters: [
                {
                  name: 'envoy.filters.http.router',
                  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
                },
              ],
            },
          },
        ],
      },
    ],
  };
}

export function staticBootstrap(listenerPort: number, ofCluster: object): string {
  return JSON.stringify({
    admin: { address: address(0) },
    static_resources: { listeners: [listener(listenerPort)], clusters: [ofCluster] },
  });
}

/** The cluster comes from a file, which is read again when another is moved in its place. */
export function fileBootstrap(listenerPort: number, path: string): string {
  return JSON.stringify({
    node: { id: 'bench', cluster: 'bench' },
    admin: { address: address(0) },
    dynamic_resources: { cds_config: { resource_api_version: 'V3', path_config_source: { path } } },
    // The cluster is not there yet when the routes are read.
    static_resources: { listeners: [listener(listenerPort, { validate_clusters: false })] },
  });
}

/** Listener and cluster come over ADS. */
export function adsBootstrap(xdsPort: number): string {
  const source = { ads: {}, resource_api_version: 'V3' };
  const http2 = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  return JSON.stringify({
    node: { id: 'bench', cluster: 'bench' },
    admin: { address: address(0) },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
      },
      cds_config: source,
      lds_config: source,
    },
    static_resources: {
      clusters: [
        {
          name: 'xds',
          type: 'STATIC',
          connect_timeout: '1s',
          typed_extension_protocol_options: {
            [http2]: {
              '@type': `type.googleapis.com/${http2}`,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: 'xds',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(xdsPort) } }] }],
          },
        },
      ],
    },
  });
}
