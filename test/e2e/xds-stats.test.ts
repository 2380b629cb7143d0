import { expect } from 'chai';
import { createAuthority } from '../support/certificates.js';
import { requireEnvoy, startEnvoy } from '../support/envoy.js';
import { GoControlPlane } from '../support/go-control-plane.js';
import { startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, endpointsResource, listenerResource, routesResource } from '../support/resources.js';
import { downstreamTls, tlsCertificate, withTransportSocket } from '../support/tls-config.js';
import { until } from '../support/until.js';
import { bootstrapOf, modeNodeId, type Setup, setups, withSource } from '../support/xds-modes.js';

/** Statistics of what control planes bring; `control_plane` where it has a stream of its own. */
const subject =
  /^((cluster_manager\.cds|listener_manager\.lds|http\.in\.rds\.routes|sds\.ours)\.|cluster\.bridge\.(update_|init_fetch|version)|control_plane\.|listener_manager\.(listener_|lds))/;

/** What Envoy has besides, and why that is not here. */
const missing: Readonly<Record<string, RegExp>> = {
  'who the control plane says that it is': /control_plane\.identifier$/,
  'one stream serves all resources of a type here': /^(http\.in\.rds\.routes|sds\.ours)\.control_plane\./,
  'only whole types and secrets are timed': /^(cluster\.bridge|http\.in\.rds\.routes)\.update_duration$/,
  'versions of endpoints are text only': /^cluster\.bridge\.(version|update_time)$/,
};

/** Those that count what happened, whatever the time. */
const comparable = /\.(update_(attempt|success|rejected|failure|empty)|init_fetch_timeout|config_reload|version_text)$/;

function statsIn(text: string): Map<string, string> {
  const entries = text
    .split('\n')
    .map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)] as const);
  return new Map(entries.filter(([name]) => subject.test(name)));
}

const types = ['cluster_manager.cds', 'listener_manager.lds'];
const single = ['http.in.rds.routes', 'sds.ours', 'cluster.bridge'];
const tested = ['ads', 'delta-ads', 'xds', 'delta'];

for (const setup of setups.filter(({ title }) => tested.includes(title)))
  describe(`statistics of xDS beside those of an Envoy with the same control plane: ${setup.title}`, () => {
    let envoyBinary: string;
    before(async function () {
      GoControlPlane.require(this);
      envoyBinary = await requireEnvoy(this);
    });

    it('have its names, and its numbers where those do not depend on the time', async function () {
      this.timeout(60_000);
      const controlPlane = await GoControlPlane.start(setup.args);
      const stop: (() => Promise<unknown>)[] = [() => controlPlane.close()];
      try {
        const identity = createAuthority().issue(['x.test']);
        const put = (version: string, weight: number) =>
          controlPlane.putSnapshot({
            version,
            nodeId: modeNodeId,
            resources: resourcesOf(setup, { name: 'ours', tls_certificate: tlsCertificate(identity) }, weight),
          });
        await put('1', 1);
        const bootstrap = bootstrapOf(setup, controlPlane.address);
        const http2 = `typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}}`;
        const envoy = await startEnvoy({
          binary: envoyBinary,
          bootstrapYaml: bootstrap.replace('connect_timeout: 1s', `connect_timeout: 1s\n      ${http2}`),
        });
        stop.push(() => envoy.stop());
        const pontoon = await startPontoon({ bootstrap });
        stop.push(() => pontoon.stop());
        const has = (version: string) => async () => {
          const texts = [await envoy.admin('/stats'), await pontoon.get('/stats')].map(statsIn);
          // Delta gives single resources versions of their own; Envoy shows that of the whole for them.
          const whole = setup.variant === 'GRPC' ? [...types, ...single] : types;
          const arrived = (stats: Map<string, string>) =>
            whole.every((prefix) => stats.get(`${prefix}.version_text`) === `"${version}"`) &&
            ['cluster.bridge', 'http.in.rds.routes'].every(
              (prefix) => Number(stats.get(`${prefix}.update_success`)) >= Number(version),
            ) &&
            Number(stats.get('sds.ours.update_success')) >= 1;
          return texts.every(arrived) ? texts : undefined;
        };
        await until('the first version', has('1'), 20_000);
        await put('2', 2);
        const [theirs, ours] = (await until('the second version', has('2'), 20_000)) as [
          Map<string, string>,
          Map<string, string>,
        ];
        const known = Object.values(missing);
        const lacking = [...theirs.keys()].filter((name) => !ours.has(name) && !known.some((each) => each.test(name)));
        expect(lacking).to.deep.equal([]);
        for (const [reason, pattern] of Object.entries(missing))
          expect(
            [...ours.keys()].filter((name) => pattern.test(name)),
            reason,
          ).to.deep.equal([]);
        const compared = (name: string) =>
          comparable.test(name) &&
          !(setup.variant === 'DELTA_GRPC' && single.some((prefix) => name === `${prefix}.version_text`));
        const numbers = (stats: Map<string, string>) =>
          Object.fromEntries([...stats].filter(([name]) => compared(name) && theirs.has(name)).sort());
        expect(numbers(ours)).to.deep.equal(numbers(theirs));
      } finally {
        for (const each of stop.reverse()) await each();
      }
    });
  });

function resourcesOf(setup: Setup, secret: object, weight: number) {
  const sds = { name: 'ours', sds_config: { ads: {}, resource_api_version: 'V3' } };
  const listener = withTransportSocket(
    listenerResource('in', 'in', 'routes'),
    downstreamTls({ tls_certificate_sds_secret_configs: [sds] }),
  );
  const bridge = { library: 'test/fixtures/plugins/recorded.ts', plugin: 'simple', config: {} };
  // A new version of a cluster asks for its endpoints again, and Envoy counts what it may be told twice.
  const clusters = [
    withSource(setup, bridgeClusterResource({ name: 'bridge', ...bridge })),
    { ...bridgeClusterResource({ name: 'other', ports: [1], ...bridge }), connect_timeout: `${weight}s` },
  ];
  const changed = JSON.stringify(routesResource('routes', { '/': 'bridge' })).replace('"all"', `"all-${weight}"`);
  return {
    clusters,
    endpoints: [
      endpointsResource(
        'bridge',
        Array.from({ length: weight }, (_, index) => index + 1),
      ),
    ],
    listeners: [withSource(setup, { ...listener, per_connection_buffer_limit_bytes: 10_000 + weight })],
    routes: [JSON.parse(changed) as object],
    secrets: [secret],
  };
}
