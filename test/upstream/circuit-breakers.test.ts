import { expect } from 'chai';
import type { CircuitBreakerThresholds } from '../../src/model/cluster.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { ClusterBreakers, createCircuitBreakers, showCircuitBreakers } from '../../src/upstream/circuit-breakers.js';

const wide: CircuitBreakerThresholds = { maxConnections: 9, maxPendingRequests: 8, maxRequests: 7, maxRetries: 3 };

type Store = ReturnType<typeof createStatsStore>;

const gaugesOf = (stats: Store) =>
  Object.fromEntries([...stats.gauges.values()].map(({ name, value }) => [name, value]));

describe('upstream: circuit breakers of a cluster', () => {
  const cases: readonly (readonly [string, Partial<CircuitBreakerThresholds>])[] = [
    ['plain limits', {}],
    ['no connections', { maxConnections: 0 }],
    ['no pending requests', { maxPendingRequests: 0 }],
    ['no requests', { maxRequests: 0 }],
    ['no retries', { maxRetries: 0 }],
    ['a retry budget', { retryBudget: { percent: 20, minConcurrency: 2 } }],
    ['a retry budget that may be nothing', { retryBudget: { percent: 20, minConcurrency: 0 } }],
    ['a retry budget in the place of no retries', { maxRetries: 0, retryBudget: { percent: 20, minConcurrency: 2 } }],
  ];
  for (const [what, overrides] of cases) {
    it(`show the same before and after their first request: ${what}`, () => {
      const limits = { ...wide, ...overrides };
      const eager = createStatsStore();
      for (const priority of ['default', 'high'] as const)
        showCircuitBreakers(createCircuitBreakers(limits, eager, priority), true);
      const stats = createStatsStore();
      const breakers = new ClusterBreakers({ default: limits, high: limits }, stats);
      const names = [...eager.gauges.keys()].sort();
      expect([...stats.gauges.keys()].sort(), 'before they are shown').to.deep.equal(names);
      breakers.show(true);
      expect(gaugesOf(stats)).to.deep.equal(gaugesOf(eager));
      breakers.of('default');
      breakers.of('high');
      expect(gaugesOf(stats)).to.deep.equal(gaugesOf(eager));
    });
  }

  it('are those of one version at a time, used or not', () => {
    const stats = createStatsStore();
    const gauge = (name: string): number => stats.gauge(`circuit_breakers.default.${name}`).value;
    const both = { default: wide, high: wide };
    const first = new ClusterBreakers(both, stats);
    first.show(true);
    const { requests } = first.of('default');
    expect(first.of('default').requests).to.equal(requests);
    for (let i = 0; i < 7; i++) requests.add(1);
    expect([gauge('remaining_rq'), gauge('rq_open')]).to.deep.equal([0, 1]);
    const next = new ClusterBreakers({ ...both, default: { ...wide, maxRequests: 70 } }, stats);
    next.show(true);
    first.show(false);
    expect([gauge('remaining_rq'), gauge('rq_open')]).to.deep.equal([70, 0]);
    requests.add(-1);
    expect(gauge('remaining_rq')).to.equal(70);
    next.of('default').requests.add(1);
    expect(gauge('remaining_rq')).to.equal(69);
    const unused = new ClusterBreakers(both, stats);
    unused.of('default').requests.add(1);
    expect(gauge('remaining_rq')).to.equal(69);
  });
});
