import { expect } from 'chai';
import { systemClock } from '../../src/clock.js';
import { createTurns } from '../../src/turns.js';
import { judgePlan } from '../../src/xds/judge-plan.js';
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
    const plan = { candidates, unchanged: [], rejections: [], removed: [], ttls: new Map() };
    const { verdicts } = await judgePlan(type, plan, createTurns(systemClock));
    clearInterval(ticker);
    expect(verdicts.map(({ candidate }) => candidate)).to.deep.equal(candidates);
    expect(turns).to.be.greaterThan(4);
  });

  it('judges again what cannot say whether it is stale', async () => {
    const type = testType('t', true);
    Object.assign(type, { staleCheck: () => () => Promise.reject(new Error('gone')) });
    const verdict = { kind: 'active', model: '1', warnings: [] } as const;
    const held = { name: 'a', version: '1', bytes: bytesOf('a', '1'), verdict };
    const plan = { candidates: [], unchanged: [{ held, version: '2' }], rejections: [], removed: [], ttls: new Map() };
    const { verdicts, unchanged } = await judgePlan(type, plan, createTurns(systemClock));
    expect(verdicts.map(({ candidate: { name, version } }) => [name, version])).to.deep.equal([['a', '2']]);
    expect(unchanged).to.have.lengthOf(0);
  });
});
