import { expect } from 'chai';
import { systemClock } from '../../src/clock.js';
import { createTurns } from '../../src/turns.js';
import { judgePlan } from '../../src/xds/judge-plan.js';
import { emptyPlan } from '../../src/xds/plan-response.js';
import { type Entry, ResourceCache } from '../../src/xds/resource-cache.js';
import { bytesOf, testType } from './harness.js';

describe('judging a response', () => {
  it('lets others have their turn, and keeps the order', async () => {
    const type = testType('t', true);
    const { judge } = type;
    Object.assign(type, {
      async judge(resource: Parameters<typeof judge>[0]) {
        const end = performance.now() + 1;
        while (performance.now() < end);
        return await judge(resource);
      },
    });
    let turns = 0;
    const ticker = setInterval(() => turns++, 1);
    const candidates = Array.from({ length: 60 }, (_, i) => ({
      name: `${i}`,
      version: '',
      bytes: bytesOf(`${i}`, '1'),
      ownName: true,
    }));
    const plan = emptyPlan<string>(candidates);
    const { verdicts } = await judgePlan(type, { version: '' }, plan, createTurns(systemClock));
    clearInterval(ticker);
    expect(verdicts.map(({ candidate }) => candidate)).to.deep.equal(candidates);
    expect(turns).to.be.greaterThan(4);
  });

  it('judges again what cannot say whether it is stale', async () => {
    const type = testType('t', true);
    Object.assign(type, { staleCheck: () => () => Promise.reject(new Error('gone')) });
    const verdict = { kind: 'active', model: '1', warnings: [] } as const;
    const cache = new ResourceCache<string>();
    cache.accept('a', '1', bytesOf('a', '1'), verdict, new Date(0));
    const plan = emptyPlan<string>();
    plan.unchanged.push(cache.entry('a') as Entry<string>);
    const { verdicts, unchanged } = await judgePlan(type, { version: '2' }, plan, createTurns(systemClock));
    expect(verdicts.map(({ candidate: { name, version } }) => [name, version])).to.deep.equal([['a', '2']]);
    expect(unchanged).to.have.lengthOf(0);
  });
});
