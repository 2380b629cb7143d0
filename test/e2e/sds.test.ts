import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { type Authority, type Certificate, createAuthority } from '../support/certificates.js';
import { GoControlPlane } from '../support/go-control-plane.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, listenerResource, routesResource } from '../support/resources.js';
import { lengthPrefixed } from '../support/static-bootstrap.js';
import {
  adsSecret,
  downstreamTls,
  sanOf,
  secretResource,
  tlsCertificate,
  tlsConnection,
  tlsRequest,
  trusting,
  upstreamTls,
  withTransportSocket,
} from '../support/tls-config.js';
import { startTlsEchoServer, type TlsEchoServer } from '../support/tls-server.js';
import { until } from '../support/until.js';

const nodeId = 'tls';

/** Requests one after the other, on kept connections and on new ones, until `stop`, which tells what failed. */
function load(port: number, ca: string, identity: Certificate): { done: number; stop(): Promise<string[]> } {
  const failures: string[] = [];
  let stopped = false;
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  const result = { done: 0, stop };
  const run = async (kept: boolean): Promise<void> => {
    while (!stopped) {
      const text = `request ${result.done}`;
      const answer = await tlsRequest(port, { ca, ...identity, body: text, ...(kept && { agent }) }).catch(
        (error: Error) => ({ status: 0, body: error.message }),
      );
      if (answer.status === 200 && answer.body === text) result.done++;
      else failures.push(`${answer.status} ${answer.body}`);
    }
  };
  const running = [run(true), run(true), run(false)];
  async function stop(): Promise<string[]> {
    stopped = true;
    await Promise.all(running);
    agent.destroy();
    return failures;
  }
  return result;
}

const modes = [
  { name: 'SotW, in one process', variant: 'SOTW', flags: [] },
  { name: 'Delta, with one worker', variant: 'DELTA', flags: ['--isolate'] },
] as const;

for (const { name, variant, flags } of modes)
  describe(`secrets of a control plane (SDS), ${name}`, function () {
    this.timeout(90_000);
    let controlPlane: GoControlPlane;
    let pontoon: Pontoon;
    let server: TlsEchoServer;
    let authority: Authority;
    let client: Certificate;
    let version = 0;
    const secrets = new Map<string, object>();
    let listeners: object[];

    before(function () {
      GoControlPlane.require(this);
    });
    beforeEach(async () => {
      authority = createAuthority();
      client = authority.issue(['spiffe://mesh/client']);
      secrets.clear();
      controlPlane = await GoControlPlane.start(['-ads=false']);
      server = await startTlsEchoServer({
        ...authority.issue(['server.test']),
        ca: authority.cert,
        requestCert: true,
        rejectUnauthorized: true,
      });
      listeners = [listener('http')];
    });
    afterEach(async () => {
      await pontoon?.stop('SIGKILL');
      await controlPlane?.close();
      await server?.close();
    });

    const cluster = (wait: object = {}) => ({
      ...bridgeClusterResource({ name: 'bridge', ports: [server.port], ...lengthPrefixed }),
      transport_socket: upstreamTls({
        tls_certificate_sds_secret_configs: [adsSecret('ours', wait)],
        combined_validation_context: {
          default_validation_context: sanOf('DNS', { exact: 'server.test' }),
          validation_context_sds_secret_config: adsSecret('trusted', wait),
        },
      }),
    });
    const listener = (listenerName: string, wait: object = {}) =>
      withTransportSocket(
        listenerResource(listenerName, 'ingress', 'routes'),
        downstreamTls(
          {
            tls_certificate_sds_secret_configs: [adsSecret('ours', wait)],
            validation_context_sds_secret_config: adsSecret('trusted', wait),
          },
          { require_client_certificate: true },
        ),
      );
    const put = (wait: object = {}) =>
      controlPlane.putSnapshot({
        version: `v${++version}`,
        nodeId,
        resources: {
          clusters: [cluster(wait)],
          listeners,
          routes: [routesResource('routes', { '/': 'bridge' })],
          secrets: [...secrets.values()],
        },
      });
    const setCertificate = (certificate: Certificate) =>
      secrets.set('ours', secretResource('ours', { tls_certificate: tlsCertificate(certificate) }));
    const setTrusted = () =>
      secrets.set('trusted', secretResource('trusted', { validation_context: trusting(authority) }));
    const start = async () => {
      const bootstrap = adsBootstrap({ variant, address: controlPlane.address, nodeId });
      pontoon = await startPontoon({ bootstrap, args: [...flags] });
    };
    const portOf = async (listenerName: string) => Number(new URL(await pontoon.listener(listenerName)).port);
    const ask = (port: number) => tlsRequest(port, { ca: authority.cert, ...client, body: 'hello' });
    const shownCertificate = async (port: number): Promise<string> => {
      const socket = await tlsConnection(port, { ca: authority.cert, ...client });
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      return fingerprint256;
    };
    const ready = async () => (await fetch(`${pontoon.admin}/ready`)).status;
    const initDump = () => pontoon.get('/init_dump');

    it('waits for secrets that come late', async () => {
      setTrusted();
      await put();
      await start();
      await until('the wait', async () => ((await initDump()).includes('secret ours (SDS)') ? true : undefined));
      expect(await ready()).to.equal(503);
      expect(await pontoon.get('/listeners')).to.equal('');
      expect(await pontoon.get('/config_dump')).to.contain('dynamic_warming_clusters');
      const listed = async (list: string) => {
        const { configs = [] } = JSON.parse(await pontoon.get(`/config_dump?resource=${list}`)) as {
          configs?: object[];
        };
        return configs as { name: string; client_status: string; secret: object; version_info?: string }[];
      };
      const [warming, ...others] = await listed('dynamic_warming_secrets');
      expect(others).to.deep.equal([]);
      expect(warming).to.deep.include({
        name: 'ours',
        secret: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret', name: 'ours' },
        client_status: 'REQUESTED',
      });
      expect((await listed('dynamic_active_secrets')).map((each) => each.name)).to.deep.equal(['trusted']);
      setCertificate(authority.issue(['pontoon.test']));
      await put();
      expect((await ask(await portOf('http'))).body).to.equal('hello');
      expect(await ready()).to.equal(200);
      expect(await pontoon.stat('sds.ours.update_success')).to.be.at.least(1);
      expect(await listed('dynamic_warming_secrets')).to.deep.equal([]);
      const active = await listed('dynamic_active_secrets');
      expect(active.map((each) => [each.name, each.client_status])).to.have.deep.members([
        ['ours', 'ACKED'],
        ['trusted', 'ACKED'],
      ]);
      expect(active[0]?.version_info).to.be.a('string');
      expect(await pontoon.stat('sds.ours.update_time')).to.be.closeTo(Date.now(), 60_000);
      expect(await pontoon.stat('sds.ours.version')).to.be.greaterThan(0);
    });

    it('never serves without its secrets, but holds nothing else up after initial_fetch_timeout, and heals', async () => {
      listeners = [listener('http', { initial_fetch_timeout: '0.2s' })];
      await put({ initial_fetch_timeout: '0.2s' });
      await start();
      await until('live', async () => ((await ready()) === 200 ? true : undefined));
      expect(await pontoon.get('/listeners')).to.equal('');
      expect(await initDump()).to.contain('listener http: secret ours (SDS), secret trusted (SDS)');
      setTrusted();
      setCertificate(authority.issue(['pontoon.test']));
      await put({ initial_fetch_timeout: '0.2s' });
      expect((await ask(await portOf('http'))).body).to.equal('hello');
    });

    it('keeps what works when a secret is bad, and tells the control plane', async () => {
      setTrusted();
      const good = authority.issue(['pontoon.test']);
      setCertificate(good);
      await put();
      await start();
      const port = await portOf('http');
      const before = await shownCertificate(port);
      setCertificate({ cert: good.cert, key: authority.issue(['another.test']).key });
      const since = await put();
      const nack = await controlPlane.waitForRequest(
        (request) => request.ack === 'nack' && request.type_url.endsWith('.Secret'),
        since,
      );
      expect(nack.error_detail).to.match(/ours.*private_key.*not that of the certificate/);
      expect(nack.error_detail).not.to.contain('PRIVATE');
      expect(await shownCertificate(port)).to.equal(before);
      expect((await ask(port)).status).to.equal(200);
      expect(await pontoon.stat('sds.ours.update_rejected')).to.be.at.least(1);
      setCertificate(authority.issue(['pontoon.test']));
      await put();
      await until('the next one', async () => ((await shownCertificate(port)) === before ? undefined : true));
    });

    it('gives a new user a known secret at once', async () => {
      setTrusted();
      setCertificate(authority.issue(['pontoon.test']));
      await put();
      await start();
      await portOf('http');
      secrets.clear();
      listeners = [...listeners, listener('second')];
      await put();
      expect((await ask(await portOf('second'))).status).to.equal(200);
    });

    it('rotates certificates 50 times under load, and no request fails', async () => {
      setTrusted();
      setCertificate(authority.issue(['pontoon.test']));
      await put();
      await start();
      const port = await portOf('http');
      const running = load(port, authority.cert, client);
      let last = '';
      for (let round = 0; round < 50; round++) {
        const next = authority.issue(['pontoon.test']);
        setCertificate(next);
        await put();
        last = next.cert;
        const target = running.done + 3;
        await until('some requests', () => (running.done >= target ? true : undefined));
      }
      const { X509Certificate } = await import('node:crypto');
      const wanted = new X509Certificate(last).fingerprint256;
      await until('the last one', async () => ((await shownCertificate(port)) === wanted ? true : undefined));
      expect(await running.stop()).to.deep.equal([]);
      const updates = 'listener.127.0.0.1_0.server_ssl_socket_factory.ssl_context_update_by_sds';
      expect(await pontoon.stat(updates)).to.be.within(2, 52);
    });

    it('shows secrets without their keys', async () => {
      setTrusted();
      setCertificate(authority.issue(['pontoon.test']));
      await put();
      await start();
      await portOf('http');
      const dump = JSON.parse(await pontoon.get('/config_dump')) as { configs: Record<string, unknown>[] };
      const section = dump.configs.find((config) => String(config['@type']).endsWith('.SecretsConfigDump'));
      const active = section?.dynamic_active_secrets as { name: string; secret: Record<string, unknown> }[];
      expect(active.map((each) => each.name).sort()).to.deep.equal(['ours', 'trusted']);
      const ours = active.find((each) => each.name === 'ours')?.secret.tls_certificate as Record<string, unknown>;
      expect(ours.private_key).to.deep.equal({ inline_string: '[redacted]' });
      expect(JSON.stringify(dump)).not.to.contain('PRIVATE KEY');
      const certs = JSON.parse(await pontoon.get('/certs')) as {
        certificates: { ca_cert: object[]; cert_chain: Record<string, unknown>[] }[];
      };
      expect(certs.certificates).to.have.length(2);
      const chain = certs.certificates.flatMap((each) => each.cert_chain);
      expect(chain).to.have.length(1);
      expect(chain[0]).to.deep.include({ subject_alt_names: [{ dns: 'pontoon.test' }], days_until_expiration: '0' });
    });
  });

describe('secrets in files', function () {
  this.timeout(60_000);
  let folder: string;
  let pontoon: Pontoon;
  let server: TlsEchoServer;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-secrets-'));
  });
  afterEach(async () => {
    await pontoon?.stop('SIGKILL');
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('are read again when they change, and bad ones are not used', async () => {
    const authority = createAuthority();
    const client = authority.issue(['spiffe://mesh/client']);
    server = await startTlsEchoServer({ ...authority.issue(['server.test']) });
    const write = (file: string, text: string) => {
      writeFileSync(join(folder, `${file}.new`), text);
      renameSync(join(folder, `${file}.new`), join(folder, file));
    };
    const rotate = (next: Certificate) => {
      write('key.pem', next.key);
      write('cert.pem', next.cert);
    };
    rotate(authority.issue(['first.test']));
    write('ca.pem', authority.cert);
    const file = (path: string) => ({ filename: join(folder, path) });
    const http = listenerResource('http', 'ingress', 'routes');
    const bootstrap = stringify({
      admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
      static_resources: {
        secrets: [
          { name: 'ours', tls_certificate: { certificate_chain: file('cert.pem'), private_key: file('key.pem') } },
        ],
        clusters: [
          {
            ...bridgeClusterResource({ name: 'bridge', ports: [server.port], ...lengthPrefixed }),
            transport_socket: upstreamTls({ validation_context: { trusted_ca: file('ca.pem') } }),
          },
        ],
        listeners: [
          withTransportSocket(
            JSON.parse(
              JSON.stringify(http).replace(
                /"rds":\{.*?\}\}/,
                `"route_config":${JSON.stringify(routesResource('routes', { '/': 'bridge' }))}`,
              ),
            ) as object,
            downstreamTls({
              tls_certificate_sds_secret_configs: [{ name: 'ours' }],
              validation_context: { trusted_ca: file('ca.pem') },
            }),
          ),
        ],
      },
    });
    pontoon = await startPontoon({ bootstrap });
    const port = Number(new URL(await pontoon.listener('http')).port);
    const shown = async () => {
      const socket = await tlsConnection(port, { ca: authority.cert, ...client });
      const { subjectaltname } = socket.getPeerCertificate();
      socket.destroy();
      return subjectaltname;
    };
    expect(await shown()).to.equal('DNS:first.test');
    const running = load(port, authority.cert, client);
    for (let round = 0; round < 50; round++) {
      rotate(authority.issue([`round-${round}.test`]));
      const target = running.done + 2;
      await until('some requests', () => (running.done >= target ? true : undefined));
    }
    await until('the last one', async () => ((await shown()) === 'DNS:round-49.test' ? true : undefined));
    expect(await running.stop()).to.deep.equal([]);
    const failures = await pontoon.stat('sds.key_rotation_failed');
    write('cert.pem', 'not a certificate');
    await until('a failure', async () =>
      (await pontoon.stat('sds.key_rotation_failed')) > failures ? true : undefined,
    );
    expect(await shown()).to.equal('DNS:round-49.test');
    rotate(authority.issue(['good.test']));
    await until('a good one', async () => ((await shown()) === 'DNS:good.test' ? true : undefined));
  });

  it('come as resources of a file, and choose the way to each server', async () => {
    const authority = createAuthority();
    const { startFramedServer } = await import('../../control-plane-sample/framed-server.js');
    server = await startTlsEchoServer({ ...authority.issue(['server.test']) });
    const plain = await startFramedServer('plain', 0);
    const path = join(folder, 'secrets.yaml');
    const write = (certificate: Certificate) => {
      const secret = {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
        ...secretResource('ours', { tls_certificate: tlsCertificate(certificate) }),
      };
      writeFileSync(`${path}.new`, stringify({ resources: [secret] }));
      renameSync(`${path}.new`, path);
    };
    write(authority.issue(['first.test']));
    const endpoint = (port: number, mode?: string) => ({
      endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
      ...(mode && { metadata: { filter_metadata: { 'envoy.transport_socket_match': { mode } } } }),
    });
    const http = listenerResource('http', 'ingress', 'routes');
    const inlined = JSON.stringify(http).replace(
      /"rds":\{.*?\}\}/,
      `"route_config":${JSON.stringify(routesResource('routes', { '/': 'bridge' }))}`,
    );
    pontoon = await startPontoon({
      bootstrap: stringify({
        admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
        static_resources: {
          clusters: [
            {
              ...bridgeClusterResource({ name: 'bridge', ports: [1], ...lengthPrefixed }),
              load_assignment: {
                cluster_name: 'bridge',
                endpoints: [{ lb_endpoints: [endpoint(server.port, 'tls'), endpoint(plain.port)] }],
              },
              transport_socket_matches: [
                {
                  name: 'tls',
                  match: { mode: 'tls' },
                  transport_socket: upstreamTls({
                    validation_context: trusting(authority, sanOf('DNS', { exact: 'server.test' })),
                  }),
                },
                // Nothing matches it: its secret is not waited for.
                {
                  name: 'unused',
                  match: { mode: 'never' },
                  transport_socket: upstreamTls({
                    tls_certificate_sds_secret_configs: [
                      { name: 'missing', sds_config: { path_config_source: { path }, initial_fetch_timeout: '0s' } },
                    ],
                  }),
                },
              ],
            },
          ],
          listeners: [
            withTransportSocket(
              JSON.parse(inlined) as object,
              downstreamTls({
                tls_certificate_sds_secret_configs: [
                  { name: 'ours', sds_config: { path_config_source: { path }, resource_api_version: 'V3' } },
                ],
              }),
            ),
          ],
        },
      }),
    });
    try {
      const port = Number(new URL(await pontoon.listener('http')).port);
      const shown = async () => {
        const socket = await tlsConnection(port, { ca: authority.cert });
        const { subjectaltname } = socket.getPeerCertificate();
        socket.destroy();
        return subjectaltname;
      };
      expect(await shown()).to.equal('DNS:first.test');
      const answers: string[] = [];
      for (let count = 0; count < 4; count++)
        answers.push((await tlsRequest(port, { ca: authority.cert, body: 'x' })).body);
      expect(answers.sort()).to.deep.equal(['plain: x\n', 'plain: x\n', 'x', 'x']);
      expect(server.sockets).to.have.length(1);
      write(authority.issue(['second.test']));
      await until('the next one', async () => ((await shown()) === 'DNS:second.test' ? true : undefined));
    } finally {
      await plain.close();
    }
  });
});
