import { expect } from 'chai';
import fc from 'fast-check';
import { createStatsStore } from '../../src/stats/create-store.js';
import { createHistogram, type HistogramData, quantiles } from '../../src/stats/histogram.js';
import { createStatsImporter } from '../../src/stats/import.js';
import type { StatsScope } from '../../src/stats/store.js';
import { send, startWorker, type Worker } from './support.js';

/** One life of a scope in a worker, and what the main process was not told of it. */
interface Life {
  readonly prefix: string;
  readonly handle: { counter: StatsScope['counter']; gauge: StatsScope['gauge']; histogram: StatsScope['histogram'] };
  remove(): void;
  told: boolean;
  readonly pending: Map<string, number>;
  readonly recorded: Map<string, number[]>;
  readonly gauges: Map<string, number>;
  toldGauges: ReadonlyMap<string, number>;
}

interface ModelWorker extends Worker {
  readonly lives: Map<string, Life>;
  ended: Life[];
}

/** What the merged statistics should be, computed from everything that was counted. */
class Model {
  readonly main = createStatsStore();
  readonly importer = createStatsImporter(this.main);
  readonly workers: ModelWorker[];
  #workerCount = 0;
  readonly #ownScopes = new Map<string, StatsScope>();
  readonly #holders = new Map<string, Set<unknown>>();
  readonly #counters = new Map<string, number>();
  readonly #histograms = new Map<string, HistogramData>();

  constructor(workers: number) {
    this.workers = Array.from({ length: workers }, () => this.#start());
  }

  #start(): ModelWorker {
    const worker = { ...startWorker(++this.#workerCount), lives: new Map(), ended: [] };
    this.open(worker, '');
    return worker;
  }

  open(worker: ModelWorker, prefix: string): Life {
    const known = worker.lives.get(prefix);
    if (known) return known;
    const scope = prefix === '' ? undefined : worker.store.scope(prefix);
    const life: Life = {
      prefix,
      handle: scope ?? worker.store,
      remove: () => scope?.remove(),
      told: false,
      pending: new Map(),
      recorded: new Map(),
      gauges: new Map(),
      toldGauges: new Map(),
    };
    worker.lives.set(prefix, life);
    return life;
  }

  close(worker: ModelWorker, prefix: string): void {
    const life = worker.lives.get(prefix);
    if (!life || prefix === '') return;
    life.remove();
    worker.lives.delete(prefix);
    worker.ended.push(life);
  }

  count(worker: ModelWorker, prefix: string, name: string, by: number): void {
    const life = this.open(worker, prefix);
    life.handle.counter(name).value += by;
    const { name: full } = life.handle.counter(name);
    life.pending.set(full, (life.pending.get(full) ?? 0) + by);
  }

  set(worker: ModelWorker, prefix: string, name: string, value: number): void {
    const life = this.open(worker, prefix);
    const gauge = life.handle.gauge(name);
    gauge.value = value;
    life.gauges.set(gauge.name, value);
  }

  record(worker: ModelWorker, prefix: string, name: string, value: number): void {
    const life = this.open(worker, prefix);
    const histogram = life.handle.histogram(name);
    histogram.record(value);
    life.recorded.set(histogram.name, [...(life.recorded.get(histogram.name) ?? []), value]);
  }

  openHere(prefix: string): void {
    if (prefix === '' || this.#ownScopes.has(prefix)) return;
    this.#ownScopes.set(prefix, this.main.scope(prefix));
    this.#hold(prefix, this);
  }

  closeHere(prefix: string): void {
    if (!this.#ownScopes.has(prefix)) return;
    this.#ownScopes.get(prefix)?.remove();
    this.#ownScopes.delete(prefix);
    this.#release(prefix, this);
  }

  countHere(prefix: string, name: string, by: number): void {
    const counter = (this.#ownScopes.get(prefix) ?? (prefix === '' ? this.main : undefined))?.counter(name);
    if (!counter) return;
    counter.value += by;
    this.#counters.set(counter.name, (this.#counters.get(counter.name) ?? 0) + by);
  }

  flush(): void {
    for (const histograms of [this.main.histograms, this.#histograms])
      for (const histogram of histograms.values()) histogram.flush();
  }

  send(worker: ModelWorker): void {
    send(worker, this.importer);
    const { ended } = worker;
    worker.ended = [];
    for (const life of [...ended, ...worker.lives.values()]) this.#take(life, !ended.includes(life));
    for (const life of ended) if (life.told) this.#release(life.prefix, life);
  }

  die(index: number): void {
    const worker = this.workers[index] as ModelWorker;
    this.importer.forget(worker.number);
    for (const life of [...worker.lives.values(), ...worker.ended]) if (life.told) this.#release(life.prefix, life);
    this.workers[index] = this.#start();
  }

  check(): void {
    for (const { name, value } of this.main.counters.values())
      expect(value, name).to.equal(this.#counters.get(name) ?? 0);
    for (const [name, value] of this.#counters) expect(this.main.counters.get(name)?.value ?? 0, name).to.equal(value);
    const lives = this.workers.flatMap((worker) => [...worker.lives.values(), ...worker.ended]);
    for (const { name, value } of this.main.gauges.values()) {
      const values = lives.map(({ toldGauges }) => toldGauges.get(name) ?? 0);
      const expected = name.endsWith('_open') ? Math.max(0, ...values) : values.reduce((sum, one) => sum + one, 0);
      expect(value, name).to.equal(expected);
    }
    for (const [name, expected] of this.#histograms) {
      const shown = this.main.histograms.get(name) as HistogramData;
      for (const series of ['total', 'interval'] as const) {
        expect(shown[series].count, name).to.equal(expected[series].count);
        expect(shown[series].sum, name).to.equal(expected[series].sum);
        for (const percent of quantiles)
          expect(shown[series].quantile(percent), name).to.deep.equal(expected[series].quantile(percent));
      }
    }
  }

  #take(life: Life, lives: boolean): void {
    const counted = [...life.pending.values()].some((by) => by > 0) || life.recorded.size > 0;
    life.told ||= counted || (lives && [...life.gauges.values()].some((value) => value !== 0));
    if (life.told) this.#hold(life.prefix, life);
    for (const [name, by] of life.pending) this.#counters.set(name, (this.#counters.get(name) ?? 0) + by);
    for (const [name, values] of life.recorded) {
      const histogram = this.#histograms.get(name) ?? createHistogram(name);
      this.#histograms.set(name, histogram);
      for (const value of values) histogram.record(value);
    }
    life.pending.clear();
    life.recorded.clear();
    life.toldGauges = new Map(life.gauges);
  }

  #hold(prefix: string, holder: unknown): void {
    this.#holders.set(prefix, (this.#holders.get(prefix) ?? new Set()).add(holder));
  }

  #release(prefix: string, holder: unknown): void {
    if (prefix === '') return;
    const holders = this.#holders.get(prefix);
    holders?.delete(holder);
    if (holders && holders.size > 0) return;
    for (const names of [this.#counters, this.#histograms])
      for (const name of [...names.keys()]) if (name.startsWith(`${prefix}.`)) names.delete(name);
  }
}

describe('statistics of several processes, in any order of events', () => {
  const prefixes = ['', 'cluster.a', 'cluster.ab', 'listener.0.0.0.0_80'];
  const prefix = fc.constantFrom(...prefixes);
  const worker = fc.nat({ max: 2 });
  const command = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constant('count'), worker, prefix, fc.constantFrom('n', 'x.n'), fc.nat(9)) },
    {
      weight: 4,
      arbitrary: fc.tuple(
        fc.constant('set'),
        worker,
        prefix,
        fc.constantFrom('active', 'circuit_breakers.default.cx_open', 'circuit_breakers.default.remaining_cx'),
        fc.nat(3),
      ),
    },
    {
      weight: 4,
      arbitrary: fc.tuple(fc.constant('record'), worker, prefix, fc.constantFrom('h', 'x.h'), fc.nat(5000)),
    },
    { weight: 4, arbitrary: fc.tuple(fc.constant('close'), worker, prefix, fc.constant(''), fc.constant(0)) },
    { weight: 6, arbitrary: fc.tuple(fc.constant('send'), worker, fc.constant(''), fc.constant(''), fc.constant(0)) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('die'), worker, fc.constant(''), fc.constant(''), fc.constant(0)) },
    {
      weight: 4,
      arbitrary: fc.tuple(
        fc.constantFrom('openHere', 'closeHere', 'countHere', 'flush'),
        fc.constant(0),
        prefix,
        fc.constant('n'),
        fc.nat(9),
      ),
    },
  );

  function run(
    model: Model,
    [kind, index, scope, name, value]: readonly [string, number, string, string, number],
  ): void {
    const on = model.workers[index] as ModelWorker;
    if (kind === 'count') model.count(on, scope, name, value);
    else if (kind === 'set') model.set(on, scope, name, value);
    else if (kind === 'record') model.record(on, scope, name, value);
    else if (kind === 'close') model.close(on, scope);
    else if (kind === 'send') model.send(on);
    else if (kind === 'die') model.die(index);
    else if (kind === 'openHere') model.openHere(scope);
    else if (kind === 'closeHere') model.closeHere(scope);
    else if (kind === 'countHere') model.countHere(scope, name, value);
    else model.flush();
  }

  it('shows all that was counted before the last report of each, what is in progress in the living, and keeps nothing else', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80, size: 'max' }), (commands) => {
        const model = new Model(3);
        for (const each of commands) {
          run(model, each);
          if (each[0] !== 'count' && each[0] !== 'record') model.check();
        }
        for (const each of prefixes) model.closeHere(each);
        for (const index of model.workers.keys()) model.die(index);
        model.check();
        const { counters, gauges, histograms } = model.main;
        const scoped = [counters, gauges, histograms]
          .flatMap((map): string[] => [...map.keys()])
          .filter((name) => prefixes.some((each) => each !== '' && name.startsWith(`${each}.`)));
        expect(scoped).to.deep.equal([]);
        for (const { name, value } of gauges.values()) expect(value, name).to.equal(0);
      }),
      { numRuns: 150 },
    );
  });

  it('merges histograms to the one that had recorded everything', () => {
    const value = fc.double({ min: 0, max: 1e7, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(worker, value, fc.boolean()), { maxLength: 200 }), (records) => {
        const main = createStatsStore();
        const importer = createStatsImporter(main);
        const workers = [1, 2, 3].map((number) => startWorker(number));
        const all = createHistogram('h');
        for (const [index, recorded, sends] of records) {
          const one = workers[index] as Worker;
          one.store.histogram('h').record(recorded);
          all.record(recorded);
          if (sends) send(one, importer);
        }
        for (const one of workers) send(one, importer);
        const shown = main.histogram('h') as HistogramData;
        main.histograms.get('h')?.flush();
        all.flush();
        for (const series of ['total', 'interval'] as const) {
          expect(shown[series].count).to.equal(all[series].count);
          expect(shown[series].sum).to.be.closeTo(all[series].sum, Math.abs(all[series].sum) * 1e-12);
          for (const percent of quantiles)
            expect(shown[series].quantile(percent)).to.deep.equal(all[series].quantile(percent));
        }
      }),
      { numRuns: 50 },
    );
  });
});
