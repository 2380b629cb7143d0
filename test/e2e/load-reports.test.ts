import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type ClientRequest, createServer, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type RunningEnvoy, requireEnvoy, startEnvoy } from '../support/envoy.js';
import {
  type ClusterReport,
  type LoadReportServer,
  type LoadReportStream,
  startLoadReportServer,
} from '../support/load-report-server.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { until } from '../support/until.js';

/** What a server does with a request: its path says. `hold` keeps it until the test lets go. */
type Act = 'ok' | 'error' | 'missing' | 'close' | 'hold';
const statusOf: Readonly<Record<string, number>> = { ok: 200, error: 503, missing: 404 };

/** Sends the path as a line, and takes an answer's first line for the status. */
const library = `
export const bridges = {
  line: {
    createBridge: () => ({
      encodeHeaders(headers, data) { data.set(headers.path + '\\n'); return 0; },
      onUpstreamData(headers, buffer) {
        if (!buffer.toString().endsWith('\\n')) return 1;
        headers.status = Number(buffer.toString());
        buffer.reset();
        return 2;
      },
    }),
  },
};`;

/** Three servers: two in one zone, one in another. */
const zones = ['east', 'east', 'west'];
const counts = [
  'total_successful_requests',
  'total_error_requests',
  'total_requests_in_progress',
  'total_issued_requests',
] as const;

/** All numbers of one cluster, without those that the two can't have in common: addresses, and how long it took. */
const numbersOf = (report: ClusterReport) => ({
  name: report.cluster_name,
  service: report.cluster_service_name,
  dropped: report.total_dropped_requests,
  categories: report.dropped_requests,
  localities: report.upstream_locality_stats
    .map((each) => ({
      locality: each.locality,
      priority: each.priority,
      counts: counts.map((name) => each[name]),
      endpoints: each.upstream_endpoint_stats.map((one) => counts.map((name) => one[name])),
    }))
    .sort((a, b) => a.locality.zone.localeCompare(b.locality.zone)),
});

/** A connection of its own for each request, so that neither of them takes the end of a pooled one for a stale one. */
class Client {
  readonly #agent = new Agent({ keepAlive: false });
  readonly #port: () => Promise<number>;
  constructor(port: () => Promise<number>) {
    this.#port = port;
  }
  async open(act: Act): Promise<{ readonly sent: ClientRequest; readonly status: Promise<number> }> {
    const sent = request({
      host: '127.0.0.1',
      port: await this.#port(),
      method: 'POST',
      path: `/${act}`,
      agent: this.#agent,
    });
    const status = new Promise<number>((resolve, reject) => {
      sent.on('response', (response) => {
        response.resume();
        response.on('end', () => resolve(response.statusCode ?? 0));
      });
      sent.on('error', reject);
    });
    sent.end();
    return { sent, status };
  }
  async ask(act: Act): Promise<number> {
    return (await this.open(act)).status;
  }
}

const lrsCluster = (port: number) => `{name: lrs, type: STATIC, connect_timeout: 1s,
    typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, explicit_http_config: {http2_protocol_options: {}}}},
    load_assignment: {cluster_name: lrs, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}}}]}]}}`;

function bootstrap(node: string, lrs: number, ports: readonly number[], upstream: string, maxRequests: number): string {
  const localities = ports.map(
    (port, index) =>
      `{locality: {region: r, zone: ${zones[index]}}, lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}}}]}`,
  );
  return `
node: {id: ${node}, cluster: test}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
layered_runtime: {layers: [{name: static, static_layer: {envoy.reloadable_features.report_load_for_non_zero_stats: true}}]}
cluster_manager: {load_stats_config: {api_type: GRPC, transport_api_version: V3, grpc_services: [{envoy_grpc: {cluster_name: lrs}}]}}
static_resources:
  clusters:
  - ${lrsCluster(lrs)}
  - {name: served, type: STATIC, connect_timeout: 1s, circuit_breakers: {thresholds: [{max_requests: ${maxRequests}}]}, load_assignment: {cluster_name: served, endpoints: [${localities.join(', ')}]}${upstream}}
  listeners:
  - name: http
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress
          http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]
          route_config: {name: routes, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /close}, route: {cluster: served, retry_policy: {retry_on: reset, num_retries: 2, retry_back_off: {base_interval: 0.001s}}}}, {match: {prefix: /}, route: {cluster: served}}]}]}
`;
}

/** One proxy with its servers: what is asked of both, and what they report. */
interface Side {
  readonly client: Client;
  stream: LoadReportStream;
  /** Lets go of all held requests. */
  release(): void;
  /** How many are held. */
  held(): number;
}

const maxRequests = 4;

for (const { name, flags } of [
  { name: 'in one process', flags: [] },
  { name: 'with two workers', flags: ['--concurrency', '2'] },
]) {
  // Limits of a circuit breaker are those of one process, as Envoy's are those of one Envoy.
  const shared = flags.length === 0;

  describe(`load reports beside Envoy's, ${name}`, function () {
    this.timeout(60_000);
    let folder: string;
    let server: LoadReportServer;
    let envoy: RunningEnvoy;
    let pontoon: Pontoon;
    let ours: Side;
    let theirs: Side;
    const httpServers: Server[] = [];
    const tcpServers: TcpServer[] = [];

    before(async function () {
      const binary = await requireEnvoy(this);
      folder = mkdtempSync(join(tmpdir(), 'pontoon-lrs-'));
      writeFileSync(join(folder, 'line.mjs'), library);
      server = await startLoadReportServer();
      const theirHeld: ServerResponse[] = [];
      const ourHeld: Socket[] = [];
      for (const _ of zones) {
        const http = createServer((incoming, response) => {
          const act = incoming.url?.slice(1) ?? '';
          if (act === 'hold') theirHeld.push(response);
          else if (act === 'close') incoming.socket.destroy();
          else response.writeHead(statusOf[act] ?? 500).end();
        });
        http.listen(0, '127.0.0.1');
        await once(http, 'listening');
        httpServers.push(http);
        tcpServers.push(
          await startTcpServer({
            onData({ socket }, data) {
              const act = data.toString().trim().slice(1);
              if (act === 'hold') ourHeld.push(socket);
              else if (act === 'close') socket.destroy();
              else socket.write(`${statusOf[act] ?? 500}\n`);
            },
          }),
        );
      }
      const theirPorts = httpServers.map((http) => (http.address() as AddressInfo).port);
      const ourPorts = tcpServers.map(({ port }) => port);
      const upstream = `, upstream_config: {name: envoy.upstreams.http.tcp.golang, typed_config: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config, library_id: line, library_path: ${join(folder, 'line.mjs')}, plugin_name: line}}`;
      envoy = await startEnvoy({
        binary,
        bootstrapYaml: bootstrap('theirs', server.port, theirPorts, '', maxRequests),
        args: ['-l', 'error'],
      });
      pontoon = await startPontoon({
        bootstrap: bootstrap('ours', server.port, ourPorts, upstream, maxRequests),
        args: ['--plugin-root', folder, '-l', 'warning', ...flags],
      });
      ours = {
        client: new Client(async () => Number(new URL(await pontoon.listener('http')).port)),
        stream: await server.stream('ours'),
        release: () => void ourHeld.splice(0).forEach((socket) => void socket.write('200\n')),
        held: () => ourHeld.length,
      };
      theirs = {
        client: new Client(async () =>
          until(
            'the listener of Envoy',
            async () => Number((await envoy.admin('/listeners')).trim().split(':').pop()) || undefined,
          ),
        ),
        stream: await server.stream('theirs'),
        release: () => void theirHeld.splice(0).forEach((response) => void response.end()),
        held: () => theirHeld.length,
      };
    });
    after(async () => {
      await pontoon?.stop('SIGKILL');
      await envoy?.stop();
      server?.stop();
      for (const http of httpServers) {
        http.closeAllConnections();
        http.close();
      }
      await Promise.all(tcpServers.map((each) => each.close()));
      rmSync(folder, { recursive: true, force: true });
    });

    const both = () => [ours, theirs];
    const interval = { load_reporting_interval: { nanos: 300_000_000 } };

    /** Asks both for reports from now on, with what they counted before behind them. */
    async function begin(asked: object): Promise<void> {
      for (const { stream } of both()) {
        const index = stream.reports.length;
        stream.ask({ ...interval, ...asked });
        // The first after the answer; what it has was before.
        await stream.find(({ cluster_stats: all }) => all.some((each) => each.cluster_name === 'served'), index);
      }
    }

    /** The sum of all reports from `index` on, when each number has come that `complete` waits for. */
    async function sumFrom(side: Side, index: number, issued: number, dropped: number) {
      const sum = () => {
        const all = side.stream.reports
          .slice(index)
          .flatMap(({ cluster_stats: each }) => each.filter(({ cluster_name: cluster }) => cluster === 'served'))
          .map(numbersOf);
        const totals = new Map<string, number[]>();
        for (const { localities } of all) {
          for (const { locality, priority, counts: each, endpoints } of localities) {
            const key = `${locality.region}/${locality.zone}/${priority}`;
            const [success = 0, error = 0, total = 0, ends = 0] = totals.get(key) ?? [];
            const [s = 0, e = 0, , i = 0] = each;
            const ofEndpoints = endpoints.reduce((sum, one) => sum + (one[3] ?? 0), 0);
            totals.set(key, [success + s, error + e, total + i, ends + ofEndpoints]);
          }
        }
        return {
          service: [...new Set(all.map(({ service }) => service))],
          categories: all.flatMap(({ categories }) => categories),
          dropped: all.reduce((total, each) => total + each.dropped, 0),
          localities: Object.fromEntries([...totals].sort()),
          issued: [...totals.values()].reduce((total, each) => total + (each[2] ?? 0), 0),
          done: [...totals.values()].reduce((total, each) => total + (each[0] ?? 0) + (each[1] ?? 0), 0),
        };
      };
      return until('the numbers', () => {
        const { issued: came, done, ...rest } = sum();
        return came >= issued && done >= issued && rest.dropped >= dropped
          ? { ...rest, issued: came, done }
          : undefined;
      });
    }

    const cases: readonly { title: string; acts: readonly Act[]; issued: number; endpoints?: boolean }[] = [
      { title: 'requests that succeed', acts: ['ok', 'ok', 'ok', 'ok', 'ok', 'ok'], issued: 6 },
      { title: 'what the client did wrong', acts: ['missing', 'ok', 'missing'], issued: 3 },
      { title: 'what the server did wrong', acts: ['error', 'ok', 'error', 'ok', 'ok', 'error'], issued: 6 },
      { title: 'attempts that are retried', acts: ['close', 'close', 'ok'], issued: 7 },
      { title: 'endpoints', acts: ['ok', 'error', 'missing', 'ok', 'ok', 'ok'], issued: 6, endpoints: true },
    ];
    for (const { title, acts, issued, endpoints = false } of cases)
      it(`has the same numbers of ${title}`, async () => {
        await begin({ clusters: ['served'], report_endpoint_granularity: endpoints });
        const sums: Awaited<ReturnType<typeof sumFrom>>[] = [];
        for (const side of both()) {
          const index = side.stream.reports.length;
          for (const act of acts) await side.client.ask(act);
          sums.push(await sumFrom(side, index, issued, 0));
        }
        // Two workers each begin their turns for themselves: only sums over localities are the same.
        const comparable = ({ localities, ...rest }: Awaited<ReturnType<typeof sumFrom>>) => {
          const all = Object.values(localities);
          const total = [0, 1, 2, 3].map((index) => all.reduce((sum, each) => sum + (each[index] ?? 0), 0));
          return { ...rest, total, ...(shared && !acts.includes('error') && issued % 3 === 0 && { localities }) };
        };
        expect(comparable(sums[0] as Awaited<ReturnType<typeof sumFrom>>)).to.deep.equal(
          comparable(sums[1] as Awaited<ReturnType<typeof sumFrom>>),
        );
      });

    if (shared)
      it('has the same numbers of what runs, and of what a circuit breaker refuses', async () => {
        await begin({ clusters: ['served'] });
        const sums = [];
        for (const side of both()) {
          const index = side.stream.reports.length;
          const running = await Promise.all(Array.from({ length: maxRequests }, () => side.client.open('hold')));
          await until('the held requests', () => (side.held() === maxRequests ? true : undefined));
          expect([await side.client.ask('ok'), await side.client.ask('ok')]).to.deep.equal([503, 503]);
          const busy = await side.stream.find(({ cluster_stats: all }) => {
            const served = all.find((each) => each.cluster_name === 'served');
            const inProgress = served?.upstream_locality_stats.reduce(
              (sum, each) => sum + each.total_requests_in_progress,
              0,
            );
            return inProgress === maxRequests;
          }, index);
          side.release();
          for (const { status } of running) expect(await status).to.equal(200);
          const sum = await sumFrom(side, index, maxRequests, 2);
          sums.push({ dropped: sum.dropped, issued: sum.issued, done: sum.done, busy: busy.cluster_stats.length });
        }
        expect(sums[0]).to.deep.equal(sums[1]);
        expect(sums[0]).to.include({ dropped: 2, issued: maxRequests });
      });

    it('reports to a server that came back, and has lost nothing', async () => {
      await begin({ clusters: ['served'] });
      server.stop();
      await until('the loss', async () => ((await pontoon.stat('load_reporter.errors')) > 0 ? true : undefined));
      for (let i = 0; i < 5; i++) await ours.client.ask('ok');
      await server.start();
      ours.stream = await server.stream('ours', 1);
      const sum = await sumFrom(ours, 0, 5, 0);
      expect(sum).to.include({ issued: 5, done: 5 });
      expect(await pontoon.stat('load_reporter.responses')).to.be.above(2);
      expect(await pontoon.stat('load_reporter.requests')).to.be.above(0);
    });
  });
}
