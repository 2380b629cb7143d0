import { expect } from 'chai';
import fc from 'fast-check';
import { decodeSnapshot, encodeSnapshot, type Snapshot, SnapshotError } from '../../src/snapshot/format.js';

const date = fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true });
const resource = fc.record({
  source: fc.string({ unit: 'binary' }),
  typeUrl: fc.string({ unit: 'grapheme' }),
  name: fc.string({ unit: 'grapheme' }),
  version: fc.string({ unit: 'grapheme' }),
  bytes: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  acceptedAt: date,
});
const snapshots: fc.Arbitrary<Snapshot> = fc.record({
  owner: fc.record({ nodeId: fc.string({ unit: 'grapheme' }), nodeCluster: fc.string({ unit: 'grapheme' }) }),
  savedAt: date,
  writtenBy: fc.string(),
  resources: fc.array(resource, { maxLength: 12 }),
});
const fileOf = (snapshot: Snapshot): Buffer => Buffer.concat([...encodeSnapshot(snapshot)]);

const large = (count: number): Snapshot => ({
  owner: { nodeId: 'n', nodeCluster: 'c' },
  savedAt: new Date(0),
  writtenBy: 'test',
  resources: Array.from({ length: count }, (_, index) => ({
    source: 'ads',
    typeUrl: 'type',
    name: `r${index}`,
    version: '1',
    bytes: Buffer.alloc(1000, index),
    acceptedAt: new Date(0),
  })),
});

describe('a snapshot file', () => {
  it('has what was put into it', () => {
    fc.assert(
      fc.property(snapshots, (snapshot) => {
        const read = decodeSnapshot(fileOf(snapshot));
        const plain = ({ resources, ...rest }: Snapshot) => ({
          ...rest,
          resources: resources.map((each) => ({ ...each, bytes: [...each.bytes] })),
        });
        expect(plain(read)).to.deep.equal(plain(snapshot));
      }),
    );
  });

  it('is refused when any part of its end is missing', () => {
    const file = fileOf(large(3));
    for (let length = 0; length < file.length; length++)
      expect(() => decodeSnapshot(file.subarray(0, length)), `${length} bytes`).to.throw(SnapshotError);
  });

  it('is refused when any byte of it is another, or more follows', () => {
    const file = fileOf(large(1));
    for (let at = 0; at < file.length; at++) {
      const changed = Buffer.from(file);
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      expect(() => decodeSnapshot(changed), `byte ${at}`).to.throw(SnapshotError);
    }
    expect(() => decodeSnapshot(Buffer.concat([file, Buffer.from('\n')]))).to.throw(SnapshotError);
  });

  it('is refused with a reason for whatever bytes it has', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, magic) => {
        const file = Buffer.concat([Buffer.from(magic ? 'pontoon-snapshot 1\n' : ''), bytes]);
        expect(() => decodeSnapshot(file)).to.throw(SnapshotError);
      }),
    );
  });

  for (const [what, file, says] of [
    ['nothing', '', 'is not a snapshot'],
    ['something else', 'node: {id: x}\n', 'is not a snapshot'],
    ['another format', 'pontoon-snapshot 7\nwhatever', 'has format 7, and this version of Pontoon reads format 1'],
    ['no version', 'pontoon-snapshot x\n', 'is not a snapshot: its first line has no version'],
    ['half a first line', 'pontoon-snapshot 1', 'is damaged: its first line has no end'],
  ] as const)
    it(`says what is wrong with one that has ${what}`, () => {
      expect(() => decodeSnapshot(Buffer.from(file))).to.throw(SnapshotError, says);
    });

  it('is made in pieces that are small', () => {
    const pieces = [...encodeSnapshot(large(2_000))];
    expect(pieces.length).to.be.greaterThan(10);
    for (const piece of pieces) expect(piece.length).to.be.lessThan(140 * 1024);
  });

  it('is refused when it would be too large to be read', () => {
    const bytes = Buffer.alloc(60 * 1024 * 1024);
    const [first] = large(1).resources;
    const resources = Array.from({ length: 5 }, () => ({ ...(first as Snapshot['resources'][number]), bytes }));
    expect(() => {
      for (const _ of encodeSnapshot({ ...large(0), resources }));
    }).to.throw(SnapshotError, 'is larger than');
  });
});
