import { expect } from 'chai';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { load, Replay, replayBootstrap } from '../support/recordings.js';
import { ScriptedXdsServer } from '../support/scripted-xds-server.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';

type Json = Record<string, unknown>;
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
        pontoon = await startPontoon({ bootstrap: replayBootstrap(variant, xds.port, routes) });
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
