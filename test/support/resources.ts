/** Resources in Envoy's JSON names, for control planes of tests. */

const ads = { ads: {}, resource_api_version: 'V3' };

function endpoints(ports: readonly number[]): object[] {
  const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });
  return [{ lb_endpoints: ports.map((port) => ({ endpoint: { address: address(port) } })) }];
}

/** A bridge cluster; with `ports` STATIC, without EDS under its own name. */
export function bridgeClusterResource(options: {
  readonly name: string;
  readonly ports?: readonly number[];
  readonly library: string;
  readonly plugin: string;
  readonly config?: object;
}): object {
  const { name, ports, library, plugin, config } = options;
  return {
    name,
    connect_timeout: '1s',
    ...(ports
      ? { type: 'STATIC', load_assignment: { cluster_name: name, endpoints: endpoints(ports) } }
      : { type: 'EDS', eds_cluster_config: { eds_config: ads } }),
    upstream_config: {
      name: 'envoy.upstreams.http.tcp.golang',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config',
        library_id: plugin,
        library_path: library,
        plugin_name: plugin,
        ...(config && { plugin_config: { '@type': 'type.googleapis.com/xds.type.v3.TypedStruct', value: config } }),
      },
    },
  };
}

export function endpointsResource(name: string, ports: readonly number[]): object {
  return { cluster_name: name, endpoints: endpoints(ports) };
}

/** An HTTP listener on a free port of its own choice, with its routes by RDS. */
export function listenerResource(name: string, statPrefix: string, routes: string): object {
  return {
    name,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              stat_prefix: statPrefix,
              rds: { route_config_name: routes, config_source: ads },
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

/** Path prefix → cluster. */
export function routesResource(name: string, clusters: Readonly<Record<string, string>>): object {
  const routes = Object.entries(clusters).map(([prefix, cluster]) => ({ match: { prefix }, route: { cluster } }));
  return { name, virtual_hosts: [{ name: 'all', domains: ['*'], routes }] };
}
