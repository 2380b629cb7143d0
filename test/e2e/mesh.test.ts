import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { type FramedServer, startFramedServer } from '../../control-plane-sample/framed-server.js';
import { createAuthority } from '../support/certificates.js';
import { type RunningEnvoy, requireEnvoy, startEnvoy } from '../support/envoy.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, routesResource } from '../support/resources.js';
import { lengthPrefixed } from '../support/static-bootstrap.js';
import {
  downstreamTls,
  sanOf,
  tlsCertificate,
  trusting,
  upstreamTls,
  withTransportSocket,
} from '../support/tls-config.js';
import { until } from '../support/until.js';

const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });
const staticCluster = (name: string, port: number, socket?: object) => ({
  name,
  type: 'STATIC',
  connect_timeout: '1s',
  load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }] },
  ...(socket && { transport_socket: socket }),
});
const extension = (name: string, type: string, config: object) => ({
  name,
  typed_config: { '@type': `type.googleapis.com/${type}`, ...config },
});
const httpManager = (routes: object, more: object = {}) =>
  extension(
    'envoy.filters.network.http_connection_manager',
    'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    {
      stat_prefix: 'mesh',
      route_config: routes,
      http_filters: [extension('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router', {})],
      ...more,
    },
  );
const listenerOf = (name: string, filter: object, socket?: object) => ({
  name,
  address: address(0),
  filter_chains: [{ filters: [filter], ...(socket && { transport_socket: socket }) }],
});
const bootstrapOf = (clusters: object[], listeners: object[]) =>
  stringify({ static_resources: { clusters, listeners } });

async function portOf(envoy: RunningEnvoy): Promise<number> {
  return until('a listener of Envoy', async () => {
    const text = await envoy.admin('/listeners');
    const found = /:(\d+)$/.exec(text.trim());
    return found ? Number(found[1]) : undefined;
  });
}

describe('between two Envoys of a mesh, with mutual TLS on both hops', () => {
  let binary: string;
  let folder: string;
  let server: FramedServer;
  let behind: RunningEnvoy;
  let front: RunningEnvoy;
  let pontoon: Pontoon;

  before(async function () {
    binary = await requireEnvoy(this);
  });
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-mesh-'));
  });
  afterEach(async () => {
    await front?.stop();
    await pontoon?.stop('SIGKILL');
    await behind?.stop();
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('carries requests, their ids and trace headers, and tells who has sent them', async () => {
    const authority = createAuthority();
    const identity = (name: string) => ({
      tls_certificates: [tlsCertificate(authority.issue([`spiffe://mesh/${name}`]))],
    });
    const only = (name: string) => ({
      validation_context: trusting(authority, sanOf('URI', { exact: `spiffe://mesh/${name}` })),
    });
    server = await startFramedServer('server', 0);
    behind = await startEnvoy({
      binary,
      bootstrapYaml: bootstrapOf(
        [staticCluster('server', server.port)],
        [
          listenerOf(
            'inbound',
            extension('envoy.filters.network.tcp_proxy', 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', {
              stat_prefix: 'inbound',
              cluster: 'server',
            }),
            downstreamTls({ ...identity('server'), ...only('pontoon') }, { require_client_certificate: true }),
          ),
        ],
      ),
    });
    const log = join(folder, 'access.log');
    const listener = withTransportSocket(
      listenerOf(
        'http',
        httpManager(routesResource('routes', { '/': 'bridge' }), {
          forward_client_cert_details: 'APPEND_FORWARD',
          set_current_client_cert_details: { uri: true },
          access_log: [
            extension('envoy.access_loggers.file', 'envoy.extensions.access_loggers.file.v3.FileAccessLog', {
              path: log,
              log_format: {
                text_format_source: {
                  inline_string:
                    '%REQ(X-REQUEST-ID)%|%REQ(TRACEPARENT)%|%REQ(X-FORWARDED-CLIENT-CERT)%|%DOWNSTREAM_PEER_URI_SAN%\n',
                },
              },
            }),
          ],
        }),
      ),
      downstreamTls(
        { ...identity('pontoon'), ...only('front'), alpn_protocols: ['h2', 'http/1.1'] },
        { require_client_certificate: true },
      ),
    );
    pontoon = await startPontoon({
      bootstrap: stringify({
        admin: { address: address(0) },
        static_resources: {
          clusters: [
            {
              ...bridgeClusterResource({ name: 'bridge', ports: [await portOf(behind)], ...lengthPrefixed }),
              transport_socket: upstreamTls({ ...identity('pontoon'), ...only('server') }),
            },
          ],
          listeners: [listener],
        },
      }),
    });
    const pontoonPort = Number(new URL(await pontoon.listener('http')).port);
    front = await startEnvoy({
      binary,
      bootstrapYaml: bootstrapOf(
        [
          staticCluster(
            'pontoon',
            pontoonPort,
            upstreamTls({ ...identity('front'), ...only('pontoon'), alpn_protocols: ['http/1.1'] }),
          ),
        ],
        [
          listenerOf(
            'outbound',
            httpManager(routesResource('routes', { '/': 'pontoon' }), {
              forward_client_cert_details: 'ALWAYS_FORWARD_ONLY',
              preserve_external_request_id: true,
            }),
          ),
        ],
      ),
    });
    const id = '6b1e1c9e-1f0e-4a53-9d32-0b8f9f2c7a11';
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const earlier = 'By=spiffe://mesh/front;Hash=00;URI=spiffe://mesh/edge';
    const url = `http://127.0.0.1:${await portOf(front)}/`;
    const headers = { 'x-request-id': id, traceparent: trace, 'x-forwarded-client-cert': earlier };
    for (let count = 0; count < 3; count++) {
      const response = await fetch(url, { method: 'POST', body: 'hello', headers });
      expect(`${response.status} ${await response.text()}`).to.equal('200 server: hello\n');
    }
    const line = await until('the access log', () => readLine(log));
    const [requestId, traceparent, clients = '', peer] = line.split('|');
    expect([requestId, traceparent, peer]).to.deep.equal([id, trace, 'spiffe://mesh/front']);
    expect(clients).to.match(
      /^By=spiffe:\/\/mesh\/front;Hash=00;URI=spiffe:\/\/mesh\/edge,By=spiffe:\/\/mesh\/pontoon;Hash=[0-9a-f]{64};URI=spiffe:\/\/mesh\/front$/,
    );
    expect(await front.admin('/stats?filter=cluster.pontoon.ssl.fail')).not.to.match(/: [1-9]/);
    expect(await behind.admin('/stats?filter=ssl.handshake')).to.match(/ssl\.handshake: 1/);
    expect(await pontoon.stat('cluster.bridge.ssl.handshake')).to.equal(1);
  });
});

function readLine(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').split('\n')[0] || undefined;
  } catch {
    return undefined;
  }
}
