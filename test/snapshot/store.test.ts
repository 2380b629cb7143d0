import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Snapshot, SnapshotOwner } from '../../src/snapshot/format.js';
import { createSnapshotStore, snapshotFileName } from '../../src/snapshot/store.js';

const owner: SnapshotOwner = { nodeId: 'node', nodeCluster: 'cluster' };

function snapshotOf(version: string, whose = owner): Snapshot {
  const resource = { source: 'ads', typeUrl: 'type', name: 'a', bytes: Buffer.from('x'), acceptedAt: new Date(0) };
  return { owner: whose, savedAt: new Date(1), writtenBy: 'test', resources: [{ ...resource, version }] };
}
const versionOf = (snapshot: Snapshot | undefined) => snapshot?.resources[0]?.version;

describe('the folder of snapshots', () => {
  let parent: string;
  let folder: string;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), 'pontoon-store-'));
    folder = join(parent, 'a', 'kept');
  });
  afterEach(() => rmSync(parent, { recursive: true, force: true }));

  it('is made when something is saved, for its owner alone', async () => {
    const store = createSnapshotStore(folder, owner);
    expect(await store.load()).to.deep.equal({ snapshot: undefined, path: store.path, problems: [] });
    const size = await store.save(snapshotOf('1'));
    expect(statSync(store.path).size).to.equal(size);
    expect(statSync(folder).mode & 0o777).to.equal(0o700);
    expect(statSync(store.path).mode & 0o777).to.equal(0o600);
    expect(versionOf((await createSnapshotStore(folder, owner).load()).snapshot)).to.equal('1');
  });

  it('has the one before, which is used when the newest is damaged', async () => {
    const store = createSnapshotStore(folder, owner);
    await store.save(snapshotOf('1'));
    await store.save(snapshotOf('2'));
    writeFileSync(store.path, readFileSync(store.path).subarray(0, 40));
    const again = createSnapshotStore(folder, owner);
    const loaded = await again.load();
    expect(versionOf(loaded.snapshot)).to.equal('1');
    expect(loaded.path).to.equal(`${store.path}.previous`);
    expect(loaded.problems).to.deep.equal([`${store.path} is not whole: its end is missing`]);

    // A damaged one does not push out the good one before it.
    await again.save(snapshotOf('3'));
    writeFileSync(store.path, '');
    expect(versionOf((await createSnapshotStore(folder, owner).load()).snapshot)).to.equal('1');
  });

  it('keeps nodes apart, however their ids look', async () => {
    const owners = ['a/b', 'a_b', '../../x', '', '.', 'ä'.repeat(300)].flatMap((nodeId) =>
      ['', 'c'].map((nodeCluster) => ({ nodeId, nodeCluster })),
    );
    for (const [index, one] of owners.entries())
      await createSnapshotStore(folder, one).save(snapshotOf(`${index}`, one));
    expect(readdirSync(folder)).to.have.length(owners.length);
    for (const [index, one] of owners.entries())
      expect(versionOf((await createSnapshotStore(folder, one).load()).snapshot)).to.equal(`${index}`);
  });

  it('does not take what another node left under the name', async () => {
    const store = createSnapshotStore(folder, owner);
    const other = createSnapshotStore(folder, { ...owner, nodeId: 'other' });
    await other.save(snapshotOf('1', { ...owner, nodeId: 'other' }));
    writeFileSync(store.path, readFileSync(other.path));
    const { snapshot, problems } = await store.load();
    expect(snapshot).to.equal(undefined);
    expect(problems).to.deep.equal([`${store.path} is of another node: id 'other', cluster 'cluster'`]);
  });

  it('is not trusted when others may read or change it', async () => {
    mkdirSync(folder, { recursive: true, mode: 0o750 });
    const store = createSnapshotStore(folder, owner);
    const error = await store.save(snapshotOf('1')).catch((failure: Error) => failure.message);
    expect(error).to.include('is open to others (mode 750)').and.include('chmod 700');
    expect((await store.load()).problems).to.deep.equal([error]);
    expect(readdirSync(folder)).to.deep.equal([]);
  });

  it('is not followed through a link', async () => {
    const store = createSnapshotStore(folder, owner);
    await store.save(snapshotOf('1'));
    const elsewhere = join(parent, 'elsewhere');
    writeFileSync(elsewhere, readFileSync(store.path));
    rmSync(store.path);
    symlinkSync(elsewhere, store.path);
    const { snapshot, problems } = await store.load();
    expect(snapshot).to.equal(undefined);
    expect(problems.join()).to.include('ELOOP');
  });

  it('stays as it was where writing fails, without leftovers', async () => {
    const store = createSnapshotStore(folder, owner);
    await store.save(snapshotOf('1'));
    const [first] = snapshotOf('2').resources;
    const resources = Array.from({ length: 5 }, () => ({
      ...(first as Snapshot['resources'][number]),
      bytes: Buffer.alloc(60 * 2 ** 20),
    }));
    const error = await store.save({ ...snapshotOf('2'), resources }).catch((failure: Error) => failure.message);
    expect(error).to.include('is larger than');
    expect(readdirSync(folder)).to.deep.equal([snapshotFileName(owner)]);
    expect(versionOf((await store.load()).snapshot)).to.equal('1');
  });

  it('is cleaned of what ended processes and nodes left, and of nothing else', async () => {
    const store = createSnapshotStore(folder, owner);
    await store.save(snapshotOf('1'));
    await store.save(snapshotOf('2'));
    const own = snapshotFileName(owner);
    const gone = snapshotFileName({ ...owner, nodeId: 'gone' });
    const alive = snapshotFileName({ ...owner, nodeId: 'alive' });
    const draft = (pid: number, end = '') => `${own}.${pid}-0123abcd.tmp${end}`;
    const parentPid = process.ppid;
    const files = [
      draft(process.pid),
      draft(2 ** 22 + 1),
      draft(2 ** 22 + 1, '.link'),
      draft(parentPid),
      gone,
      `${gone}.previous`,
      alive,
      'notes.txt',
    ];
    for (const name of files) writeFileSync(join(folder, name), '');
    const age = (name: string, days: number) =>
      utimesSync(join(folder, name), new Date(), new Date(Date.now() - days * 86_400_000));
    for (const name of [gone, `${gone}.previous`, own, 'notes.txt']) age(name, 31);
    age(alive, 29);
    await store.clean();
    const left = [own, `${own}.previous`, draft(parentPid), alive, 'notes.txt'];
    expect(readdirSync(folder).sort()).to.deep.equal(left.sort());
    await store.touch();
    expect(Date.now() - statSync(store.path).mtimeMs).to.be.lessThan(86_400_000);
  });
});
