import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { createAuthority } from '../support/certificates.js';
import { requireEnvoy, startEnvoy } from '../support/envoy.js';
import { startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, routesResource } from '../support/resources.js';
import { lengthPrefixed } from '../support/static-bootstrap.js';
import { downstreamTls, tlsCertificate, tlsRequest, trusting, upstreamTls } from '../support/tls-config.js';
import { startTlsEchoServer } from '../support/tls-server.js';
import { until } from '../support/until.js';

/** Envoy has names of the peer's certificate and its own on both sides, but not all of them to servers. */
const both = [
  ...['TLS_VERSION', 'TLS_CIPHER', 'TLS_GROUP', 'TLS_SESSION_ID'],
  ...['PEER_URI_SAN', 'PEER_DNS_SAN', 'PEER_IP_SAN', 'PEER_SUBJECT', 'PEER_ISSUER', 'PEER_CERT'],
  ...['PEER_CERT_V_START', 'PEER_CERT_V_END', 'LOCAL_URI_SAN', 'LOCAL_DNS_SAN', 'LOCAL_IP_SAN'],
];
const downstreamOnly = [
  ...['PEER_EMAIL_SAN', 'PEER_OTHERNAME_SAN', 'PEER_SERIAL', 'PEER_FINGERPRINT_1', 'PEER_FINGERPRINT_256'],
  ...['PEER_CHAIN_FINGERPRINTS_1', 'PEER_CHAIN_FINGERPRINTS_256', 'PEER_CHAIN_SERIALS'],
  ...['LOCAL_EMAIL_SAN', 'LOCAL_OTHERNAME_SAN', 'LOCAL_SUBJECT'],
];
const operators = [
  ...both.flatMap((name) => [`DOWNSTREAM_${name}`, `UPSTREAM_${name}`]),
  ...downstreamOnly.map((name) => `DOWNSTREAM_${name}`),
  'REQUESTED_SERVER_NAME',
  'FILTER_CHAIN_NAME',
];
/** They are other ones for every connection. */
const random = ['DOWNSTREAM_TLS_SESSION_ID', 'UPSTREAM_TLS_SESSION_ID'];

const typed = (type: string, config: object = {}) => ({
  '@type': `type.googleapis.com/envoy.extensions.${type}`,
  ...config,
});

describe('TLS in access logs', function () {
  this.timeout(60_000);
  let binary: string;
  let folder: string;
  const closers: (() => Promise<unknown>)[] = [];

  before(async function () {
    binary = await requireEnvoy(this);
    folder = mkdtempSync(join(tmpdir(), 'pontoon-log-'));
  });
  after(async () => {
    for (const close of closers) await close();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const version of ['TLSv1_2', 'TLSv1_3'])
    it(`is told as by Envoy, ${version}`, async () => {
      const authority = createAuthority();
      const names = (who: string) => [`${who}.test`, `spiffe://mesh/${who}`, `${who}2.test`, '192.0.2.9'];
      const [ours, client, server] = ['ours', 'client', 'server'].map((who) => authority.issue(names(who))) as [
        ReturnType<typeof authority.issue>,
        ReturnType<typeof authority.issue>,
        ReturnType<typeof authority.issue>,
      ];
      const wantsClients = { ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: true };
      const tls_params = { tls_minimum_protocol_version: version, tls_maximum_protocol_version: version };
      const listenerOf = (log: string) => ({
        name: 'http',
        address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
        // Without it Envoy does not tell which name a client has asked for.
        listener_filters: [{ name: 'tls', typed_config: typed('filters.listener.tls_inspector.v3.TlsInspector') }],
        filter_chains: [
          {
            name: 'the chain',
            filters: [
              {
                name: 'http',
                typed_config: typed('filters.network.http_connection_manager.v3.HttpConnectionManager', {
                  stat_prefix: 'http',
                  route_config: routesResource('routes', { '/': 'server' }),
                  http_filters: [{ name: 'router', typed_config: typed('filters.http.router.v3.Router') }],
                  access_log: [
                    {
                      name: 'file',
                      typed_config: typed('access_loggers.file.v3.FileAccessLog', {
                        path: log,
                        log_format: {
                          json_format: Object.fromEntries(operators.map((operator) => [operator, `%${operator}%`])),
                        },
                      }),
                    },
                  ],
                }),
              },
            ],
            transport_socket: downstreamTls(
              { tls_params, tls_certificates: [tlsCertificate(ours)], validation_context: trusting(authority) },
              { require_client_certificate: true },
            ),
          },
        ],
      });
      const socket = upstreamTls(
        { tls_params, tls_certificates: [tlsCertificate(ours)], validation_context: trusting(authority) },
        { sni: 'server.test' },
      );
      const bootstrapOf = (log: string, cluster: object) =>
        stringify({
          admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
          static_resources: { listeners: [listenerOf(log)], clusters: [{ ...cluster, transport_socket: socket }] },
        });
      async function lineOf(port: number, log: string): Promise<Record<string, string | null>> {
        const identity = { ca: authority.cert, ...client, servername: 'asked.test' };
        expect((await tlsRequest(port, { ...identity, body: 'x' })).status).to.equal(200);
        const text = await until('the access log', () => {
          try {
            return readFileSync(log, 'utf8').trim() || undefined;
          } catch {
            return undefined;
          }
        });
        return JSON.parse(text) as Record<string, string | null>;
      }

      const https = createHttpsServer(wantsClients, (_request, response) => response.end('x'));
      await new Promise<void>((resolve) => https.listen(0, '127.0.0.1', resolve));
      closers.push(async () => https.close());
      const { port: httpsPort } = https.address() as { port: number };
      const endpoints = [
        {
          lb_endpoints: [
            { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: httpsPort } } } },
          ],
        },
      ];
      const envoyLog = join(folder, `envoy-${version}.log`);
      const envoyCluster = { name: 'server', type: 'STATIC', load_assignment: { cluster_name: 'server', endpoints } };
      const envoy = await startEnvoy({ binary, bootstrapYaml: bootstrapOf(envoyLog, envoyCluster) });
      closers.unshift(() => envoy.stop());
      const envoyPort = await until('the listener of Envoy', async () => {
        const found = /:(\d+)$/.exec((await envoy.admin('/listeners')).trim());
        return found ? Number(found[1]) : undefined;
      });
      const inEnvoy = lineOf(envoyPort, envoyLog);

      const echo = await startTlsEchoServer(wantsClients);
      closers.push(() => echo.close());
      const log = join(folder, `pontoon-${version}.log`);
      const cluster = bridgeClusterResource({ name: 'server', ports: [echo.port], ...lengthPrefixed });
      const pontoon = await startPontoon({ bootstrap: bootstrapOf(log, cluster) });
      closers.unshift(() => pontoon.stop('SIGKILL'));
      const line = await lineOf(Number(new URL(await pontoon.listener('http')).port), log);

      const expected = await inEnvoy;
      for (const operator of random) {
        expect(line[operator] === null, operator).to.equal(expected[operator] === null);
        if (expected[operator] !== null) expect(line[operator]).to.match(/^[0-9a-f]{64}$/);
      }
      const withoutRandom = (all: Record<string, string | null>) =>
        Object.fromEntries(Object.entries(all).filter(([operator]) => !random.includes(operator)));
      // Of the ciphers of TLS 1.3, which can't be configured, Envoy prefers another one. Node does not tell servers which group was agreed on.
      const { DOWNSTREAM_TLS_CIPHER = null } = version === 'TLSv1_3' ? line : expected;
      expect(DOWNSTREAM_TLS_CIPHER).to.be.a('string');
      expect(expected.DOWNSTREAM_TLS_GROUP).to.equal('X25519');
      expect(withoutRandom(line)).to.deep.equal({
        ...withoutRandom(expected),
        DOWNSTREAM_TLS_CIPHER,
        DOWNSTREAM_TLS_GROUP: null,
      });
    });
});
