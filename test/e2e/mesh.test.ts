import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { type FramedServer, startFramedServer } from '../../control-plane-sample/framed-server.js';
import { type Authority, createAuthority } from '../support/certificates.js';
import { type RunningEnvoy, requireEnvoy, startEnvoy } from '../support/envoy.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, routesResource } from '../support/resources.js';
import { localPorts, processTree } from '../support/sockets.js';
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

/** Sends the request's headers to the server, as JSON in a frame of 4 bytes of length, and answers with what comes back. */
const headersPlugin = `
export const bridges = {
  headers: {
    parseConfig: () => undefined,
    createBridge: () => ({
      encodeHeaders(headers, dataForSet) {
        const body = Buffer.from(JSON.stringify(headers.getAllHeaders()));
        const length = Buffer.alloc(4);
        length.writeUInt32BE(body.length);
        dataForSet.set(Buffer.concat([length, body]));
        return 0;
      },
      encodeData: () => 0,
      onUpstreamData(headers, buffer) {
        const bytes = buffer.bytes();
        if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt32BE(0)) return 1;
        buffer.drain(4);
        return 2;
      },
    }),
  },
};
`;

describe('between two Envoys of a mesh, with mutual TLS on both hops', function () {
  this.timeout(60_000);
  let binary: string;
  let folder: string;
  let authority: Authority;
  let server: FramedServer;
  let behind: RunningEnvoy;
  let front: RunningEnvoy;
  let pontoon: Pontoon;

  before(async function () {
    binary = await requireEnvoy(this);
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-mesh-'));
    authority = createAuthority();
  });
  afterEach(async () => {
    await front?.stop();
    await pontoon?.stop('SIGKILL');
    await behind?.stop();
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const identity = (name: string) => ({
    tls_certificates: [tlsCertificate(authority.issue([`spiffe://mesh/${name}`]))],
  });
  const only = (name: string) => ({
    validation_context: trusting(authority, sanOf('URI', { exact: `spiffe://mesh/${name}` })),
  });

  /** @returns where clients of the front Envoy go, and Pontoon's own port */
  async function startMesh(
    bridge: { readonly library: string; readonly plugin: string },
    args: readonly string[] = [],
  ): Promise<{ readonly url: string; readonly pontoonPort: number }> {
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
    const logFormat = '%REQ(X-REQUEST-ID)%|%REQ(TRACEPARENT)%|%REQ(X-FORWARDED-CLIENT-CERT)%|%DOWNSTREAM_PEER_URI_SAN%';
    const listener = withTransportSocket(
      listenerOf(
        'http',
        httpManager(routesResource('routes', { '/': 'bridge' }), {
          forward_client_cert_details: 'APPEND_FORWARD',
          set_current_client_cert_details: { uri: true },
          access_log: [
            extension('envoy.access_loggers.file', 'envoy.extensions.access_loggers.file.v3.FileAccessLog', {
              path: join(folder, 'access.log'),
              log_format: { text_format_source: { inline_string: `${logFormat}\n` } },
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
      args: ['--plugin-root', folder, ...args],
      bootstrap: stringify({
        admin: { address: address(0) },
        static_resources: {
          clusters: [
            {
              ...bridgeClusterResource({ name: 'bridge', ports: [await portOf(behind)], ...bridge }),
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
              always_set_request_id_in_response: true,
            }),
          ),
        ],
      ),
    });
    return { url: `http://127.0.0.1:${await portOf(front)}/`, pontoonPort };
  }

  const id = '6b1e1c9e-1f0e-4a53-9d32-0b8f9f2c7a11';
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const earlier = 'By=spiffe://mesh/front;Hash=00;URI=spiffe://mesh/edge';

  it('carries requests, and tells who has sent them', async () => {
    const { url } = await startMesh(lengthPrefixed);
    const headers = { 'x-request-id': id, traceparent: trace, 'x-forwarded-client-cert': earlier };
    for (let count = 0; count < 3; count++) {
      const response = await fetch(url, { method: 'POST', body: 'hello', headers });
      expect(`${response.status} ${await response.text()}`).to.equal('200 server: hello\n');
    }
    const line = await until('the access log', () => readLine(join(folder, 'access.log')));
    const [requestId, traceparent, clients = '', peer] = line.split('|');
    expect([requestId, traceparent, peer]).to.deep.equal([id, trace, 'spiffe://mesh/front']);
    expect(clients).to.match(
      /^By=spiffe:\/\/mesh\/front;Hash=00;URI=spiffe:\/\/mesh\/edge,By=spiffe:\/\/mesh\/pontoon;Hash=[0-9a-f]{64};URI=spiffe:\/\/mesh\/front$/,
    );
    expect(await front.admin('/stats?filter=cluster.pontoon.ssl.fail')).not.to.match(/: [1-9]/);
    expect(await behind.admin('/stats?filter=ssl.handshake')).to.match(/ssl\.handshake: 1/);
    expect(await pontoon.stat('cluster.bridge.ssl.handshake')).to.equal(1);
  });

  it('gives request ids, trace headers and client certificates to the server as they came', async () => {
    writeFileSync(join(folder, 'headers.mjs'), headersPlugin);
    const { url } = await startMesh({ library: join(folder, 'headers.mjs'), plugin: 'headers' });
    const kept = {
      'x-request-id': id,
      traceparent: trace,
      tracestate: 'congo=t61rcWkgMzE,rojo=00f067aa0ba902b7',
      baggage: 'user=alice,tier=gold',
      b3: '80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90',
      'x-b3-traceid': '80f198ee56343ba864fe8b2a57d3eff7',
      'x-b3-spanid': 'e457b5a2e4d86bd1',
      'x-b3-parentspanid': '05e3ac9a4f6e3b90',
      'x-b3-sampled': '1',
      'x-b3-flags': '1',
      'x-ot-span-context': 'a;b;c',
      'x-datadog-trace-id': '7277407061855694839',
      'x-cloud-trace-context': '105445aa7843bc8bf206b12000100000/1;o=1',
      'grpc-trace-bin': 'AAAR',
      'x-client-trace-id': 'client-7',
    };
    const ask = async (headers: Record<string, string>) => {
      const response = await fetch(url, { headers });
      const text = await response.text();
      expect(response.status, text).to.equal(200);
      // The server has put its name before.
      const lists = JSON.parse(text.slice('server: '.length)) as Record<string, string[]>;
      const seen = Object.fromEntries(Object.entries(lists).map(([name, values]) => [name, values.join()]));
      return { seen, requestId: response.headers.get('x-request-id') };
    };
    const { seen } = await ask({ ...kept, 'x-forwarded-client-cert': earlier });
    expect(seen).to.include(kept);
    expect(seen['x-forwarded-client-cert']).to.match(
      /^By=spiffe:\/\/mesh\/front;Hash=00;.*,By=.*;URI=spiffe:\/\/mesh\/front$/,
    );
    // Where the client has none the first Envoy makes one, and it stays that.
    const made = await ask({});
    expect(made.requestId).to.match(/^[0-9a-f-]{36}$/);
    expect(made.seen['x-request-id']).to.equal(made.requestId);
    expect(Object.keys(made.seen).filter((name) => /trace|b3/.test(name))).to.deep.equal([]);
  });

  for (const [what, flags] of [
    ['in one process', []],
    ['with two workers', ['--concurrency', '2']],
  ] as const)
    it(`at SIGTERM /ready fails first, new connections are taken for a while, then it drains and ends with 0, ${what}`, async () => {
      const { url, pontoonPort } = await startMesh(lengthPrefixed, ['--shutdown-delay-s', '1', ...flags]);
      const client = { ca: authority.cert, ...authority.issue(['spiffe://mesh/front']) };
      const ready = async () => (await fetch(`${pontoon.admin}/ready`)).status;
      /** What a request on a new connection, which would be kept, is told to do with it. */
      const ask = async () => {
        const agent = new Agent({ keepAlive: true });
        try {
          return (await tlsRequest(pontoonPort, { ...client, agent, body: 'x' })).headers.connection;
        } finally {
          agent.destroy();
        }
      };
      expect((await fetch(url, { method: 'POST', body: 'x' })).status).to.equal(200);
      expect(await ask()).not.to.equal('close');
      expect(await ready()).to.equal(200);
      const ended = pontoon.stop();
      await until('a failing /ready', async () => ((await ready()) === 503 ? true : undefined));
      // Through the mesh and on connections of one's own: served, and asked to go.
      const answer = await fetch(url, { method: 'POST', body: 'x' });
      expect(`${answer.status} ${await answer.text()}`).to.equal('200 server: x\n');
      expect(
        await until('the word of all workers', async () => ((await ask()) === 'close' ? true : undefined)),
      ).to.equal(true);
      const last = await tlsConnection(pontoonPort, client);
      expect(await ready()).to.equal(503);
      last.destroy();
      expect(await ended).to.equal(0);
      const refused = await ask().then(
        () => undefined,
        (error: NodeJS.ErrnoException) => error.code,
      );
      expect(refused).to.equal('ECONNREFUSED');
    });

  for (const [what, flags] of [
    ['in one process', []],
    ['with a worker', ['--isolate']],
    ['with two workers', ['--concurrency', '2']],
  ] as const)
    it(`leaves the ports of a sidecar, 15000 to 15090, alone, ${what}`, async function () {
      // Elsewhere there is no list of sockets to read.
      if (process.platform !== 'linux') this.skip();
      const { url } = await startMesh(lengthPrefixed, flags);
      expect((await fetch(url, { method: 'POST', body: 'x' })).status).to.equal(200);
      const processes = processTree(pontoon.child.pid as number);
      expect(processes.length).to.be.greaterThan(flags.length === 0 ? 0 : 1);
      const ports = processes.flatMap(localPorts);
      expect(ports).to.include(Number(new URL(pontoon.admin).port));
      expect(ports.filter((port) => port >= 15_000 && port <= 15_090)).to.deep.equal([]);
    });
});

function readLine(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').split('\n')[0] || undefined;
  } catch {
    return undefined;
  }
}
