import type { Profile } from './cases.js';

/** The connection manager's fields per profile, as Envoy reads them; `pontoonConfig` says the same in the model's words. */
const profiles: Record<Profile, Record<string, unknown>> = {
  default: {},
  edge: {
    use_remote_address: true,
    http_protocol_options: {
      accept_http_10: true,
      default_host_for_http_10: 'default.example',
      allow_chunked_length: true,
    },
    common_http_protocol_options: { max_headers_count: 20, headers_with_underscores_action: 'REJECT_REQUEST' },
    max_request_headers_kb: 8,
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD',
    strip_any_host_port: true,
    strip_trailing_host_dot: true,
    server_name: 'edge',
    via: 'pontoon',
    always_set_request_id_in_response: true,
  },
};

/** A bootstrap with one listener per profile in front of one HTTP server that answers what it saw. */
export function envoyBootstrap(echoPort: number): Record<string, unknown> {
  const listeners = (Object.keys(profiles) as Profile[]).map((profile) => ({
    name: profile,
    address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
    filter_chains: [
      {
        filters: [
          {
            name: 'hcm',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              stat_prefix: profile,
              codec_type: 'HTTP1',
              ...profiles[profile],
              route_config: {
                virtual_hosts: [
                  { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'echo' } }] },
                ],
              },
              http_filters: [
                {
                  name: 'router',
                  typed_config: {
                    '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
                    suppress_envoy_headers: true,
                  },
                },
              ],
            },
          },
        ],
      },
    ],
  }));
  return {
    node: { id: 'oracle', cluster: 'oracle' },
    static_resources: {
      listeners,
      clusters: [
        {
          name: 'echo',
          type: 'STATIC',
          load_assignment: {
            cluster_name: 'echo',
            endpoints: [
              {
                lb_endpoints: [
                  { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: echoPort } } } },
                ],
              },
            ],
          },
        },
      ],
    },
  };
}
