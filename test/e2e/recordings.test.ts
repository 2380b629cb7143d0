import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { loadSchema } from '../../src/protobuf/schema.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { type ScriptedStream, ScriptedXdsServer, type XdsRequest } from '../support/scripted-xds-server.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';

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

interface Recorded {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly bytes: Buffer;
}

/** The responses of a recording, in their order. */
function load(folder: string, port: number): Recorded[] {
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
      bytes: schema.encode(type, { ...response, resources }),
    };
  });
}

/** Sends each response when its type was asked for and the one before it is answered; returns the answers. */
class Replay {
  readonly answers: XdsRequest[] = [];
  readonly #asked = new Set<string>();
  #waiting: (() => void)[] = [];

  constructor(readonly stream: ScriptedStream) {
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

type Verdict = 'active' | 'warned' | 'parked' | 'rejected';
type Verdicts = Partial<Record<Verdict, readonly string[]>>;

/** What /config_dump says of each dynamic resource. */
function verdictsIn(dump: string): Map<string, Verdict> {
  const found = new Map<string, Verdict>();
  const { configs } = JSON.parse(dump) as { configs: Json[] };
  const lists = [
    'dynamic_active_clusters',
    'dynamic_warming_clusters',
    'dynamic_listeners',
    'dynamic_route_configs',
    'dynamic_endpoint_configs',
  ];
  for (const config of configs)
    for (const list of lists)
      for (const entry of (config[list] ?? []) as Json[]) {
        const kind = list.replace(/^dynamic_(active_|warming_)?|s$/g, '').replace('_config', '');
        const inner = (entry.cluster ?? entry.route_config ?? entry.endpoint_config ?? entry) as Json;
        const name = String(inner.name ?? inner.cluster_name ?? entry.name);
        const details = String((entry.error_state as Json | undefined)?.details ?? '');
        if (entry.client_status === 'REQUESTED' || entry.client_status === 'DOES_NOT_EXIST') continue;
        const verdict: Verdict =
          entry.client_status === 'NACKED'
            ? 'rejected'
            : details.startsWith('parked')
              ? 'parked'
              : details.startsWith('warned')
                ? 'warned'
                : 'active';
        found.set(`${kind} ${name}`, verdict);
      }
  return found;
}

const sequence: Verdicts = {
  active: ['cluster bridge', 'listener l', 'route r'],
  parked: ['cluster a', 'cluster b', 'cluster good-beside-bad'],
  rejected: ['cluster bad'],
};
const withTtl: Verdicts = { active: ['listener l', 'route r'], parked: ['cluster a', 'cluster b'] };
const legacy = [
  'outbound|80||legacy.example.com',
  'outbound|80|v1|legacy.example.com',
  'outbound|80|v2|legacy.example.com',
];
const sidecar: Verdicts = {
  active: legacy.map((name) => `endpoint ${name}`),
  parked: [
    'cluster BlackHoleCluster',
    'cluster InboundPassthroughCluster',
    'cluster PassthroughCluster',
    'cluster inbound|19201||',
    'cluster inbound|19211||',
    'cluster outbound|8081||plain.example.com',
    'cluster outbound|9090|v1|legacy.example.com',
    'cluster outbound|9090|v2|legacy.example.com',
    'cluster outbound|9090||legacy.example.com',
    'listener 0.0.0.0_80',
    'listener 0.0.0.0_8081',
    'listener 240.0.0.10_9090',
    'listener virtualInbound',
    'listener virtualOutbound',
  ],
  warned: legacy.map((name) => `cluster ${name}`),
};
const web: Verdicts = {
  active: ['backend_80', 'rawtcp_81'].flatMap((name) => [
    `cluster kri_msvc_default_zone-1__${name}`,
    `endpoint kri_msvc_default_zone-1__${name}`,
  ]),
  parked: ['cluster self_inbound_dp_http', 'listener kri_msvc_default_zone-1__rawtcp_81'],
  warned: ['listener kri_msvc_default_zone-1__backend_80', 'listener self_inbound_dp_http'],
};

/** For each recording: what became of each resource that was ever sent and asked for, and the clusters that carried requests. */
const recordings: readonly {
  readonly folder: string;
  readonly variant: 'SOTW' | 'DELTA';
  readonly verdicts: Verdicts;
  readonly carry: readonly string[];
  /** How often a cluster became another one; what is sent again in another order is the same. */
  readonly modified?: number;
}[] = [
  { folder: 'gcp/seq-delta', variant: 'DELTA', verdicts: sequence, carry: ['bridge'] },
  { folder: 'gcp/seq-sotw', variant: 'SOTW', verdicts: sequence, carry: ['bridge'] },
  { folder: 'gcp/ttl-delta', variant: 'DELTA', verdicts: withTtl, carry: [] },
  { folder: 'gcp/ttl-sotw', variant: 'SOTW', verdicts: withTtl, carry: [] },
  { folder: 'istio/sidecar-delta', variant: 'DELTA', verdicts: sidecar, carry: legacy },
  { folder: 'istio/sidecar-sotw', variant: 'SOTW', verdicts: sidecar, carry: legacy },
  {
    folder: 'kuma/web-delta',
    variant: 'DELTA',
    verdicts: web,
    carry: ['kri_msvc_default_zone-1__backend_80'],
    modified: 2,
  },
];

describe('recordings of control planes, replayed', () => {
  for (const { folder, variant, verdicts, carry, modified } of recordings)
    it(`${folder}: each response is answered once, and resources become what they should`, async function () {
      this.timeout(60_000);
      const xds = await ScriptedXdsServer.start();
      let server: TcpServer | undefined;
      let pontoon: Pontoon | undefined;
      let replay: Replay | undefined;
      try {
        server = await startTcpServer({ onData: ({ socket }, data) => socket.write(`served ${data}`) });
        const routes = carry
          .map((name, index) => `{match: {prefix: /${index}}, route: {cluster: "${name}"}}`)
          .join(', ');
        pontoon = await startPontoon({ bootstrap: bootstrapOf(variant, xds.port, routes) });
        const live = pontoon;
        replay = new Replay(await xds.nextStream());
        const seen = new Map<string, Set<Verdict>>();
        const served = new Set<string>();
        const probe = async () => {
          for (const [name, verdict] of verdictsIn(await live.get('/config_dump?include_eds')))
            seen.set(name, (seen.get(name) ?? new Set()).add(verdict));
          const listener = await live.listener('probe');
          for (const [index, name] of carry.entries()) {
            const response = await fetch(`${listener}/${index}/x`);
            if ((await response.text()) === `served /${index}/x\n`) served.add(name);
          }
        };
        const recorded = load(folder, server.port);
        const unsent = await replay.run(recorded, probe);
        for (const { typeUrl, nonce } of recorded.filter((one) => !unsent.includes(one))) {
          const answers = replay.answers.filter((one) => one.type_url === typeUrl && one.response_nonce === nonce);
          // In SotW later requests for other names repeat the nonce.
          const distinct = new Set(answers.map((one) => JSON.stringify(one.resource_names ?? '')));
          expect(answers.length, `answers to ${typeUrl} ${nonce}`).to.equal(distinct.size);
        }
        const actual: Record<string, string[]> = {};
        for (const [name, all] of seen)
          for (const verdict of all) actual[verdict] = [...(actual[verdict] ?? []), name].sort();
        expect(actual).to.deep.equal(
          Object.fromEntries(Object.entries(verdicts).map(([verdict, names]) => [verdict, [...names].sort()])),
        );
        expect([...served].sort()).to.deep.equal([...carry].sort());
        if (modified !== undefined) expect(await live.stat('cluster_manager.cluster_modified')).to.equal(modified);
      } finally {
        replay?.close();
        await pontoon?.stop();
        await server?.close();
        xds.stop();
      }
    });
});

function bootstrapOf(variant: 'SOTW' | 'DELTA', port: number, routes: string): string {
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
