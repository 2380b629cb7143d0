import { expect } from 'chai';
import fc from 'fast-check';
import { createStatsStore } from '../../src/stats/create-store.js';
import { defineStats, type GroupInstance } from '../../src/stats/group.js';
import { Pages, type Run } from '../../src/stats/pages.js';
import type { Counter, StatsScope } from '../../src/stats/store.js';

const length = 5;

describe('pages of statistics', () => {
  it('give each run to one owner at a time, all zeros', () => {
    const step = fc.oneof(fc.constant('take' as const), fc.nat({ max: 1000 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
        const pages = new Pages(length);
        const owned: { readonly run: Run; readonly mark: number }[] = [];
        let mark = 0;
        for (const each of steps) {
          if (each === 'take') {
            const run = pages.take();
            expect(valuesOf(run)).to.deep.equal([0, 0, 0, 0, 0]);
            expect([...run.page.touched.slice(run.start, run.start + length)]).to.deep.equal([0, 0, 0, 0, 0]);
            run.page.values.fill(++mark, run.start, run.start + length);
            run.page.touched.fill(1, run.start, run.start + length);
            owned.push({ run, mark });
          } else if (owned.length > 0) {
            const [gone] = owned.splice(each % owned.length, 1);
            if (gone) pages.give(gone.run);
          }
        }
        for (const { run, mark: own } of owned) expect(valuesOf(run)).to.deep.equal([own, own, own, own, own]);
      }),
    );
  });

  it('are few for many runs, and the same again for the runs that come after', () => {
    const pages = new Pages(length);
    const first = Array.from({ length: 2000 }, () => pages.take());
    const before = new Set(first.map(({ page }) => page));
    expect(before.size).to.be.below(20);
    // One in three ends: no page becomes empty.
    for (const [i, run] of first.entries()) if (i % 3 === 0) pages.give(run);
    const later = Array.from({ length: 600 }, () => pages.take());
    expect(later.every(({ page }) => before.has(page))).to.equal(true);
  });

  it('are let go with their last run', () => {
    const pages = new Pages(length);
    const first = Array.from({ length: 2000 }, () => pages.take());
    for (const run of first) pages.give(run);
    const before = new Set(first.map(({ page }) => page));
    const known = Array.from({ length: 2000 }, () => pages.take()).filter(({ page }) => before.has(page));
    expect(new Set(known.map(({ page }) => page)).size).to.equal(1);
  });
});

const valuesOf = ({ page, start }: Run) => [...page.values.slice(start, start + length)];

const group = defineStats({
  counters: { total: 'total', errors: 'errors' },
  gauges: { active: 'active', open: 'open' },
  histograms: { time: 'time' },
});

describe('statistics without objects', () => {
  it('are shown, reset and told of like those that somebody holds', () => {
    const stats = createStatsStore();
    const heard: Counter[] = [];
    stats.watch({
      onCounter: (_, counter) => heard.push(counter),
      onGauge: (_, gauge) => heard.push(gauge),
      onHistogram: () => undefined,
      onRemoved: () => undefined,
    });
    const cluster = stats.scope('cluster.a').group(group);
    cluster.set('active', 7);
    cluster.add('total', 2);
    cluster.add('total', 3);
    cluster.set('open', 0);
    expect(isHeld(cluster, 'active')).to.equal(false);
    const told = () => heard.map(({ name, value }) => [name, value]);
    expect(told()).to.deep.equal([
      ['cluster.a.active', 7],
      ['cluster.a.total', 5],
      ['cluster.a.open', 0],
    ]);
    expect([...stats.gauges.touched()].map(({ name }) => name)).to.deep.equal(['cluster.a.active', 'cluster.a.open']);
    for (const counter of stats.counters.touched()) counter.value = 0;
    cluster.add('total', 1);
    expect(told()[1]).to.deep.equal(['cluster.a.total', 1]);
    expect(isHeld(cluster, 'total')).to.equal(false);
  });

  it('go on in the object that is made for whoever counts', () => {
    const stats = createStatsStore();
    const cluster = stats.scope('cluster.a').group(group);
    cluster.set('active', 2 ** 40);
    const seen = [...stats.gauges.touched()][0];
    cluster.active.value++;
    cluster.set('active', cluster.active.value + 1);
    cluster.add('active', 1);
    expect(cluster.active.value).to.equal(2 ** 40 + 3);
    expect(seen?.value).to.equal(2 ** 40 + 3);
    expect(stats.gauge('cluster.a.active')).to.equal(cluster.active);
  });

  it('of a scope that ended write nowhere, however they are touched', () => {
    const stats = createStatsStore();
    const ended = stats.scope('cluster.old');
    const old = ended.group(group);
    const { total, time } = old;
    old.set('active', 3);
    const [view] = [...stats.gauges.touched()];
    ended.remove();
    const next = stats.scope('cluster.new').group(group);
    next.set('open', 1);
    total.value = 100;
    time.record(1);
    old.set('open', 100);
    old.add('active', 100);
    old.errors.value += 100;
    if (view) view.value += 100;
    old.total.value++;
    const late = ended.group(defineStats({ counters: { late: 'late' } }));
    late.add('late', 1);
    expect([view?.value, old.active.value, total.value]).to.deep.equal([203, 203, 101]);
    expect(
      [...stats.counters.values(), ...stats.gauges.values()].map(({ name, value }) => [name, value]),
    ).to.deep.equal([
      ['cluster.new.total', 0],
      ['cluster.new.errors', 0],
      ['cluster.new.active', 0],
      ['cluster.new.open', 1],
    ]);
    expect([...stats.histograms.values()].map(({ total: { count } }) => count)).to.deep.equal([0]);
  });

  it('need no object each, in thousands of scopes', () => {
    const stats = createStatsStore();
    const groups = Array.from({ length: 3000 }, (_, i) => stats.scope(`cluster.c${i}`).group(group));
    for (const [i, each] of groups.entries()) each.set('active', i);
    for (const [i, each] of groups.entries()) {
      expect(asInstance(each).held).to.equal(asInstance(groups[0]).held);
      expect(asInstance(each).read(2)).to.equal(i);
    }
    expect(new Set(groups.map((each) => asInstance(each).run.page)).size).to.be.below(20);
  });

  it('take the places of those that ended', () => {
    const stats = createStatsStore();
    const pageOf = (i: number) => {
      const scope = stats.scope(`cluster.c${i}`);
      const { page } = asInstance(scope.group(group)).run;
      scope.remove();
      return page;
    };
    stats.scope('cluster.first').group(group);
    expect(new Set(Array.from({ length: 3000 }, (_, i) => pageOf(i))).size).to.equal(1);
  });
});

const asInstance = (statistics: unknown) => statistics as GroupInstance;

function isHeld(statistics: object, key: string): boolean {
  const instance = asInstance(statistics);
  return instance.held[instance.template.keys.get(key) as number] !== undefined;
}

type NumberName = 'total' | 'errors' | 'active' | 'open';
const numberNames: readonly NumberName[] = ['total', 'errors', 'active', 'open'];

/** One life of a scope: what it counted, by name, and who holds what of it. */
interface Life {
  readonly scope: StatsScope;
  readonly touched: Set<NumberName>;
  readonly values: Map<NumberName, number>;
  readonly held: Map<NumberName, Counter>;
}

/** The store beside maps of what it should say. */
class Model {
  readonly stats = createStatsStore();
  readonly lives = new Map<string, Life>();
  readonly ended: Life[] = [];
  /** What a watcher was told of and still is to know. */
  readonly told = new Map<string, Counter>();

  constructor() {
    const tell = (_: string, stat: Counter) => void this.told.set(stat.name, stat);
    this.stats.watch({
      onCounter: tell,
      onGauge: tell,
      onHistogram: () => undefined,
      onRemoved: (scope) => {
        for (const name of [...this.told.keys()]) if (name.startsWith(`${scope}.`)) this.told.delete(name);
      },
    });
  }

  open(prefix: string): Life {
    const known = this.lives.get(prefix);
    if (known) return known;
    const life: Life = {
      scope: this.stats.scope(prefix),
      touched: new Set(),
      values: new Map(),
      held: new Map(),
    };
    life.scope.group(group);
    this.lives.set(prefix, life);
    return life;
  }

  close(prefix: string): void {
    const life = this.lives.get(prefix);
    if (!life) return;
    this.lives.delete(prefix);
    this.ended.push(life);
    life.scope.remove();
  }

  write(life: Life, name: NumberName, how: 'set' | 'add' | 'count', by: number): void {
    const statistics = life.scope.group(group);
    const before = life.values.get(name) ?? 0;
    if (how === 'set') statistics.set(name, by);
    else if (how === 'add') statistics.add(name, by);
    else this.hold(life, name).value += by;
    life.values.set(name, how === 'set' ? by : before + by);
    life.touched.add(name);
  }

  hold(life: Life, name: NumberName): Counter {
    const statistics = life.scope.group(group);
    const stat = life.held.get(name) ?? statistics[name];
    expect(statistics[name]).to.equal(stat);
    life.held.set(name, stat);
    life.touched.add(name);
    return stat;
  }

  reset(): void {
    for (const counter of this.stats.counters.touched()) counter.value = 0;
    for (const { values } of this.lives.values()) for (const name of ['total', 'errors'] as const) values.delete(name);
  }

  check(): void {
    const { counters, gauges } = this.stats;
    const shown = (which: 'values' | 'touched') =>
      new Map([...counters[which](), ...gauges[which]()].map(({ name, value }) => [name, value]));
    const expected = new Map<string, number>();
    const touched = new Map<string, number>();
    for (const [prefix, life] of this.lives) {
      for (const name of numberNames) {
        expected.set(`${prefix}.${name}`, life.values.get(name) ?? 0);
        if (life.touched.has(name)) touched.set(`${prefix}.${name}`, life.values.get(name) ?? 0);
      }
    }
    expect(sorted(shown('values'))).to.deep.equal(sorted(expected));
    expect(sorted(shown('touched'))).to.deep.equal(sorted(touched));
    const told = new Map([...this.told].map(([name, stat]) => [name, stat.value]));
    expect(sorted(told)).to.deep.equal(sorted(touched));
    for (const life of [...this.ended, ...this.lives.values()])
      for (const [name, stat] of life.held) expect(stat.value).to.equal(life.values.get(name) ?? 0);
  }
}

const sorted = (values: ReadonlyMap<string, number>) => [...values].sort(([a], [b]) => (a < b ? -1 : 1));

describe('statistics and a model of them', () => {
  const prefix = fc.constantFrom(...Array.from({ length: 12 }, (_, i) => `cluster.c${i}`));
  const name = fc.constantFrom(...numberNames);
  const value = fc.oneof(fc.integer({ min: -9, max: 9 }), fc.constantFrom(2 ** 31, 2 ** 52, 0.5));
  const command = fc.oneof(
    fc.record({ kind: fc.constant('open' as const), prefix }),
    fc.record({ kind: fc.constant('close' as const), prefix }),
    fc.record({ kind: fc.constant('hold' as const), prefix, name }),
    fc.record({ kind: fc.constantFrom('set' as const, 'add' as const, 'count' as const), prefix, name, value }),
    fc.record({
      kind: fc.constant('late' as const),
      name,
      value,
      how: fc.constantFrom('set' as const, 'add' as const, 'count' as const),
    }),
    fc.record({ kind: fc.constant('reset' as const) }),
  );

  it('say the same after any operations', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 120, size: 'max' }), (commands) => {
        const model = new Model();
        for (const each of commands) {
          if (each.kind === 'reset') model.reset();
          else if (each.kind === 'close') model.close(each.prefix);
          else if (each.kind === 'open') model.open(each.prefix);
          else if (each.kind === 'hold') model.hold(model.open(each.prefix), each.name);
          else if (each.kind === 'late') {
            const [life] = model.ended;
            if (life) model.write(life, each.name, each.how, each.value);
          } else model.write(model.open(each.prefix), each.name, each.kind, each.value);
          model.check();
        }
      }),
      { numRuns: 100 },
    );
  });
});
