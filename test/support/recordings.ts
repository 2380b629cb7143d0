import { readdirSync, readFileSync } from 'node:fs';
import { loadSchema } from '../../src/protobuf/schema.js';
import type { XdsRequest, XdsStream } from './scripted-xds-server.js';

const schema = loadSchema();
const captures = new URL('../../../test/fixtures/captures/', import.meta.url);
const library = 'test/fixtures/plugins/recorded.ts';

interface Any {
  type_url: string;
  value: Uint8Array;
}
type Json = Record<string, unknown>;

const clusterType = 'envoy.config.cluster.v3.Cluster';
const bridgeType = 'envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config';
const wrapperType = 'envoy.service.discovery.v3.Resource';
const nameOfType = ({ type_url }: Any) => type_url.slice(type_url.indexOf('/') + 1);

/** What of a resource can't be had here is put in its place: libraries, servers, addresses to listen at. */
function localize(any: Any, port: number): Any {
  const type = nameOfType(any);
  const message = schema.decode<Json>(type, any.value);
  const assignment = (type === clusterType ? message.load_assignment : message) as Json | null;
  for (const group of (assignment?.endpoints ?? []) as { lb_endpoints: { endpoint: Json | null }[] }[])
    for (const { endpoint } of group.lb_endpoints)
      if (endpoint) endpoint.address = { socket_address: { address: '127.0.0.1', port_value: port } };
  if (type === clusterType) {
    const config = (message.upstream_config as { typed_config: Any } | null)?.typed_config;
    if (config && nameOfType(config) === bridgeType)
      config.value = schema.encode(bridgeType, {
        ...schema.decode<Json>(bridgeType, config.value),
        library_path: library,
      });
  }
  if (type === 'envoy.config.listener.v3.Listener')
    message.address = { socket_address: { address: '127.0.0.1', port_value: 0 } };
  return { ...any, value: schema.encode(type, message) };
}

export interface Recorded {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly variant: 'SOTW' | 'DELTA';
  readonly bytes: Buffer;
}

/** The responses of a recording, in their order. */
export function load(folder: string, port: number): Recorded[] {
  const url = new URL(`${folder}/`, captures);
  const files = readdirSync(url)
    .filter((file) => file.endsWith('.pb'))
    .sort();
  return files.map((file) => {
    const type = `envoy.service.discovery.v3.${file.includes('-delta-') ? 'Delta' : ''}DiscoveryResponse`;
    const response = schema.decode<Json & { resources: (Any & { resource?: Any | null })[] }>(
      type,
      readFileSync(new URL(file, url)),
    );
    const resources = response.resources.map((entry) => {
      if (file.includes('-delta-'))
        return entry.resource ? { ...entry, resource: localize(entry.resource, port) } : entry;
      if (nameOfType(entry) !== wrapperType) return localize(entry, port);
      const wrapped = schema.decode<Json & { resource: Any | null }>(wrapperType, entry.value);
      if (wrapped.resource) wrapped.resource = localize(wrapped.resource, port);
      return { ...entry, value: schema.encode(wrapperType, wrapped) };
    });
    return {
      typeUrl: String(response.type_url),
      nonce: String(response.nonce),
      variant: file.includes('-delta-') ? 'DELTA' : 'SOTW',
      bytes: schema.encode(type, { ...response, resources }),
    };
  });
}

/** Sends each response when its type was asked for and the one before it is answered; returns the answers. */
export class Replay {
  readonly answers: XdsRequest[] = [];
  readonly #asked = new Set<string>();
  #waiting: (() => void)[] = [];

  constructor(readonly stream: XdsStream) {
    void this.#read();
  }

  async run(recorded: readonly Recorded[], after: () => Promise<void>): Promise<Recorded[]> {
    const rest = [...recorded];
    for (;;) {
      const index = rest.findIndex(({ typeUrl }) => this.#asked.has(typeUrl));
      if (index < 0) {
        // What nobody asked for is not sent: endpoints of parked clusters, routes of parked listeners.
        if (rest.length === 0 || !(await this.#change(1_000))) return rest;
        continue;
      }
      const [next] = rest.splice(index, 1) as [Recorded];
      this.stream.send(next.bytes);
      while (!this.answers.some((answer) => answer.type_url === next.typeUrl && answer.response_nonce === next.nonce))
        if (!(await this.#change(5_000))) throw new Error(`no answer to ${next.typeUrl} ${next.nonce}`);
      await after();
    }
  }

  async #read(): Promise<void> {
    for (;;) {
      const request = await this.stream.next().catch(() => undefined);
      if (request) {
        this.answers.push(request);
        this.#asked.add(request.type_url);
        for (const wake of this.#waiting.splice(0)) wake();
      } else if (this.#closed) return;
    }
  }

  #closed = false;
  close(): void {
    this.#closed = true;
  }

  async #change(ms: number): Promise<boolean> {
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ms);
      this.#waiting.push(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}

/** All from one control plane over ADS, and a listener `probe` with the routes of the bootstrap. */
export function replayBootstrap(variant: 'SOTW' | 'DELTA', port: number, routes: string): string {
  return `
node: {id: replay, cluster: test}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
dynamic_resources:
  ads_config:
    api_type: ${variant === 'DELTA' ? 'DELTA_GRPC' : 'GRPC'}
    transport_api_version: V3
    grpc_services: [{envoy_grpc: {cluster_name: xds_cluster}}]
  cds_config: {ads: {}}
  lds_config: {ads: {}}
static_resources:
  clusters:
    - {name: xds_cluster, connect_timeout: 1s, load_assignment: {cluster_name: xds_cluster, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}}}]}]}}
  listeners:
    - {name: probe, address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: probe, route_config: {name: probe, virtual_hosts: [{name: all, domains: ["*"], routes: [${routes}]}]}, http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]}]}
`;
}
