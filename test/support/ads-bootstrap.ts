/** A bootstrap that gets all from one control plane, `HOST:PORT`, over ADS. */
export function adsBootstrap(options: {
  readonly variant: 'SOTW' | 'DELTA';
  readonly address: string;
  readonly nodeId: string;
}): string {
  const [host, port] = options.address.split(':');
  return `
node: {id: ${options.nodeId}, cluster: test}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources:
  ads_config:
    api_type: ${options.variant === 'DELTA' ? 'DELTA_GRPC' : 'GRPC'}
    transport_api_version: V3
    grpc_services: [{envoy_grpc: {cluster_name: xds_cluster}}]
  cds_config: {ads: {}, resource_api_version: V3}
  lds_config: {ads: {}, resource_api_version: V3}
static_resources:
  clusters:
    - name: xds_cluster
      type: STATIC
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: {http2_protocol_options: {}}
      load_assignment:
        cluster_name: xds_cluster
        endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: ${host}, port_value: ${port}}}}}]}]
`;
}
