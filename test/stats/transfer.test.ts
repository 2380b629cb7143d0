import { expect } from 'chai';
import { createStatsStore, type StatsRegistry } from '../../src/stats/create-store.js';
import { createStatsExporter } from '../../src/stats/export.js';
import { createStatsImporter, type StatsImporter } from '../../src/stats/import.js';
import type { StatsScope } from '../../src/stats/store.js';
import { send, startWorker, type Worker } from './support.js';

describe('statistics of several processes', () => {
  let main: StatsRegistry;
  let importer: StatsImporter;
  let first: Worker;
  let second: Worker;
  const counter = (name: string) => main.counters.get(name)?.value;
  const gauge = (name: string) => main.gauges.get(name)?.value;

  beforeEach(() => {
    main = createStatsStore();
    importer = createStatsImporter(main);
    first = startWorker(1);
    second = startWorker(2);
  });

  it('adds counters to what is there, each increment once', () => {
    main.counter('http.in.rq_total').value = 100;
    first.store.counter('http.in.rq_total').value = 2;
    second.store.counter('http.in.rq_total').value = 3;
    for (const worker of [first, second, first]) send(worker, importer);
    expect(counter('http.in.rq_total')).to.equal(105);
    first.store.counter('http.in.rq_total').value++;
    send(first, importer);
    expect(counter('http.in.rq_total')).to.equal(106);
  });

  it('follows what was there before the exporter', () => {
    const store = createStatsStore();
    store.counter('http.in.rq_total').value = 1;
    store.scope('cluster.a').counter('upstream_rq_total').value = 2;
    send({ number: 1, store, exporter: createStatsExporter(store, { includes: () => true }) }, importer);
    expect(counter('http.in.rq_total')).to.equal(1);
    expect(counter('cluster.a.upstream_rq_total')).to.equal(2);
  });

  it('leaves out names that are not included', () => {
    const worker = startWorker(3, (name) => !name.startsWith('server.'));
    worker.store.counter('server.x').value = 1;
    worker.store.counter('http.in.rq_total').value = 1;
    send(worker, importer);
    expect([...main.counters.keys()]).to.deep.equal(['http.in.rq_total']);
  });

  it('shows names at zero at the root and in scopes that are used, and sends nothing of others', () => {
    first.store.counter('http.in.rq_total');
    const idle = first.store.scope('cluster.idle');
    const used = first.store.scope('cluster.used');
    for (const scope of [idle, used]) for (const name of ['a', 'b']) scope.counter(name);
    used.counter('b').value++;
    used.gauge('g').value++;
    used.histogram('h').record(1);
    send(first, importer);
    send(first, importer);
    expect([...main.counters.keys()]).to.have.members(['http.in.rq_total', 'cluster.used.a', 'cluster.used.b']);
    expect(first.exporter.changes()).to.deep.equal({
      names: [],
      counters: new Float64Array(),
      gauges: new Float64Array(),
      histograms: new Float64Array(),
      removed: [],
    });
  });

  it('loses nothing of a scope that is removed, and made anew, between two calls', () => {
    const cluster = main.scope('cluster.a');
    for (let round = 1; round <= 3; round++) {
      const scope = first.store.scope('cluster.a');
      scope.counter('n').value += round;
      scope.histogram('h').record(round);
      scope.remove();
    }
    send(first, importer);
    expect(counter('cluster.a.n')).to.equal(6);
    expect(main.histograms.get('cluster.a.h')?.total.sum).to.equal(6);
    cluster.remove();
    expect(counter('cluster.a.n')).to.equal(undefined);
  });

  it('shows what drains in a worker after the scope was removed here, until the last worker has forgotten it', () => {
    const cluster = main.scope('cluster.a');
    const [draining, other] = [first, second].map(({ store }) => store.scope('cluster.a')) as [StatsScope, StatsScope];
    draining.counter('n').value = 1;
    other.counter('n').value = 1;
    for (const worker of [first, second]) send(worker, importer);
    cluster.remove();
    other.remove();
    draining.counter('n').value++;
    for (const worker of [first, second]) send(worker, importer);
    expect(counter('cluster.a.n')).to.equal(3);
    draining.remove();
    send(first, importer);
    expect(main.counters.size).to.equal(0);
  });

  it('keeps what a worker counted that ended, and takes away what it had in progress', () => {
    for (const { store } of [first, second]) {
      store.counter('http.in.rq_total').value = 5;
      store.gauge('http.in.downstream_cx_active').value = 2;
      store.histogram('http.in.downstream_rq_time').record(1);
    }
    for (const worker of [first, second]) send(worker, importer);
    expect(gauge('http.in.downstream_cx_active')).to.equal(4);
    importer.forget(1);
    importer.forget(1);
    expect(counter('http.in.rq_total')).to.equal(10);
    expect(gauge('http.in.downstream_cx_active')).to.equal(2);
    expect(main.histograms.get('http.in.downstream_rq_time')?.total.count).to.equal(2);
  });

  it('adds what is in progress to what is counted here', () => {
    const here = main.gauge('filesystem.write_total_buffered');
    here.value += 10;
    first.store.gauge('filesystem.write_total_buffered').value = 5;
    send(first, importer);
    here.value -= 10;
    expect(here.value).to.equal(5);
  });

  it('shows the limits and flags of workers in the place of those of a process that serves nothing', () => {
    const prefix = 'circuit_breakers.default';
    const here = main.scope('cluster.a');
    const workers = [first, second].map(({ store }) => store.scope('cluster.a')) as [StatsScope, StatsScope];
    const setHere = (): void => {
      here.gauge(`${prefix}.cx_open`).value = 0;
      here.gauge(`${prefix}.remaining_cx`).value = 8;
    };
    const shown = (): (number | undefined)[] => [
      gauge(`cluster.a.${prefix}.cx_open`),
      gauge(`cluster.a.${prefix}.remaining_cx`),
    ];
    setHere();
    for (const scope of workers) {
      scope.gauge(`${prefix}.cx_open`).value = 1;
      scope.gauge(`${prefix}.remaining_cx`).value = 3;
    }
    for (const worker of [first, second]) send(worker, importer);
    expect(shown()).to.deep.equal([1, 6]);
    workers[0].gauge(`${prefix}.cx_open`).value = 0;
    setHere();
    send(first, importer);
    expect(shown()).to.deep.equal([1, 6]);
    importer.forget(2);
    expect(shown()).to.deep.equal([0, 3]);
    importer.forget(1);
    expect(shown()).to.deep.equal([0, 0]);
  });

  it('leaves out what was never named', () => {
    importer.apply(1, {
      names: [{ scope: 0, prefix: '', counters: ['c'], gauges: ['g'], histograms: ['h'] }],
      counters: Float64Array.of(0, 1, 5, 7, 0, 5, -1, -1, 5, Number.NaN, 0, 5, 0, 0),
      gauges: Float64Array.of(0, 1, 5, 7, 0, 5),
      histograms: Float64Array.of(0, 0, 1, 1, -3, 7, 0, 1, 1, 1, 3, 1, 0, 0, 1, 1, 1e9),
      removed: [9],
    });
    expect(counter('c')).to.equal(0);
    expect(gauge('g')).to.equal(0);
  });

  for (const [what, remembered] of [
    ['that were never used', false],
    ['that were used', true],
  ] as const) {
    it(`keeps nothing of scopes ${what} after 2,000 came and went`, () => {
      for (let round = 0; round < 2000; round++) {
        const scope = first.store.scope(`cluster.${round}`);
        scope.gauge('circuit_breakers.default.remaining_cx').value = 5;
        scope.counter('n').value = remembered ? 1 : 0;
        if (round % 2 === 0) send(first, importer);
        scope.remove();
      }
      send(first, importer);
      expect(main.counters.size + main.gauges.size).to.equal(0);
      const left = first.exporter.changes();
      expect([left.names.length, left.counters.length, left.gauges.length, left.removed.length]).to.deep.equal([
        0, 0, 0, 0,
      ]);
    });
  }
});
