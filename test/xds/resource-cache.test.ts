import { expect } from 'chai';
import { Interest } from '../../src/xds/interest.js';
import { ResourceCache } from '../../src/xds/resource-cache.js';
import { bytesOf } from './harness.js';

const everything = new Interest();
everything.setWildcard(true);
const now = new Date(0);
const verdict = { kind: 'active', model: 1, warnings: [] } as const;

function rejectedVersion(bytes: Uint8Array) {
  return { version: 'v', bytes, problems: [{ path: 'x', message: 'is bad' }], judgedAt: 0, lastAttempt: now };
}

describe('resource cache', () => {
  it('forgets the oldest rejected versions when there are too many', () => {
    const cache = new ResourceCache<number>();
    cache.accept('kept', '1', bytesOf('kept', '1'), verdict, now);
    cache.reject('kept', rejectedVersion(bytesOf('kept', 'bad')));
    for (let i = 0; i < ResourceCache.mostRejected; i++)
      cache.reject(`r${i}`, rejectedVersion(bytesOf(`r${i}`, 'bad')));
    expect(cache.rejected('kept')).to.equal(undefined);
    expect(cache.accepted('kept')?.version).to.equal('1');
    expect([...cache.states(everything)]).to.have.lengthOf(ResourceCache.mostRejected + 1);
    cache.reject('one more', rejectedVersion(bytesOf('one more', 'bad')));
    expect([...cache.states(everything)].map(({ name }) => name)).to.not.include('r0');
  });

  it('forgets rejected versions when they are too large', () => {
    const cache = new ResourceCache<number>();
    const large = Buffer.alloc(ResourceCache.mostRejectedBytes / 2);
    for (const name of ['a', 'b', 'c']) cache.reject(name, rejectedVersion(large));
    expect([...cache.states(everything)].map(({ name }) => name)).to.deep.equal(['b', 'c']);
  });

  it('takes the same bytes as new when they could not be applied', () => {
    const cache = new ResourceCache<number>();
    cache.accept('a', '1', bytesOf('a', '1'), verdict, now);
    cache.distrust('a');
    expect(cache.isTrusted('a')).to.equal(false);
    cache.accept('a', '1', bytesOf('a', '1'), verdict, now);
    expect(cache.isTrusted('a')).to.equal(true);
  });
});
