import { expect } from 'chai';
import { parseJson, toJson } from '../../src/protobuf/json.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { type RunningEnvoy, requireEnvoy, startEnvoy } from '../support/envoy.js';
import { GoControlPlane } from '../support/go-control-plane.js';
import { type Grpcurl, requireGrpcurl } from '../support/grpcurl.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../support/resources.js';
import { lengthPrefixed } from '../support/static-bootstrap.js';
import { until } from '../support/until.js';

type Json = Record<string, unknown>;
interface Told {
  readonly typeUrl: string;
  readonly name: string;
  readonly versionInfo?: string;
  readonly clientStatus?: string;
  readonly errorState?: {
    readonly details?: string;
    readonly versionInfo?: string;
    readonly failedConfiguration?: Json;
  };
  readonly xdsConfig?: Json;
}

const method = 'envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus';
const plain = { type: 'STATIC', connect_timeout: '1s' };
const resources = (version: string) => ({
  clusters: [
    { name: 'good', ...plain },
    { name: 'turns', ...plain, connect_timeout: version === '1' ? '1s' : '-1s' },
  ],
  listeners: [listenerResource('http', 'ingress', 'routes')],
  routes: [routesResource('routes', { '/': 'good' })],
});

const schema = loadSchema();

/** A resource as its type's JSON, whichever spelling of names it came in. */
function normal({ '@type': type, ...json }: Json): unknown {
  const typeName = String(type).split('/').pop() as string;
  const parsed = parseJson(schema, typeName, json);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return { type: typeName, ...(toJson(schema, typeName, parsed.bytes) as Json) };
}

interface Row {
  readonly name: unknown;
  readonly version: unknown;
  readonly resource: unknown;
}
const byName = (rows: readonly Row[]) => [...rows].sort((a, b) => (String(a.name) < String(b.name) ? -1 : 1));

/** The dynamic resources of Envoy's /config_dump, which has no `client_status` for what is accepted. */
function ofDump(text: string): Row[] {
  const { configs } = JSON.parse(text) as { configs: Json[] };
  const entries = configs.flatMap((section) =>
    Object.entries(section).flatMap(([key, list]) => (key.startsWith('dynamic_') ? (list as Json[]) : [])),
  );
  const rows = entries.map((entry) => {
    const state = (entry.active_state ?? entry) as Json;
    const resource = (state.cluster ?? state.listener ?? state.route_config) as Json | undefined;
    return resource && { name: resource.name, version: state.version_info, resource: normal(resource) };
  });
  return byName(rows.filter((row) => row !== undefined));
}

const ofCsds = (told: readonly Told[]) =>
  byName(
    told
      .filter(({ clientStatus }) => clientStatus === 'ACKED')
      .map(({ name, versionInfo, xdsConfig = {} }) => ({ name, version: versionInfo, resource: normal(xdsConfig) })),
  );

for (const { name, flags } of [
  { name: 'in one process', flags: [] },
  { name: 'with two workers', flags: ['--concurrency', '2'] },
]) {
  describe(`CSDS of a running pontoon, ${name}`, function () {
    this.timeout(60_000);
    let grpcurl: Grpcurl;
    let controlPlane: GoControlPlane;
    let pontoon: Pontoon;
    let envoy: RunningEnvoy;
    let address: string;

    before(async function () {
      grpcurl = await requireGrpcurl(this);
      GoControlPlane.require(this);
      const binary = await requireEnvoy(this);
      controlPlane = await GoControlPlane.start();
      pontoon = await startPontoon({
        bootstrap: adsBootstrap({ variant: 'SOTW', address: controlPlane.address, nodeId: 'ours' }),
        args: [...flags, '--csds-address', '127.0.0.1:0'],
      });
      envoy = await startEnvoy({
        binary,
        bootstrapYaml: adsBootstrap({ variant: 'SOTW', address: controlPlane.address, nodeId: 'theirs' }),
        args: ['-l', 'error'],
      });
      const found = await until(
        'the address',
        () => /"address":"([^"]+)","msg":"CSDS is served"/.exec(pontoon.log()) ?? undefined,
      );
      address = found[1] as string;
    });
    after(async () => {
      await pontoon?.stop('SIGKILL');
      await envoy?.stop();
      await controlPlane?.close();
    });

    async function told(): Promise<Told[]> {
      const [answer] = (await grpcurl.call(address, method, {})) as { config: { genericXdsConfigs?: Told[] }[] }[];
      return answer?.config[0]?.genericXdsConfigs ?? [];
    }

    it("has what Envoy's config dump has, and says what was refused", async () => {
      for (const nodeId of ['ours', 'theirs'])
        await controlPlane.putSnapshot({ version: '1', nodeId, resources: resources('1') });
      const whole = (rows: Row[]) => (rows.length === 4 ? rows : undefined);
      const theirs = await until('the resources of Envoy', async () =>
        whole(ofDump(await envoy.admin('/config_dump'))),
      );
      const ours = await until('the resources of pontoon', async () => whole(ofCsds(await told())));
      expect(ours).to.deep.equal(theirs);

      await controlPlane.putSnapshot({ version: '2', nodeId: 'ours', resources: resources('2') });
      const refused = await until('the refusal', async () =>
        (await told()).find(({ clientStatus }) => clientStatus === 'NACKED'),
      );
      expect(refused).to.include({ name: 'turns', versionInfo: '1' });
      expect(refused.xdsConfig).to.include({ name: 'turns', connectTimeout: '1s' });
      expect(refused.errorState).to.include({ versionInfo: '2' });
      expect(refused.errorState?.details).to.contain('connect_timeout');
      expect(refused.errorState?.failedConfiguration).to.include({ name: 'turns', connectTimeout: '-1s' });
    });

    it('tells of bridges, and of endpoints that are awaited', async () => {
      await controlPlane.putSnapshot({
        version: '3',
        nodeId: 'ours',
        resources: {
          clusters: ['known', 'awaited'].map((each) => bridgeClusterResource({ name: each, ...lengthPrefixed })),
          endpoints: [endpointsResource('known', [9])],
        },
      });
      const rows = await until('the endpoints', async () => {
        const all = (await told())
          .filter(({ typeUrl }) => /Cluster(LoadAssignment)?$/.test(typeUrl))
          .map(
            ({ typeUrl, name: each, clientStatus = 'UNKNOWN' }) =>
              `${typeUrl.split('.').pop()} ${each} ${clientStatus}`,
          );
        const known = ['Cluster known ACKED', 'ClusterLoadAssignment known ACKED'];
        return known.every((row) => all.includes(row)) ? all.sort() : undefined;
      });
      expect(rows).to.deep.equal([
        'Cluster awaited REQUESTED',
        'Cluster known ACKED',
        'Cluster xds_cluster UNKNOWN',
        'ClusterLoadAssignment awaited REQUESTED',
        'ClusterLoadAssignment known ACKED',
      ]);
    });
  });
}

describe('the address of CSDS', function () {
  this.timeout(30_000);
  const bootstrap = 'admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}';

  for (const address of ['localhost:1', '::1:1', 'unix:@x'])
    it(`must not be ${address}`, async () => {
      const failure = await startPontoon({ bootstrap, args: ['--csds-address', address] }).catch(
        (error: Error) => error,
      );
      expect(failure)
        .to.be.an('error')
        .with.property('message')
        .that.matches(/--csds-address.*IP:PORT, \[IPv6\]:PORT or unix:PATH/);
    });

  it('ends the start when somebody else has it', async () => {
    const first = await startPontoon({ bootstrap, args: ['--csds-address', '127.0.0.1:0'] });
    const taken = await until('the address', () => /"address":"([^"]+)","msg":"CSDS is served"/.exec(first.log())?.[1]);
    const failure = await startPontoon({ bootstrap, args: ['--csds-address', taken] }).catch((error: Error) => error);
    expect(failure).to.be.an('error').with.property('message').that.contains(`--csds-address ${taken}: cannot bind`);
    await first.stop('SIGKILL');
  });

  it('is warned of when others reach it', async () => {
    const pontoon = await startPontoon({ bootstrap, args: ['--csds-address', '0.0.0.0:0'] });
    await until('the warning', () => (pontoon.log().includes('neither TLS nor authentication') ? true : undefined));
    expect(await pontoon.stop('SIGTERM')).to.equal(0);
  });
});
