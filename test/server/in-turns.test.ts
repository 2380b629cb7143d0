import { expect } from 'chai';
import { createLogging } from '../../src/log.js';
import { type AdminSourcesOptions, createAdminSources } from '../../src/server/admin-sources.js';
import { createUpdateLog } from '../../src/server/log-update.js';
import { createTextReadouts } from '../../src/server/text-readouts.js';
import { createTurns } from '../../src/turns.js';
import type { ClusterStatus } from '../../src/upstream/cluster-manager.js';
import { commitResponse } from '../../src/xds/commit-response.js';
import { Interest } from '../../src/xds/interest.js';
import { emptyPlan } from '../../src/xds/plan-response.js';
import { ResourceCache } from '../../src/xds/resource-cache.js';
import type { ResourceUpdate } from '../../src/xds/resource-type.js';
import { FakeClock } from '../support/fake-clock.js';

const count = 1_000;
const names = Array.from({ length: count }, (_, index) => `c${index}`);
const log = createLogging('off').logger('test');

/** On which every bit of work takes a tenth of a millisecond. */
class WorkingClock extends FakeClock {
  override monotonic(): number {
    this.advance(0.1);
    return super.monotonic();
  }
}

/** As many clusters, of which nothing is known but that they are there. */
function* statuses(): Generator<ClusterStatus> {
  for (const name of names) {
    const resource = { name, version: '1', bytes: Buffer.from(name), verdict: { kind: 'parked', reason: 'no bridge' } };
    const parked = { resource, reason: 'no bridge', lastUpdated: new Date(0) };
    yield { name, origin: 'dynamic', parked, draining: 0, hosts: [] } as unknown as ClusterStatus;
  }
}

describe('what goes over a large configuration', () => {
  it('drops what was removed in turns', async () => {
    const [cache, interest, clock] = [new ResourceCache<string>(), new Interest(), new WorkingClock()];
    interest.setWildcard(true);
    for (const name of names)
      cache.accept(name, '1', Buffer.from(name), { kind: 'active', model: name, warnings: [] }, new Date(0));
    const take = createTurns(clock);
    const left: number[] = [];
    const turns = () => {
      const pause = take();
      if (pause) left.push([...cache.entries()].length);
      return pause;
    };
    const plan = { ...emptyPlan<string>(), removed: names };
    const judged = { verdicts: [], unchanged: [] };
    await commitResponse({ version: '2' }, plan, judged, { cache, interest, clock, turns });
    expect([...cache.entries()]).to.deep.equal([]);
    expect(left.length).to.be.within(count / 40, count / 10);
    expect(new Set(left).size, 'something is done in each turn').to.equal(left.length);
  });

  it('tells of each resource in a step of its own', () => {
    const update: ResourceUpdate<unknown> = {
      cause: 'response',
      version: '1',
      changed: [],
      rejected: names.map((name) => ({ name, problems: [{ path: '', message: 'bad' }] })),
      removed: names.map((name) => `${name} gone`),
      unchanged: [],
    };
    expect([...createUpdateLog(log, 'cluster').tellInSteps(update)]).to.have.lengthOf(2 * count);
  });

  it('asks what is known of a resource when it is shown, not before', () => {
    let asked = 0;
    const client = {
      *states() {
        for (const name of names) {
          asked++;
          yield { name };
        }
      },
      state() {
        asked++;
        return undefined;
      },
    };
    const sources = createAdminSources({
      types: { clusters: { typeUrl: 'c' }, endpoints: { typeUrl: 'e' } },
      clusters: { statuses },
      dynamic: { client },
      rolledBack: () => undefined,
    } as unknown as AdminSourcesOptions);
    for (const kind of ['clusters', 'endpoints'] as const) {
      asked = 0;
      let pulled = 0;
      for (const _ of sources.dump(kind)) expect(asked, kind).to.be.at.most(++pulled);
      expect(pulled, kind).to.be.at.least(count);
    }
  });

  it('has a place for a pause at every cluster, and reads none that is not asked for', () => {
    let read = 0;
    const texts = createTextReadouts({
      types: Object.fromEntries(
        ['clusters', 'listeners', 'routes', 'secrets', 'endpoints'].map((kind) => [
          kind,
          { typeUrl: kind, statPrefix: kind },
        ]),
      ),
      dynamic: { client: { states: () => [], version: () => '', versionOf: () => '' } },
      clusters: {
        *statuses() {
          for (const status of statuses()) {
            read++;
            yield status;
          }
        },
      },
      listeners: { snapshot: () => [] },
    } as unknown as Parameters<typeof createTextReadouts>[0]);
    expect([...texts('cluster_manager.active')].filter((text) => text !== undefined)).to.have.lengthOf(2);
    expect(read).to.equal(0);
    for (const prefix of ['', 'clus', 'cluster.', 'cluster.c1.'])
      expect(
        [...texts(prefix)].filter((text) => text === undefined),
        prefix,
      ).to.have.lengthOf(count);
  });
});
