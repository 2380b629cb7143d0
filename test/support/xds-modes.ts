/** The node of `bootstrapOf`. */
export const modeNodeId = 'streams';

/** One way of a control plane to give resources. */
export interface Setup {
  readonly title: string;
  readonly variant: 'GRPC' | 'DELTA_GRPC';
  readonly aggregated: boolean;
  /** Arguments of go-control-plane. */
  readonly args: readonly string[];
}

/** The modes in which go-control-plane is run, by their names in its own integration test. */
export const setups: readonly Setup[] = [
  { title: 'ads', variant: 'GRPC', aggregated: true, args: ['-ordered'] },
  { title: 'delta-ads', variant: 'DELTA_GRPC', aggregated: true, args: [] },
  { title: 'xds', variant: 'GRPC', aggregated: false, args: ['-ads=false'] },
  { title: 'delta', variant: 'DELTA_GRPC', aggregated: false, args: ['-ads=false'] },
  { title: 'linear cache, xds', variant: 'GRPC', aggregated: false, args: ['-cache', 'linear'] },
  { title: 'linear cache, delta-ads', variant: 'DELTA_GRPC', aggregated: true, args: ['-cache', 'linear'] },
  { title: 'mux cache, ads', variant: 'GRPC', aggregated: true, args: ['-cache', 'mux', '-ads=false'] },
  { title: 'mux cache, delta', variant: 'DELTA_GRPC', aggregated: false, args: ['-cache', 'mux', '-ads=false'] },
];

/** The ConfigSource of every resource. */
export const sourceOf = ({ variant, aggregated }: Setup) =>
  aggregated
    ? { ads: {}, resource_api_version: 'V3' }
    : {
        api_config_source: {
          api_type: variant,
          transport_api_version: 'V3',
          grpc_services: [{ envoy_grpc: { cluster_name: 'xds_cluster' } }],
        },
        resource_api_version: 'V3',
      };

/** A bootstrap that gets its resources in this way. `tls`: a transport_socket for the cluster of the control plane, in YAML. */
export function bootstrapOf(setup: Setup, address: string, tls = ''): string {
  const [host, port] = address.split(':');
  const source = JSON.stringify(sourceOf(setup));
  return `
node: {id: ${modeNodeId}, cluster: test}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources:
  ${setup.aggregated ? `ads_config: {api_type: ${setup.variant}, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: xds_cluster}}]}` : ''}
  cds_config: ${source}
  lds_config: ${source}
static_resources:
  clusters:
    - name: xds_cluster
      connect_timeout: 1s
      ${tls}
      load_assignment: {cluster_name: xds_cluster, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: ${host}, port_value: ${port}}}}}]}]}
`;
}

/** Resources of other sources than the aggregated stream where the setup has none. */
export const withSource = (setup: Setup, resource: object) =>
  JSON.parse(
    JSON.stringify(resource).replaceAll('{"ads":{},"resource_api_version":"V3"}', JSON.stringify(sourceOf(setup))),
  ) as object;
