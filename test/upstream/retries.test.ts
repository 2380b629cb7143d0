import { expect } from 'chai';
import { createStatsStore } from '../../src/stats/create-store.js';
import {
  type CircuitBreakers,
  createCircuitBreakers,
  showCircuitBreakers,
} from '../../src/upstream/circuit-breakers.js';
import { createClusterManager } from '../../src/upstream/create-cluster-manager.js';
import { FakeClock } from '../support/fake-clock.js';
import { active, attempt, clusterModel, log, pipeline, resource, startServer, type TestServer } from './support.js';

describe('upstream: retries', () => {
  describe('circuit breaker', () => {
    const stats = createStatsStore();
    const gauge = (name: string): number => stats.gauge(`circuit_breakers.default.${name}`).value;
    const breakers = (limits: { retryBudget?: { percent: number; minConcurrency: number } } = {}): CircuitBreakers => {
      const wide = { maxConnections: 100, maxPendingRequests: 100, maxRequests: 100, maxRetries: 2, ...limits };
      const made = createCircuitBreakers(wide, stats, 'default');
      showCircuitBreakers(made, true);
      return made;
    };

    it('max_retries', () => {
      const { retries } = breakers();
      expect([gauge('rq_retry_open'), gauge('remaining_retries')]).to.deep.equal([0, 2]);
      retries.add(1);
      retries.add(1);
      expect(retries.canCreate()).to.equal(false);
      expect([gauge('rq_retry_open'), gauge('remaining_retries')]).to.deep.equal([1, 0]);
      retries.add(-1);
      expect(retries.canCreate()).to.equal(true);
    });

    it('a budget is a share of what is active and what waits, and never less than its minimum', () => {
      const { retries, requests, pendingRequests } = breakers({ retryBudget: { percent: 25, minConcurrency: 1 } });
      expect(retries.max).to.equal(1);
      for (let i = 0; i < 8; i++) requests.add(1);
      expect(retries.max).to.equal(2);
      for (let i = 0; i < 7; i++) pendingRequests.add(1);
      expect(retries.max).to.equal(3);
      for (let i = 0; i < 3; i++) retries.add(1);
      expect(retries.canCreate()).to.equal(false);
      expect([gauge('rq_retry_open'), gauge('remaining_retries')]).to.deep.equal([1, 0]);
      pendingRequests.add(1);
      expect(retries.canCreate()).to.equal(true);
    });
  });

  describe('choice of a host', () => {
    let servers: TestServer[];
    beforeEach(async () => {
      servers = [await startServer(), await startServer(), await startServer()];
    });
    afterEach(() => Promise.all(servers.map((server) => server.close())));

    async function chosen(keys: readonly string[], attempts: number): Promise<readonly (string | undefined)[]> {
      const manager = createClusterManager({
        stats: createStatsStore(),
        log,
        clock: new FakeClock(),
        drainTimeMs: 1000,
        random: () => 0,
        onEdsInterest: () => undefined,
      });
      const model = clusterModel(servers.map(({ port }) => ({ port })));
      manager.setCluster(resource(model), pipeline(), 'dynamic');
      const cluster = active(manager);
      const avoid = { keys: new Set(keys), attempts };
      const hosts: (string | undefined)[] = [];
      for (let i = 0; i < 6; i++) {
        const made = attempt(cluster, 'default', undefined, { freshOnly: false, avoid });
        await made.result;
        hosts.push(made.connection?.host.address);
        made.connection?.release(true);
      }
      await manager.close();
      return hosts;
    }

    it('passes over those to avoid', async () => {
      const [a, b, c] = servers.map(({ address }) => address) as [string, string, string];
      expect(new Set(await chosen([], 5))).to.deep.equal(new Set([a, b, c]));
      expect(new Set(await chosen([a], 5))).to.deep.equal(new Set([b, c]));
      expect(new Set(await chosen([a, c], 5))).to.deep.equal(new Set([b]));
    });

    it('takes one of them rather than none', async () => {
      const all = servers.map(({ address }) => address);
      expect(await chosen(all, 5)).to.not.include(undefined);
      // Two choices are not enough to pass over two neighbours.
      expect(new Set(await chosen(all.slice(0, 2), 1)).size).to.be.greaterThan(1);
      expect(new Set(await chosen(all.slice(0, 1), 0)).size).to.equal(3);
    });
  });
});
