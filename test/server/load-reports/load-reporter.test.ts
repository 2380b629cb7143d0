import { expect } from 'chai';
import { createLogging } from '../../../src/log.js';
import { loadSchema } from '../../../src/protobuf/schema.js';
import { createLoadReporter, type LoadReporter } from '../../../src/server/load-reports/load-reporter.js';
import { createStatsStore } from '../../../src/stats/create-store.js';
import type { ClusterStatus } from '../../../src/upstream/cluster-manager.js';
import { type Host, newHostStats } from '../../../src/upstream/host.js';
import { channelDefaults } from '../../../src/xds/ads-client.js';
import { FakeClock } from '../../support/fake-clock.js';
import {
  type ClusterReport,
  type LoadReport,
  type LoadReportServer,
  type LoadReportStream,
  startLoadReportServer,
} from '../../support/load-report-server.js';
import { until } from '../../support/until.js';

const schema = loadSchema();
const log = createLogging('off').logger('load_report');
const nodeId = 'me';

function hostOf(port: number, zone = '', priority = 0): Host {
  const address = `127.0.0.1:${port}`;
  return {
    key: address,
    address,
    socketAddress: { kind: 'tcp', address: '127.0.0.1', port },
    hostname: '',
    locality: { region: '', zone, subZone: '' },
    priority,
    weight: 1,
    healthStatus: 'HEALTHY',
    stats: newHostStats(),
  };
}

/** `issued` requests, of which some failed and some go on. */
function count({ stats }: Host, issued: number, errors = 0, running = 0): void {
  stats.rqTotal += issued;
  stats.rqError += errors;
  stats.rqActive += running;
  stats.rqSuccess += issued - errors - running;
}

/** Success, error, in progress, issued of each locality, and what was dropped. */
const numbersOf = ({ upstream_locality_stats: localities, total_dropped_requests: dropped }: ClusterReport) => ({
  localities: localities.map((each) => [
    each.locality.zone,
    each.priority,
    each.total_successful_requests,
    each.total_error_requests,
    each.total_requests_in_progress,
    each.total_issued_requests,
  ]),
  dropped,
});

const reportOf = (report: LoadReport) =>
  Object.fromEntries(report.cluster_stats.map((each) => [each.cluster_name, numbersOf(each)]));

describe('the load reporter', function () {
  this.timeout(20_000);
  let server: LoadReportServer;
  let clock: FakeClock;
  let reporter: LoadReporter;
  let stats: ReturnType<typeof createStatsStore>;
  /** What runs, by name; a test changes it. */
  let hosts: Map<string, Host[]>;
  let serviceNames: Map<string, string>;
  let collected: number;
  let onCollect: () => unknown;

  function statusOf(name: string): ClusterStatus | undefined {
    const found = hosts.get(name);
    const discovery = { type: 'EDS', serviceName: serviceNames.get(name) ?? name };
    return (
      found &&
      ({ name, countedHosts: found, active: { config: { discovery, statName: name } } } as unknown as ClusterStatus)
    );
  }
  const dropsOf = (name: string) => stats.counter(`cluster.${name}.upstream_rq_pending_overflow`);
  const stat = (name: string) => stats.counters.get(`load_reporter.${name}`)?.value;

  beforeEach(async () => {
    server = await startLoadReportServer();
    clock = new FakeClock();
    stats = createStatsStore();
    hosts = new Map();
    serviceNames = new Map();
    collected = 0;
    onCollect = () => undefined;
    reporter = makeReporter(async () => {
      collected++;
      await onCollect();
    });
    reporter.start();
  });
  afterEach(() => {
    reporter.close();
    server.stop();
  });

  function makeReporter(collect: (() => Promise<void>) | undefined): LoadReporter {
    return createLoadReporter({
      channel: { ...channelDefaults, addresses: () => [`127.0.0.1:${server.port}`] },
      retry: undefined,
      node: { id: nodeId, client_features: ['feature'] },
      schema,
      clock,
      random: () => 0.5,
      stats,
      log,
      clusters: {
        snapshot: () => [...hosts.keys()].flatMap((name) => statusOf(name) ?? []),
        status: statusOf,
      },
      droppedOf: ({ name }) => dropsOf(name),
      collect,
    });
  }

  const second = { load_reporting_interval: { seconds: 1 } };

  /** Waits until the last answer was taken, lets an interval pass, and gives what came. */
  async function next(stream: LoadReportStream, ms = 1_000): Promise<LoadReport> {
    const index = stream.reports.length;
    await until('the timer', () => (clock.pending > 0 ? true : undefined));
    clock.advance(ms);
    return stream.report(index);
  }
  async function ask(stream: LoadReportStream, asked: Parameters<LoadReportStream['ask']>[0]): Promise<void> {
    const before = collected;
    stream.ask(asked);
    // It is taken when the numbers of workers have come.
    await until('the answer to be taken', () => (collected > before ? true : undefined));
  }

  it('says first who it is, and reports nothing until it is asked', async () => {
    hosts.set('a', [hostOf(1)]);
    const stream = await server.stream(nodeId);
    expect(stream.reports[0]).to.deep.equal({ node: { ...stream.reports[0]?.node }, cluster_stats: [] });
    expect(stream.reports[0]?.node.client_features).to.deep.equal(['feature']);
    clock.advance(3_600_000);
    expect(stream.reports).to.have.length(1);
  });

  it('reports what came since it was asked, each request once', async () => {
    const host = hostOf(1);
    hosts.set('a', [host]).set('other', [hostOf(2)]);
    count(host, 100, 10);
    dropsOf('a').value = 7;
    const stream = await server.stream(nodeId);
    await ask(stream, { clusters: ['a', 'nobody'], ...second });
    count(host, 5, 1, 2);
    dropsOf('a').value += 3;
    const first = await next(stream);
    expect(reportOf(first)).to.deep.equal({ a: { localities: [['', 0, 2, 1, 2, 5]], dropped: 3 } });
    expect(first.cluster_stats[0]?.load_report_interval).to.deep.equal({ seconds: 1, nanos: 0 });
    // Those that ran have ended, and nothing began.
    host.stats.rqActive = 0;
    host.stats.rqSuccess += 2;
    expect(reportOf(await next(stream, 2_500))).to.deep.equal({ a: { localities: [['', 0, 2, 0, 0, 0]], dropped: 0 } });
    const idle = await next(stream);
    expect(reportOf(idle)).to.deep.equal({ a: { localities: [], dropped: 0 } });
    expect(stream.reports[2]?.cluster_stats[0]?.load_report_interval).to.deep.equal({ seconds: 2, nanos: 500_000_000 });
    expect(stream.reports.every(({ node }) => node.id === nodeId)).to.equal(true);
    expect([stat('requests'), stat('responses'), stat('errors'), stat('retries')]).to.deep.equal([1, 4, 0, 0]);
  });

  it('brings the numbers of workers up to date before it reports', async () => {
    const host = hostOf(1);
    hosts.set('a', [host]);
    const stream = await server.stream(nodeId);
    onCollect = () => count(host, 1);
    await ask(stream, { clusters: ['a'], ...second });
    expect(reportOf(await next(stream))).to.deep.equal({ a: { localities: [['', 0, 1, 0, 0, 1]], dropped: 0 } });
  });

  it('tells localities and priorities apart, and endpoints when asked to', async () => {
    const all = [hostOf(1, 'x'), hostOf(2, 'y', 1), hostOf(3, 'x'), hostOf(4, 'x', 1), hostOf(5, 'idle')];
    hosts.set('a', all);
    serviceNames.set('a', 'service-a');
    const stream = await server.stream(nodeId);
    await ask(stream, { clusters: ['a'], ...second });
    for (const [index, host] of all.slice(0, 4).entries()) count(host, 10 + index, 1, index);
    const plain = await next(stream);
    expect(reportOf(plain)).to.deep.equal({
      a: {
        localities: [
          ['x', 0, 18, 2, 2, 22],
          ['y', 1, 9, 1, 1, 11],
          ['x', 1, 9, 1, 3, 13],
        ],
        dropped: 0,
      },
    });
    expect(plain.cluster_stats[0]?.cluster_service_name).to.equal('service-a');
    expect(plain.cluster_stats[0]?.upstream_locality_stats[0]?.upstream_endpoint_stats).to.deep.equal([]);

    await ask(stream, { clusters: ['a'], report_endpoint_granularity: true, ...second });
    for (const host of all.slice(0, 3)) host.stats.rqActive = 0;
    for (const host of all.slice(0, 2)) count(host, 1);
    const [told] = (await next(stream)).cluster_stats;
    const endpoints = told?.upstream_locality_stats.map(({ upstream_endpoint_stats: each }) =>
      each.map((one) => [
        one.address.socket_address?.port_value,
        one.total_issued_requests,
        one.total_requests_in_progress,
      ]),
    );
    expect(endpoints).to.deep.equal([[[1, 1, 0]], [[2, 1, 0]], [[4, 0, 3]]]);
  });

  it('goes on counting for clusters that are asked for again, and begins anew for others', async () => {
    const [a, b] = [hostOf(1), hostOf(2)];
    hosts.set('a', [a]).set('b', [b]);
    const stream = await server.stream(nodeId);
    await ask(stream, { clusters: ['a'], ...second });
    count(a, 1);
    count(b, 10);
    await ask(stream, { clusters: ['a', 'b'], ...second });
    count(a, 2);
    count(b, 20);
    expect(reportOf(await next(stream))).to.deep.equal({
      a: { localities: [['', 0, 3, 0, 0, 3]], dropped: 0 },
      b: { localities: [['', 0, 20, 0, 0, 20]], dropped: 0 },
    });
    await ask(stream, { clusters: ['b'], ...second });
    count(a, 5);
    await next(stream);
    await ask(stream, { clusters: ['a', 'b'], ...second });
    expect(reportOf(await next(stream)).a).to.deep.equal({ localities: [], dropped: 0 });
  });

  it('reports all clusters when asked to, new ones from their first request on', async () => {
    const [a, b] = [hostOf(1), hostOf(2)];
    hosts.set('a', [a]);
    count(a, 50);
    const stream = await server.stream(nodeId);
    await ask(stream, { send_all_clusters: true, ...second });
    count(a, 1);
    hosts.set('b', [b]);
    count(b, 2);
    dropsOf('b').value = 4;
    expect(reportOf(await next(stream))).to.deep.equal({
      a: { localities: [['', 0, 1, 0, 0, 1]], dropped: 0 },
      b: { localities: [['', 0, 2, 0, 0, 2]], dropped: 4 },
    });
    hosts.delete('a');
    expect(Object.keys(reportOf(await next(stream)))).to.deep.equal(['b']);
  });

  for (const { title, workers, later } of [
    {
      title: 'until their last request ended',
      workers: false,
      later: [[['old', 0, 0, 0, 1, 0]], [['old', 0, 0, 1, 0, 0]], []],
    },
    { title: 'once, where workers count', workers: true, later: [[], [], []] },
  ])
    it(`reports the rest of hosts that left ${title}`, async () => {
      if (!workers) {
        await server.stream(nodeId);
        reporter.close();
        reporter = makeReporter(undefined);
        reporter.start();
      }
      const [old, current] = [hostOf(1, 'old'), hostOf(2, 'new')];
      hosts.set('a', [old]);
      const stream = await server.stream(nodeId, workers ? 0 : 1);
      stream.ask({ clusters: ['a'], ...second });
      await until('the timer', () => (clock.pending > 0 && stat('requests') === 1 ? true : undefined));
      count(old, 3, 0, 1);
      hosts.set('a', [current]);
      expect(reportOf(await next(stream)).a?.localities).to.deep.equal([['old', 0, 2, 0, 1, 3]]);
      expect(reportOf(await next(stream)).a?.localities).to.deep.equal(later[0]);
      old.stats.rqActive = 0;
      old.stats.rqError++;
      expect(reportOf(await next(stream)).a?.localities).to.deep.equal(later[1]);
      expect(reportOf(await next(stream)).a?.localities).to.deep.equal(later[2]);
      // It comes back, with all that it ever counted.
      hosts.set('a', [{ ...old, weight: 2 }]);
      count(old, 1);
      const [[, , , , , issued] = []] = reportOf(await next(stream)).a?.localities ?? [];
      expect(issued).to.equal(1);
    });

  it('counts hosts that are listed twice once', async () => {
    const host = hostOf(1, 'x');
    hosts.set('a', [host, { ...host, priority: 1 }]);
    const stream = await server.stream(nodeId);
    await ask(stream, { clusters: ['a'], ...second });
    count(host, 3);
    expect(reportOf(await next(stream)).a?.localities).to.deep.equal([['x', 0, 3, 0, 0, 3]]);
  });

  it('keeps what is counted while the server is away, and goes on as it was asked', async () => {
    const host = hostOf(1);
    hosts.set('a', [host]);
    const stream = await server.stream(nodeId);
    await ask(stream, { clusters: ['a'], ...second });
    count(host, 1);
    await next(stream);
    server.stop();
    await until('the loss', () => (stat('errors') === 1 ? true : undefined));
    count(host, 20);
    // Attempts that fail take nothing.
    clock.advance(1_000);
    await until('another failure', () => (stat('errors') === 2 ? true : undefined));
    count(host, 300);
    await server.start();
    let again: LoadReportStream | undefined;
    server.stream(nodeId, 1).then((found) => {
      again = found;
    });
    await until('another stream', () => {
      clock.advance(1_000);
      return again;
    });
    const first = await (again as unknown as LoadReportStream).report(0);
    expect(reportOf(first)).to.deep.equal({ a: { localities: [['', 0, 320, 0, 0, 320]], dropped: 0 } });
    count(host, 4);
    clock.advance(1_000);
    const more = await (again as unknown as LoadReportStream).find(
      ({ cluster_stats: [a] }) => a?.upstream_locality_stats.length === 1,
      1,
    );
    expect(reportOf(more).a?.localities).to.deep.equal([['', 0, 4, 0, 0, 4]]);
  });

  it('does not call it an error when the server ends the stream', async () => {
    (await server.stream(nodeId)).end();
    await until('the end', () => (stat('retries') === 1 ? true : undefined));
    expect(stat('errors')).to.equal(0);
    clock.advance(1_000);
    await server.stream(nodeId, 1);
  });

  it('gives up a stream with an answer that is none', async () => {
    (await server.stream(nodeId)).ask(Buffer.from([0xff]));
    await until('the end', () => (stat('errors') === 1 ? true : undefined));
    expect(stat('requests')).to.equal(0);
    clock.advance(1_000);
    const again = await server.stream(nodeId, 1);
    hosts.set('a', [hostOf(1)]);
    await ask(again, { clusters: ['a'], ...second });
    expect(Object.keys(reportOf(await next(again)))).to.deep.equal(['a']);
  });

  for (const [title, interval] of [
    ['no interval', undefined],
    ['an interval of nothing', {}],
    ['a negative one', { seconds: -5 }],
  ] as const)
    it(`reports ten times a second for ${title}`, async () => {
      hosts.set('a', [hostOf(1)]);
      const stream = await server.stream(nodeId);
      await ask(stream, { clusters: ['a'], ...(interval && { load_reporting_interval: interval }) });
      await until('the timer', () => (clock.pending > 0 ? true : undefined));
      clock.advance(99);
      expect(collected).to.equal(1);
      expect(Object.keys(reportOf(await next(stream, 1)))).to.deep.equal(['a']);
    });

  it('takes a report back when its stream ends before it is sent', async () => {
    const host = hostOf(1);
    hosts.set('a', [host]);
    const stream = await server.stream(nodeId);
    await ask(stream, { clusters: ['a'], ...second });
    count(host, 9);
    onCollect = async () => {
      server.stop();
      await until('the loss', () => (stat('errors') === 1 ? true : undefined));
    };
    await until('the timer', () => (clock.pending > 0 ? true : undefined));
    clock.advance(1_000);
    await until('the loss', () => (stat('errors') === 1 ? true : undefined));
    onCollect = () => undefined;
    await server.start();
    clock.advance(1_000);
    const again = await server.stream(nodeId, 1);
    // Whichever of the two it was sent on, it was sent once.
    const sent = [...stream.reports, ...again.reports].flatMap((report) => reportOf(report).a?.localities ?? []);
    expect(sent).to.deep.equal([['', 0, 9, 0, 0, 9]]);
  });

  it('adds up what a server does not read', async () => {
    const many = Array.from({ length: 5_000 }, (_, index) => hostOf(index));
    hosts.set('a', many);
    const stream = await server.stream(nodeId);
    await ask(stream, { clusters: ['a'], report_endpoint_granularity: true, ...second });
    await next(stream);
    const taken = stat('responses') ?? 0;
    stream.pause();
    for (let round = 0; round < 100; round++) {
      for (const host of many) count(host, 1);
      const before = collected;
      clock.advance(1_000);
      await until('the turn', () => (clock.pending > 0 && collected >= before ? true : undefined));
    }
    expect((stat('responses') ?? 0) - taken, 'reports that wait').to.be.below(30);
    stream.resume();
    await until('the rest', () => {
      clock.advance(1_000);
      const sum = stream.reports
        .flatMap(({ cluster_stats: all }) => all.flatMap(({ upstream_locality_stats: each }) => each))
        .reduce((total, { total_issued_requests: issued }) => total + issued, 0);
      return sum === 500_000 ? true : undefined;
    });
  });
});
