import { expect } from 'chai';
import { InconsistentSnapshot, SnapshotCache } from '../../control-plane-sample/cache.js';
import { kinds } from '../../control-plane-sample/resource-kind.js';
import { inconsistencies, steps } from '../../control-plane-sample/snapshot.js';
import { ResourceStore } from '../../control-plane-sample/store.js';
import { assignments, clusters, resource, snapshot } from './fixtures.js';

const edsCluster = (name: string) =>
  resource(kinds.cluster, name, '1', [{ kind: kinds.endpoints, name, field: 'name' }]);
const names = (at: ReturnType<typeof snapshot>, typeUrl: string) => [
  ...(at.types.get(typeUrl)?.resources.keys() ?? []),
];

describe('control-plane-sample: snapshot', () => {
  it('has versions that depend on content alone', () => {
    const first = snapshot(clusters('a', 'b'), assignments('a'));
    expect(snapshot(assignments('a'), clusters('b', 'a')).version).to.equal(first.version);
    const changed = snapshot(clusters('a', 'b@2'), assignments('a'));
    expect(changed.version).to.not.equal(first.version);
    const version = (at: typeof first, kind: { typeUrl: string }) => at.types.get(kind.typeUrl)?.version;
    expect(version(changed, kinds.cluster)).to.not.equal(version(first, kinds.cluster));
    expect(version(changed, kinds.endpoints)).to.equal(version(first, kinds.endpoints));
  });

  it('names every reference to what is not there', () => {
    const reasons = inconsistencies(snapshot([edsCluster('a'), edsCluster('b')], assignments('b')));
    expect(reasons).to.deep.equal([
      'clusters "a" (a.yaml): name names "a", but there is no such resource in endpoints; add it together with this one',
    ]);
    expect(inconsistencies(snapshot([edsCluster('a')], assignments('a', 'unused')))).to.deep.equal([]);
  });

  it('goes in one step when nothing leaves, else first with all that leaves', () => {
    const from = snapshot(clusters('a', 'old'), assignments('old'));
    const to = snapshot(clusters('a@2', 'new'));
    const [first, last, ...more] = steps(from, to);
    expect(more).to.deep.equal([]);
    expect(last).to.equal(to);
    expect(first && names(first, kinds.cluster.typeUrl)).to.deep.equal(['a', 'new', 'old']);
    expect(first?.types.get(kinds.cluster.typeUrl)?.resources.get('a')).to.equal(
      to.types.get(kinds.cluster.typeUrl)?.resources.get('a'),
    );
    expect(first && names(first, kinds.endpoints.typeUrl)).to.deep.equal(['old']);
    const grown = snapshot(clusters('a@2', 'new', 'newer'));
    expect(steps(to, grown)).to.deep.equal([grown]);
  });
});

describe('control-plane-sample: cache', () => {
  it('tells its watchers of changes, and only of changes', () => {
    const cache = new SnapshotCache();
    const seen: string[] = [];
    const stop = cache.watch(({ version }, { removed }, source) => seen.push(`${version} ${removed} ${source}`));
    expect(cache.set(clusters('a', 'b'), 'test')).to.deep.equal({
      added: ['clusters/a', 'clusters/b'],
      changed: [],
      removed: [],
    });
    expect(cache.set(clusters('b', 'a'), 'test')).to.equal(undefined);
    expect(cache.set([...clusters('b@2', 'c')], 'test')).to.deep.equal({
      added: ['clusters/c'],
      changed: ['clusters/b'],
      removed: ['clusters/a'],
    });
    stop();
    cache.set([], 'test');
    expect(seen).to.have.length(2);
    expect(seen[1]).to.match(/^\w{12} clusters\/a test$/);
  });

  it('makes the way to the next snapshot once for all who are at the same', () => {
    const cache = new SnapshotCache();
    cache.set(clusters('a', 'b'), 'test');
    const from = cache.snapshot;
    cache.set(clusters('b'), 'test');
    const way = cache.wayFrom(from);
    expect(way).to.deep.equal(steps(from, cache.snapshot));
    expect(cache.wayFrom(from)).to.equal(way);
    cache.set(clusters('a', 'b', 'c'), 'test');
    expect(cache.wayFrom(from)).to.deep.equal([cache.snapshot]);
  });

  it('refuses an inconsistent snapshot and keeps what it has', () => {
    const cache = new SnapshotCache();
    cache.set([edsCluster('a'), ...assignments('a')], 'test');
    const { version } = cache.snapshot;
    expect(() => cache.set([edsCluster('a')], 'test')).to.throw(
      InconsistentSnapshot,
      'there is no such resource in endpoints',
    );
    expect(cache.snapshot.version).to.equal(version);
  });
});

describe('control-plane-sample: store', () => {
  const served = (store: ResourceStore) =>
    [...(store.cache.snapshot.types.get(kinds.cluster.typeUrl)?.resources.values() ?? [])].map(({ bytes }) =>
      bytes.toString(),
    );

  it('puts what was pushed over the files, until it is forgotten', () => {
    const store = new ResourceStore(new SnapshotCache());
    store.setFiles(clusters('a', 'b'), 'test');
    store.push(clusters('b@2', 'c'), 'test');
    expect(served(store)).to.deep.equal(['a 1', 'b 2', 'c 1']);
    store.setFiles(clusters('a@3', 'b@3'), 'test');
    expect(served(store)).to.deep.equal(['a 3', 'b 2', 'c 1']);
    store.remove({ kind: kinds.cluster, name: 'a' }, 'test');
    store.remove({ kind: kinds.cluster, name: 'c' }, 'test');
    expect(served(store)).to.deep.equal(['b 2']);
    expect(store.remove({ kind: kinds.cluster, name: 'c' }, 'test')).to.equal(false);
    store.reset('test');
    expect(served(store)).to.deep.equal(['a 3', 'b 3']);
  });

  it('takes a change as a whole or not at all', () => {
    const store = new ResourceStore(new SnapshotCache());
    store.setFiles([edsCluster('a'), ...assignments('a')], 'test');
    expect(() => store.push([...clusters('good'), edsCluster('lonely')], 'test')).to.throw(InconsistentSnapshot);
    expect(() => store.remove({ kind: kinds.endpoints, name: 'a' }, 'test')).to.throw(InconsistentSnapshot);
    expect(served(store)).to.deep.equal(['a 1']);
    store.push(clusters('later'), 'test');
    expect(served(store)).to.deep.equal(['a 1', 'later 1']);
  });
});
