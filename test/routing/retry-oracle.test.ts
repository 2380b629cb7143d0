import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { compileFormat } from '../../src/access-log/format.js';
import { eventually } from '../bridge/harness.js';
import { type RunningEnvoy, requireEnvoy, startEnvoy } from '../support/envoy.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { active, route } from '../xds/resources/translators.js';
import { realBed } from './real-bed.js';

/** What a server does with an attempt: answers with a status, closes the connection, or stays silent. */
type Act = number | 'close' | 'silence';

interface Case {
  readonly name: string;
  /** Of the route; none: the virtual host's. */
  readonly policy?: string;
  readonly cluster?: 'echo' | 'down';
  readonly script: readonly Act[];
}

const backOff = 'retry_back_off: { base_interval: 0.001s }';
const cases: readonly Case[] = [
  { name: 'no condition fits', policy: '{ retry_on: retriable-4xx }', script: [503] },
  { name: 'inherited', script: [503, 200] },
  { name: 'once by default', policy: `{ retry_on: 5xx, ${backOff} }`, script: [503, 500, 200] },
  { name: 'twice', policy: `{ retry_on: 5xx, num_retries: 2, ${backOff} }`, script: [503, 500, 200] },
  {
    name: 'gateway errors',
    policy: `{ retry_on: gateway-error, num_retries: 5, ${backOff} }`,
    script: [502, 504, 505],
  },
  { name: 'a conflict', policy: `{ retry_on: retriable-4xx, ${backOff} }`, script: [409, 404] },
  {
    name: 'status codes',
    policy: `{ retry_on: retriable-status-codes, retriable_status_codes: [418], num_retries: 3, ${backOff} }`,
    script: [418, 418, 503],
  },
  { name: 'a reset', policy: `{ retry_on: reset, ${backOff} }`, script: ['close', 200] },
  { name: 'resets to the end', policy: `{ retry_on: reset, ${backOff} }`, script: ['close', 'close'] },
  { name: 'a reset that does not count', policy: `{ retry_on: connect-failure, ${backOff} }`, script: ['close'] },
  { name: 'a reset after the request', policy: `{ retry_on: reset-before-request, ${backOff} }`, script: ['close'] },
  { name: 'a reset as 5xx', policy: `{ retry_on: gateway-error, ${backOff} }`, script: ['close', 204] },
  {
    name: 'a slow attempt',
    policy: `{ retry_on: reset, per_try_timeout: 0.1s, ${backOff} }`,
    script: ['silence', 200],
  },
  {
    name: 'slow attempts to the end',
    policy: `{ retry_on: 5xx, per_try_timeout: 0.1s, ${backOff} }`,
    script: ['silence', 'silence'],
  },
  { name: 'a slow attempt alone', policy: '{ per_try_timeout: 0.1s }', script: ['silence'] },
  { name: 'no retries left', policy: '{ retry_on: 5xx, num_retries: 0 }', script: [503] },
  {
    name: 'nobody there',
    policy: `{ retry_on: connect-failure, num_retries: 2, ${backOff} }`,
    cluster: 'down',
    script: [],
  },
  { name: 'nobody there, no condition fits', policy: '{ retry_on: retriable-4xx }', cluster: 'down', script: [] },
];

const routeConfigYaml = `
name: routes
virtual_hosts:
- name: all
  domains: ["*"]
  retry_policy: { retry_on: 5xx, ${backOff} }
  include_request_attempt_count: true
  include_attempt_count_in_response: true
  include_is_timeout_retry_header: true
  routes:
${cases
  .map(
    ({ policy, cluster = 'echo' }, index) =>
      `  - { match: { path: /${index} }, route: { cluster: ${cluster}${policy ? `, retry_policy: ${policy}` : ''} } }`,
  )
  .join('\n')}
`;

const format = '%RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_REQUEST_ATTEMPT_COUNT%';
const stats = [
  'upstream_rq_retry',
  'upstream_rq_retry_success',
  'upstream_rq_retry_limit_exceeded',
  'upstream_rq_retry_overflow',
  'upstream_rq_retry_backoff_exponential',
  'upstream_rq_per_try_timeout',
  'upstream_rq_timeout',
  'upstream_rq_completed',
  'upstream_rq_503',
  'upstream_rq_504',
  'upstream_rq_200',
  'retry.upstream_rq_503',
  'retry.upstream_rq_5xx',
  'retry.upstream_rq_completed',
];

/** What a server saw of the attempts of each case. */
type Seen = Map<string, string[]>;

function note(seen: Seen, path: string, attempt: string): Act {
  const attempts = seen.get(path) ?? [];
  seen.set(path, attempts);
  attempts.push(attempt);
  return cases[Number(path.slice(1))]?.script[attempts.length - 1] ?? 599;
}

const aboutAttempts = (get: (name: string) => unknown): string =>
  ['x-envoy-attempt-count', 'x-envoy-is-timeout-retry'].map((name) => `${name}=${get(name) ?? ''}`).join(' ');

describe('router: retries, Envoy as oracle', () => {
  const theirSeen: Seen = new Map();
  const ourSeen: Seen = new Map();
  let envoy: RunningEnvoy;
  let httpServer: Server;
  let tcpServer: TcpServer;
  let bed: ReturnType<typeof realBed>;
  let folder: string;
  let port: number;

  before(async function () {
    const binary = await requireEnvoy(this);
    folder = await mkdtemp(join(tmpdir(), 'pontoon-retry-'));
    const spare = createServer();
    await new Promise<void>((resolve) => spare.listen(0, '127.0.0.1', resolve));
    const downPort = (spare.address() as AddressInfo).port;
    await new Promise((resolve) => spare.close(resolve));

    httpServer = createServer((incoming, response) => {
      const act = note(
        theirSeen,
        incoming.url ?? '',
        aboutAttempts((name) => incoming.headers[name]),
      );
      if (act === 'close') incoming.socket.destroy();
      else if (act !== 'silence') response.writeHead(act).end();
    });
    await new Promise<void>((resolve) => httpServer.listen(0, '127.0.0.1', resolve));
    const echoPort = (httpServer.address() as AddressInfo).port;
    const bootstrapYaml = bootstrap(join(folder, 'access.log'), echoPort, downPort);
    envoy = await startEnvoy({ binary, bootstrapYaml, args: ['-l', 'error', '--file-flush-interval-msec', '50'] });
    while ((await envoy.admin('/listeners')) === '') await sleep(20);
    port = Number((await envoy.admin('/listeners?format=text')).trim().split(':').pop());

    tcpServer = await startTcpServer({
      onData({ socket }, data) {
        const [path = '', about = ''] = data.toString().split('|');
        const act = note(ourSeen, path, about);
        if (act === 'close') (socket as Socket).destroy();
        else if (act !== 'silence') socket.write(String(act));
      },
    });
    bed = realBed({ config: active(route(routeConfigYaml)), plugin, servers: [tcpServer] });
    bed.setCluster('1', [{ port: downPort }], 'down');
  });

  after(async () => {
    await envoy?.stop();
    httpServer?.closeAllConnections();
    httpServer?.close();
    await bed?.close();
    await tcpServer?.close();
    if (folder) await rm(folder, { recursive: true });
  });

  for (const [index, { name, cluster = 'echo' }] of cases.entries()) {
    it(name, async () => {
      const path = `/${index}`;
      const before = await theirStats(cluster);
      const ourBefore = ourStats(cluster);
      const theirs = await ask(path);
      const stream = bed.send({ ':path': path });
      await eventually(() => stream.ended, 'our reply');
      expect(ourSeen.get(path), 'attempts').to.deep.equal(theirSeen.get(path));
      expect({ status: stream.status, attempts: stream.headers?.get('x-envoy-attempt-count') }).to.deep.equal(theirs);
      const compiled = compileFormat({ kind: 'text', text: format });
      if (!compiled.ok) throw new Error('the format is bad');
      const { info, requestHeaders, headers } = stream;
      const line = compiled.formatter({ info, requestHeaders, responseHeaders: headers, now: 0, wallNow: 0 });
      expect(line).to.equal(await theirLine(path));
      const change = (from: Record<string, number>, to: Record<string, number>) =>
        Object.fromEntries(stats.map((stat) => [stat, (to[stat] ?? 0) - (from[stat] ?? 0)]));
      expect(change(ourBefore, ourStats(cluster))).to.deep.equal(change(before, await theirStats(cluster)));
    });
  }

  const plugin = {
    createBridge: () => ({
      encodeHeaders(
        headers: { readonly path: string; get(name: string): string | undefined },
        data: { set(text: string): void },
      ) {
        data.set(`${headers.path}|${aboutAttempts((name) => headers.get(name))}`);
        return 0 as const;
      },
      onUpstreamData(headers: { status: number }, buffer: { toString(): string; reset(): void; len(): number }) {
        if (buffer.len() === 0) return 1 as const;
        headers.status = Number(buffer.toString());
        buffer.reset();
        return 2 as const;
      },
    }),
  };

  function bootstrap(log: string, echoPort: number, downPort: number): string {
    const cluster = (name: string, to: number): string =>
      `{name: ${name}, type: STATIC, load_assignment: {cluster_name: ${name}, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${to}}}}}]}]}}`;
    return `
static_resources:
  clusters: [${cluster('echo', echoPort)}, ${cluster('down', downPort)}]
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          access_log:
          - name: envoy.access_loggers.file
            typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: ${log}, log_format: {text_format_source: {inline_string: "%REQ(:PATH)% ${format}\\n"}}}
          route_config:${routeConfigYaml.replaceAll('\n', '\n            ')}
`;
  }

  /** POST, so that neither of them takes the end of a pooled connection for a stale one. */
  function ask(path: string): Promise<{ status: number | undefined; attempts: unknown }> {
    return new Promise((resolve, reject) => {
      const sent = request({ port, host: '127.0.0.1', method: 'POST', path, agent: false }, (response) => {
        response.resume();
        response.on('end', () =>
          resolve({ status: response.statusCode, attempts: response.headers['x-envoy-attempt-count'] }),
        );
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  async function theirLine(path: string): Promise<string> {
    for (;;) {
      const lines = (await readFile(join(folder, 'access.log'), 'latin1')).split('\n');
      const line = lines.slice(0, -1).find((text) => text.startsWith(`${path} `));
      if (line !== undefined) return line.slice(path.length + 1);
      await sleep(20);
    }
  }

  function ourStats(cluster: string): Record<string, number> {
    return Object.fromEntries(stats.map((stat) => [stat, bed.counter(stat, cluster)]));
  }

  async function theirStats(cluster: string): Promise<Record<string, number>> {
    const lines = (await envoy.admin(`/stats?filter=^cluster.${cluster}\\.`)).split('\n');
    const values = new Map(lines.map((line) => line.split(': ') as [string, string]));
    return Object.fromEntries(stats.map((stat) => [stat, Number(values.get(`cluster.${cluster}.${stat}`) ?? 0)]));
  }
});
