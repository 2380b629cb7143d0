import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { type Authority, type Certificate, createAuthority } from '../support/certificates.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, listenerResource, routesResource } from '../support/resources.js';
import { lengthPrefixed } from '../support/static-bootstrap.js';
import {
  downstreamTls,
  sanOf,
  tlsCertificate,
  tlsConnection,
  tlsRequest,
  trusting,
  upstreamTls,
  withTransportSocket,
} from '../support/tls-config.js';
import { startTlsEchoServer, type TlsEchoServer } from '../support/tls-server.js';
import { until } from '../support/until.js';

const modes = [
  { name: 'in one process', flags: [] },
  { name: 'with one worker', flags: ['--isolate'] },
  { name: 'with two workers', flags: ['--concurrency', '2'] },
];

for (const { name, flags } of modes) {
  describe(`TLS on both sides, ${name}`, function () {
    this.timeout(60_000);
    let authority: Authority;
    let other: Authority;
    let ours: Certificate;
    let client: Certificate;
    let folder: string;
    const closers: (() => Promise<unknown>)[] = [];

    before(() => {
      authority = createAuthority();
      other = createAuthority('other CA');
      ours = authority.issue(['pontoon.test', 'spiffe://mesh/pontoon', '127.0.0.1']);
      client = authority.issue(['client.test', 'spiffe://mesh/client']);
    });
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'pontoon-tls-'));
    });
    afterEach(async () => {
      for (const close of closers.splice(0).reverse()) await close();
      rmSync(folder, { recursive: true, force: true });
    });

    const startServer = async (options: TlsOptions): Promise<TlsEchoServer> => {
      const server = await startTlsEchoServer(options);
      closers.push(() => server.close());
      return server;
    };
    const start = async (options: {
      readonly downstream?: object;
      readonly upstream?: object;
      readonly port: number;
      readonly hcm?: object;
      readonly chain?: object;
      readonly clusters?: readonly object[];
    }): Promise<Pontoon> => {
      const { downstream, upstream, port, hcm = {}, chain, clusters = [] } = options;
      const cluster = bridgeClusterResource({ name: 'bridge', ports: [port], ...lengthPrefixed });
      const plain = inlineRoutes(listenerResource('http', 'ingress', 'routes'), hcm);
      const listener = downstream ? withTransportSocket(plain, downstream, chain) : plain;
      const bootstrap = stringify({
        admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
        static_resources: {
          clusters: [{ ...cluster, ...(upstream && { transport_socket: upstream }) }, ...clusters],
          listeners: [listener],
        },
      });
      const pontoon = await startPontoon({ bootstrap, args: [...flags] });
      closers.push(() => pontoon.stop('SIGKILL'));
      return pontoon;
    };
    const portOf = async (pontoon: Pontoon) => Number(new URL(await pontoon.listener('http')).port);
    const statReaches = (pontoon: Pontoon, stat: string, value: number) =>
      until(`${stat} ${value}`, async () => ((await pontoon.stat(stat)) === value ? true : undefined));
    const listenerStat = async (pontoon: Pontoon, stat: string, value: number) => {
      await statReaches(pontoon, `listener.127.0.0.1_0.ssl.${stat}`, value);
    };
    const refused = async (attempt: Promise<unknown>) => {
      const error = await attempt.then(
        () => undefined,
        (reason: Error) => reason,
      );
      expect(error).to.be.an('error');
    };

    it('carries requests with client certificates on both hops, and tells the server who the client is', async () => {
      const server = await startServer({ ...serverOptions(authority, authority.issue(['server.test'])) });
      const log = join(folder, 'access.log');
      const pontoon = await start({
        port: server.port,
        downstream: downstreamTls(
          {
            tls_certificates: [tlsCertificate(ours)],
            validation_context: trusting(authority, sanOf('URI', { prefix: 'spiffe://mesh/' })),
            alpn_protocols: ['h2', 'http/1.1'],
          },
          { require_client_certificate: true },
        ),
        upstream: upstreamTls(
          {
            tls_certificates: [tlsCertificate(ours)],
            validation_context: trusting(authority, sanOf('DNS', { exact: 'server.test' })),
          },
          { sni: 'server.test' },
        ),
        hcm: {
          forward_client_cert_details: 'SANITIZE_SET',
          set_current_client_cert_details: { subject: true, uri: true, dns: true },
          access_log: [fileLog(log)],
        },
      });
      const port = await portOf(pontoon);
      const identity = { ca: authority.cert, ...client, ALPNProtocols: ['http/1.1'], servername: 'pontoon.test' };
      const answer = await tlsRequest(port, { ...identity, body: 'hello' });
      expect(answer).to.include({ status: 200, body: 'hello' });
      expect(server.sockets[0]?.authorized).to.equal(true);
      expect(server.sockets[0]).to.have.property('servername', 'server.test');
      expect(server.sockets[0]?.getPeerX509Certificate()?.subjectAltName).to.contain('spiffe://mesh/pontoon');
      const socket = await tlsConnection(port, identity);
      expect(socket.alpnProtocol).to.equal('http/1.1');
      socket.end();
      await listenerStat(pontoon, 'handshake', 2);
      await statReaches(pontoon, 'cluster.bridge.ssl.handshake', 1);
      expect(await pontoon.stat('http.ingress.downstream_cx_ssl_total')).to.equal(2);
      const line = await until('the access log', () => readLog(log));
      expect(line).to.match(
        /^TLSv1\.3 TLS_\w+ pontoon\.test spiffe:\/\/mesh\/client client\.test CN=client\.test [0-9a-f]{64} https By=spiffe:\/\/mesh\/pontoon;Hash=[0-9a-f]{64};Subject="CN=client\.test";URI=spiffe:\/\/mesh\/client;DNS=client\.test$/,
      );
    });

    it('refuses clients without the right certificate, and counts why', async () => {
      const server = await startServer({ ...authority.issue(['server.test']) });
      const pontoon = await start({
        port: server.port,
        downstream: downstreamTls(
          {
            tls_certificates: [tlsCertificate(ours)],
            validation_context: trusting(authority, sanOf('URI', { exact: 'spiffe://mesh/client' })),
          },
          { require_client_certificate: true },
        ),
        upstream: upstreamTls({}),
      });
      const port = await portOf(pontoon);
      const as = (certificate: Partial<Certificate>) => tlsRequest(port, { ca: authority.cert, ...certificate });
      await refused(as({}));
      await listenerStat(pontoon, 'fail_verify_no_cert', 1);
      await refused(as(other.issue(['spiffe://mesh/client'])));
      await listenerStat(pontoon, 'fail_verify_error', 1);
      await refused(as(authority.issue(['spiffe://mesh/other'])));
      await listenerStat(pontoon, 'fail_verify_san', 1);
      await refused(as(authority.issue(['spiffe://mesh/client'], { validForMs: -1_000 })));
      await listenerStat(pontoon, 'fail_verify_error', 2);
      expect((await as(client)).status).to.equal(200);
      await listenerStat(pontoon, 'handshake', 1);
      expect(await pontoon.stat('listener.127.0.0.1_0.ssl.connection_error')).to.equal(0);
      await statReaches(pontoon, 'listener.127.0.0.1_0.downstream_cx_active', 0);
    });

    it('refuses clients whose certificates were revoked, and reads the list again when it changes', async () => {
      const server = await startServer({ ...authority.issue(['server.test']) });
      const other = authority.issue(['spiffe://mesh/other']);
      const list = join(folder, 'revoked.pem');
      const write = (certificates: readonly Certificate[]) => {
        writeFileSync(`${list}.new`, authority.revoke(certificates));
        renameSync(`${list}.new`, list);
      };
      write([]);
      const pontoon = await start({
        port: server.port,
        downstream: downstreamTls(
          {
            tls_certificates: [tlsCertificate(ours)],
            validation_context: trusting(authority, { crl: { filename: list } }),
          },
          { require_client_certificate: true },
        ),
        upstream: upstreamTls({}),
      });
      const port = await portOf(pontoon);
      const as = (certificate: Certificate) => tlsRequest(port, { ca: authority.cert, ...certificate, body: 'x' });
      const isRefused = (certificate: Certificate) =>
        as(certificate).then(
          () => undefined,
          () => true,
        );
      expect((await as(client)).body).to.equal('x');
      write([client]);
      await until('the refusal', () => isRefused(client));
      await until('its count', async () =>
        (await pontoon.stat('listener.127.0.0.1_0.ssl.fail_verify_error')) > 0 ? true : undefined,
      );
      expect((await as(other)).body).to.equal('x');
      write([other]);
      await until('the pardon', () =>
        as(client).then(
          () => true,
          () => undefined,
        ),
      );
      // Each worker has its own.
      await until('the other one', () => isRefused(other));
      expect((await as(client)).body).to.equal('x');
    });

    const names: readonly [string, object, string | undefined, string | false][] = [
      ['sni', { sni: 'one.test' }, undefined, 'one.test'],
      ['sni of a host that has a name', { sni: 'one.test' }, 'host.test', 'one.test'],
      ['auto_host_sni', { auto_host_sni: true }, 'host.test', 'host.test'],
      ['auto_host_sni before sni', { auto_host_sni: true, sni: 'one.test' }, 'host.test', 'host.test'],
      ['auto_host_sni of a host without a name', { auto_host_sni: true, sni: 'one.test' }, undefined, 'one.test'],
      ['an address, which is no name', { sni: '127.0.0.1' }, undefined, false],
      ['nothing', {}, 'host.test', false],
    ];
    it('asks servers for the name that is configured', async () => {
      const servers = await Promise.all(names.map(() => startServer({ ...authority.issue(['server.test']) })));
      const clusters = names.map(([, socket, hostname], index) => {
        const cluster = bridgeClusterResource({
          name: `cluster-${index}`,
          ports: [servers[index]?.port ?? 0],
          ...lengthPrefixed,
        });
        const named = hostname
          ? JSON.stringify(cluster).replace('"endpoint":{', `"endpoint":{"hostname":"${hostname}",`)
          : JSON.stringify(cluster);
        return { ...(JSON.parse(named) as object), transport_socket: upstreamTls({}, socket) };
      });
      const routes = Object.fromEntries(names.map((_, index) => [`/${index}`, `cluster-${index}`]));
      const pontoon = await start({ port: 1, clusters, hcm: { route_config: routesResource('routes', routes) } });
      const port = await portOf(pontoon);
      for (const [index, [what, , , name]] of names.entries()) {
        await (await fetch(`http://127.0.0.1:${port}/${index}`, { method: 'POST', body: 'x' })).text();
        const socket = servers[index]?.sockets[0] as TLSSocket & { servername?: string | false };
        expect(socket.servername ?? false, what).to.equal(name);
      }
    });

    it('does not take what is no TLS', async () => {
      const server = await startServer({ ...authority.issue(['server.test']) });
      const downstream = downstreamTls({ tls_certificates: [tlsCertificate(ours)] });
      const pontoon = await start({ port: server.port, downstream });
      const port = await portOf(pontoon);
      await refused(fetch(`http://127.0.0.1:${port}/`));
      await listenerStat(pontoon, 'connection_error', 1);
      // The server speaks TLS, the cluster does not.
      expect((await tlsRequest(port, { ca: authority.cert, body: 'x' })).status).to.equal(503);
      await listenerStat(pontoon, 'no_certificate', 1);
    });

    it('ends handshakes that take too long', async () => {
      const server = await startServer({ ...authority.issue(['server.test']) });
      const pontoon = await start({
        port: server.port,
        downstream: downstreamTls({ tls_certificates: [tlsCertificate(ours)] }),
        chain: { transport_socket_connect_timeout: '0.1s' },
      });
      const { connect } = await import('node:net');
      const socket = connect(await portOf(pontoon), '127.0.0.1');
      socket.on('error', () => undefined);
      await new Promise((resolve) => socket.on('close', resolve));
      await statReaches(pontoon, 'listener.127.0.0.1_0.downstream_cx_transport_socket_connect_timeout', 1);
    });

    it('lets go of clients that leave before or while they shake hands', async () => {
      const server = await startServer({ ...authority.issue(['server.test']) });
      const pontoon = await start({
        port: server.port,
        downstream: downstreamTls({ tls_certificates: [tlsCertificate(ours)] }),
      });
      const port = await portOf(pontoon);
      const { connect } = await import('node:net');
      const probe = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => probe.end());
      probe.on('error', () => undefined).resume();
      await new Promise((resolve) => probe.on('close', resolve));
      // It is content with the certificate, and says no last word.
      const socket = await tlsConnection(port, { ca: authority.cert });
      socket.on('error', () => undefined).destroy();
      await statReaches(pontoon, 'listener.127.0.0.1_0.downstream_cx_destroy', 2);
      await statReaches(pontoon, 'listener.127.0.0.1_0.downstream_cx_active', 0);
    });

    const badServers: [string, () => { server: TlsOptions; upstream: object; stat: string; reason: RegExp }][] = [
      [
        'of an authority that is not trusted',
        () => ({
          server: { ...other.issue(['server.test']) },
          upstream: upstreamTls({ validation_context: trusting(authority) }),
          stat: 'fail_verify_error',
          reason: /CERTIFICATE_VERIFY_FAILED/,
        }),
      ],
      [
        'with another name',
        () => ({
          server: { ...authority.issue(['other.test']) },
          upstream: upstreamTls({ validation_context: trusting(authority, sanOf('DNS', { exact: 'server.test' })) }),
          stat: 'fail_verify_san',
          reason: /subject_alternative_names/,
        }),
      ],
      [
        'with another name than it was asked for',
        () => ({
          server: { ...authority.issue(['other.test']) },
          upstream: upstreamTls(
            { validation_context: trusting(authority) },
            { sni: 'server.test', auto_sni_san_validation: true },
          ),
          stat: 'fail_verify_san',
          reason: /subject_alternative_names/,
        }),
      ],
      [
        'with another hash',
        () => ({
          server: { ...authority.issue(['server.test']) },
          upstream: upstreamTls({ validation_context: { verify_certificate_hash: ['ab'.repeat(32)] } }),
          stat: 'fail_verify_cert_hash',
          reason: /hash/,
        }),
      ],
      [
        'whose certificate was revoked',
        () => {
          const revoked = authority.issue(['server.test']);
          const crl = { inline_string: authority.revoke([revoked]) };
          return {
            server: { ...revoked },
            upstream: upstreamTls({ validation_context: trusting(authority, { crl }) }),
            stat: 'fail_verify_error',
            reason: /CERT_REVOKED|revoked/,
          };
        },
      ],
      [
        'that wants a client certificate',
        () => ({
          server: serverOptions(authority, authority.issue(['server.test'])),
          upstream: upstreamTls({ validation_context: trusting(authority) }),
          stat: 'connection_error',
          reason: /TLS_error:_ERR_SSL/,
        }),
      ],
    ];
    for (const [what, make] of badServers)
      it(`does not talk to a server ${what}`, async () => {
        const { server: options, upstream, stat, reason } = make();
        const server = await startServer(options);
        const log = join(folder, 'access.log');
        const pontoon = await start({ port: server.port, upstream, hcm: { access_log: [failureLog(log)] } });
        const response = await fetch(`http://127.0.0.1:${await portOf(pontoon)}/`, { method: 'POST', body: 'secret' });
        expect(response.status).to.equal(503);
        await statReaches(pontoon, `cluster.bridge.ssl.${stat}`, 1);
        const line = await until('the access log', () => readLog(log));
        expect(line).to.match(/^UF /).and.match(reason);
        expect(await pontoon.stat('cluster.bridge.ssl.handshake')).to.equal(0);
      });
  });
}

function inlineRoutes<T extends object>(listener: T, more: object): T {
  const copy = structuredClone(listener) as T & { filter_chains: [{ filters: [{ typed_config: object }] }] };
  const [{ filters }] = copy.filter_chains;
  const { rds: _rds, ...config } = filters[0].typed_config as { rds?: object };
  filters[0].typed_config = {
    ...config,
    route_config: {
      name: 'routes',
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'bridge' } }],
        },
      ],
    },
    ...more,
  };
  return copy;
}

/** A server that wants clients of the authority. */
const serverOptions = (authority: Authority, certificate: Certificate): TlsOptions & ConnectionOptions => ({
  ...certificate,
  ca: authority.cert,
  requestCert: true,
  rejectUnauthorized: true,
});

const logTo = (path: string, format: string) => ({
  name: 'envoy.access_loggers.file',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
    path,
    log_format: { text_format_source: { inline_string: `${format}\n` } },
  },
});
const fileLog = (path: string) =>
  logTo(
    path,
    '%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% %REQUESTED_SERVER_NAME% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_DNS_SAN% %DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_PEER_FINGERPRINT_256% %REQ(:SCHEME)% %REQ(X-FORWARDED-CLIENT-CERT)%',
  );
const failureLog = (path: string) => logTo(path, '%RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON%');

function readLog(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').split('\n')[0] || undefined;
  } catch {
    return undefined;
  }
}
