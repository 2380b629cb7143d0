import { expect } from 'chai';
import fc from 'fast-check';
import type { HealthStatus } from '../../../src/model/endpoint.js';
import { createHost, type Host, healthOf } from '../../../src/upstream/host.js';
import { EdfScheduler } from '../../../src/upstream/lb/edf-scheduler.js';
import { LoadBalancer } from '../../../src/upstream/lb/load-balancer.js';
import { computePriorityLoad } from '../../../src/upstream/lb/priority-load.js';

interface Spec {
  readonly weight?: number;
  readonly health?: HealthStatus;
  readonly priority?: number;
}

function hosts(specs: readonly Spec[]): readonly Host[] {
  return specs.map(({ weight = 1, health = 'UNKNOWN' as HealthStatus, priority = 0 }, index) =>
    createHost(
      { key: `h${index}`, address: `h${index}`, locality: { region: '', zone: '', subZone: '' }, priority },
      { address: { kind: 'tcp', address: `h${index}`, port: 1 }, hostname: '', weight, healthStatus: health },
    ),
  );
}

function balancer(specs: readonly Spec[], random: () => number = Math.random) {
  const healthyPanic = { name: 'lb_healthy_panic', value: 0 };
  const lb = new LoadBalancer({ random, stats: { lbHealthyPanic: healthyPanic } });
  lb.update(hosts(specs), 140);
  return { lb, healthyPanic };
}

function picks(lb: LoadBalancer, count: number): string[] {
  return Array.from({ length: count }, () => lb.pick()?.address ?? 'none');
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

describe('EDF scheduler', () => {
  it('starting after N picks goes on as if the N picks had been made', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 8 }),
        fc.nat(500),
        (weights, ahead) => {
          const items = weights.map((weight, index) => ({ weight, index }));
          const late = new EdfScheduler(items, (item) => item.weight, ahead);
          const counts = weights.map(() => 0);
          const sum = weights.reduce((a, b) => a + b);
          // A whole cycle from anywhere gives each item its share, but for ties.
          for (let pick = 0; pick < sum; pick++) {
            const item = late.pick();
            if (item) counts[item.index] = (counts[item.index] ?? 0) + 1;
          }
          weights.forEach((weight, index) => {
            expect(Math.abs((counts[index] ?? 0) - weight)).to.be.at.most(1 + Math.ceil((items.length * weight) / sum));
          });
        },
      ),
    );
  });

  it('interleaves instead of giving a heavy item all its turns in a row', () => {
    const scheduler = new EdfScheduler(['a', 'b'], (item) => (item === 'a' ? 3 : 1), 0);
    const order = Array.from({ length: 8 }, () => scheduler.pick()).join('');
    expect(order).to.equal('aaabaaab');
  });

  it('of nothing picks nothing', () => {
    expect(new EdfScheduler<string>([], () => 1, 7).pick()).to.equal(undefined);
  });
});

describe('load balancer', () => {
  it('follows the weights, wherever it starts', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.integer({ min: 1, max: 400 }),
        (weights, seed, count) => {
          const { lb } = balancer(
            weights.map((weight) => ({ weight })),
            () => seed,
          );
          const counts = tally(picks(lb, count));
          const sum = weights.reduce((a, b) => a + b);
          weights.forEach((weight, index) => {
            const expected = (count * weight) / sum;
            const bound = 2 + (weights.length * weight) / sum;
            expect(Math.abs((counts[`h${index}`] ?? 0) - expected)).to.be.at.most(bound);
          });
        },
      ),
    );
  });

  it('never picks what is unhealthy, nor what was removed, outside of panic', () => {
    const health = fc.constantFrom<HealthStatus>('UNKNOWN', 'HEALTHY', 'UNHEALTHY', 'DRAINING', 'TIMEOUT', 'DEGRADED');
    const spec = fc.record({ health, weight: fc.integer({ min: 1, max: 5 }), priority: fc.nat(2) });
    fc.assert(
      fc.property(fc.array(fc.array(spec, { maxLength: 8 }), { minLength: 1, maxLength: 4 }), (updates) => {
        const { lb, healthyPanic } = balancer([]);
        for (const update of updates) {
          const current = hosts(update);
          lb.update(current, 140);
          for (let pick = 0; pick < 30; pick++) {
            const panicBefore = healthyPanic.value;
            const host = lb.pick();
            const fit = host && (healthyPanic.value > panicBefore || healthOf(host) !== 'unhealthy');
            if (host ? !fit || !current.includes(host) : current.length > 0) expect.fail(`picked ${host?.address}`);
          }
        }
      }),
    );
  });

  const byPriority: readonly { what: string; specs: readonly Spec[]; expected: Record<string, number> }[] = [
    { what: 'only the first priority while it is healthy', specs: [{}, { priority: 1 }], expected: { h0: 1000 } },
    {
      what: 'the next priority when the first has no healthy host',
      specs: [{ health: 'UNHEALTHY' }, { priority: 1 }],
      expected: { h1: 1000 },
    },
    {
      what: 'degraded hosts only when no healthy one is left',
      specs: [{}, { health: 'DEGRADED' }],
      expected: { h0: 700, h1: 300 },
    },
    {
      what: 'all hosts in panic, fewer than half of them being healthy',
      specs: [{}, { health: 'UNHEALTHY' }, { health: 'DRAINING' }, { health: 'TIMEOUT' }],
      expected: { h0: 250, h1: 250, h2: 250, h3: 250 },
    },
    {
      what: 'no panic at half',
      specs: [{}, { health: 'UNHEALTHY' }],
      expected: { h0: 1000 },
    },
  ];
  for (const { what, specs, expected } of byPriority) {
    it(`uses ${what}`, () => {
      let draw = 0;
      const { lb } = balancer(specs, () => (draw++ % 100) / 100);
      expect(tally(picks(lb, 1000))).to.deep.equal(expected);
    });
  }

  it('counts picks made in panic', () => {
    const { lb, healthyPanic } = balancer([{ health: 'UNHEALTHY' }, { health: 'UNHEALTHY' }]);
    picks(lb, 3);
    expect(healthyPanic.value).to.equal(3);
  });

  for (const weight of [1, 3]) {
    it(`goes on with its turn after an update (first host's weight ${weight})`, () => {
      const specs = [{ weight }, {}, {}, {}];
      const { lb } = balancer(specs, () => 0);
      const counts: Record<string, number> = {};
      for (let round = 0; round < 120; round++) {
        lb.update(hosts(specs), 140);
        const name = lb.pick()?.address ?? 'none';
        counts[name] = (counts[name] ?? 0) + 1;
      }
      const sum = weight + 3;
      expect(counts).to.deep.equal({ h0: (120 * weight) / sum, h1: 120 / sum, h2: 120 / sum, h3: 120 / sum });
    });
  }

  it('starts at a host of its own', () => {
    const firsts = new Set(Array.from({ length: 60 }, () => balancer([{}, {}, {}]).lb.pick()?.address));
    expect(firsts.size).to.equal(3);
  });
});

describe('priority load', () => {
  // The tables of https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/priority
  const cases: readonly {
    healthy: readonly number[];
    degraded?: readonly number[];
    load: readonly number[];
    rest?: readonly number[];
  }[] = [
    { healthy: [100, 100], load: [100, 0] },
    { healthy: [72, 100], load: [100, 0] },
    { healthy: [71, 100], load: [99, 1] },
    { healthy: [50, 100], load: [70, 30] },
    { healthy: [25, 100], load: [35, 65] },
    { healthy: [0, 100], load: [0, 100] },
    { healthy: [25, 25], load: [50, 50] },
    { healthy: [5, 0, 5], load: [50, 0, 50] },
    { healthy: [20, 0, 0], degraded: [20, 0, 0], load: [50, 0, 0], rest: [50, 0, 0] },
  ];
  for (const { healthy, degraded, load, rest } of cases) {
    it(`of ${healthy.join('/')} % healthy${degraded ? ` and ${degraded.join('/')} % degraded` : ''}`, () => {
      const counts = healthy.map((each, index) => ({ total: 100, healthy: each, degraded: degraded?.[index] ?? 0 }));
      const result = computePriorityLoad(counts, 140);
      if (!result.panic.every(Boolean)) {
        expect(result.healthy).to.deep.equal(load);
        expect(result.degraded).to.deep.equal(rest ?? load.map(() => 0));
      } else {
        expect(result.healthy.reduce((a, b) => a + b)).to.equal(100);
      }
    });
  }

  it('always gives out 100 per cent', () => {
    const health = fc.record({ healthy: fc.nat(20), degraded: fc.nat(20), bad: fc.nat(20) });
    fc.assert(
      fc.property(
        fc.array(health, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 1000 }),
        (priorities, factor) => {
          const counts = priorities.map(({ healthy, degraded, bad }) => ({
            total: healthy + degraded + bad,
            healthy,
            degraded,
          }));
          const { healthy, degraded } = computePriorityLoad(counts, factor);
          expect([...healthy, ...degraded].reduce((a, b) => a + b)).to.equal(100);
          expect(Math.min(...healthy, ...degraded)).to.be.at.least(0);
        },
      ),
    );
  });
});
