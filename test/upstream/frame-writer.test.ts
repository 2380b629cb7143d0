import { expect } from 'chai';
import { KeptBytes } from '../../src/kept-bytes.js';
import { markTurnMemory } from '../../src/turn-memory.js';
import { FrameWriter } from '../../src/upstream/frame-writer.js';
import type { QueuedFrame } from '../../src/upstream/write-queue.js';
import { turns } from './support.js';

const memory = Buffer.from(new ArrayBuffer(400_000));
markTurnMemory(memory.buffer);

/** A connection that takes so many bytes until it is `drained`. */
class Connection {
  readonly writes: Buffer[] = [];
  waiting = false;
  #room: number;
  readonly #waiters: (() => void)[] = [];

  constructor(room: number) {
    this.#room = room;
  }

  write(data: Buffer): boolean {
    expect(this.waiting, 'written while it waits').to.equal(false);
    this.writes.push(Buffer.from(data));
    this.#room -= data.length;
    this.waiting = this.#room < 0;
    return true;
  }

  awaitWritten(): boolean {
    return this.waiting;
  }

  afterWrites(then: () => void): void {
    if (this.waiting) this.#waiters.push(then);
    else then();
  }

  drained(room: number): void {
    this.waiting = false;
    this.#room = room;
    for (const then of this.#waiters.splice(0)) then();
  }
}

function frame(bytes: Buffer, more: Partial<QueuedFrame> = {}): QueuedFrame {
  const pieces = [bytes.subarray(0, 4), bytes.subarray(4)];
  return {
    bytes: new KeptBytes(pieces),
    size: bytes.length,
    place: 0,
    onWrite: () => true,
    whenWritten: undefined,
    ...more,
  };
}

const text = (connection: Connection) => Buffer.concat(connection.writes);

describe('FrameWriter', () => {
  it('writes the frames of a turn together', async () => {
    const connection = new Connection(Infinity);
    const writer = new FrameWriter(connection);
    for (const word of ['first', 'second', 'third']) writer.add(frame(Buffer.from(word)));
    expect(connection.writes).to.have.length(0);
    await turns();
    expect(connection.writes.map(String)).to.deep.equal(['firstsecondthird']);
  });

  it('writes in this turn what would be gone after it', async () => {
    const connection = new Connection(Infinity);
    const writer = new FrameWriter(connection);
    writer.add(frame(Buffer.from('own')));
    memory.write('first');
    writer.add(frame(memory.subarray(0, 5)));
    memory.write('second', 5);
    writer.add(frame(memory.subarray(5, 11)));
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(connection.writes.map(String)).to.deep.equal(['ownfirstsecond']);
  });

  it('writes large frames piece by piece, and no other between: what waits is there in later turns', async () => {
    const connection = new Connection(100_000);
    const writer = new FrameWriter(connection);
    const large = memory.subarray(0, 300_000).fill('L');
    const other = memory.subarray(300_000, 300_100).fill('o');
    const told: string[] = [];
    writer.add(frame(large, { whenWritten: () => told.push('large') }));
    writer.add(frame(other));
    await new Promise<void>((resolve) => process.nextTick(resolve));
    expect(writer.blocked).to.equal(true);
    expect(told).to.deep.equal([]);
    memory.fill('x');
    await turns();
    writer.add(frame(memory.subarray(0, 100).fill('l')));
    memory.fill('x');
    for (let i = 0; writer.blocked && i < 20; i++) {
      connection.drained(50_000);
      writer.onWritable();
    }
    // The small one passes the large one, as long as that has not begun.
    const wanted = `${'o'.repeat(100)}${'L'.repeat(300_000)}${'l'.repeat(100)}`;
    expect(text(connection).equals(Buffer.from(wanted))).to.equal(true);
    expect(told).to.deep.equal(['large']);
    expect(writer.bytes).to.equal(0);
  });

  it('writes nothing more when it was stopped', async () => {
    const connection = new Connection(100);
    const writer = new FrameWriter(connection);
    writer.add(frame(Buffer.alloc(200_000)));
    writer.add(frame(Buffer.alloc(100)));
    await turns();
    expect(writer.blocked).to.equal(true);
    const before = text(connection).length;
    writer.stop();
    connection.drained(1_000_000);
    writer.onWritable();
    expect(text(connection).length).to.equal(before);
    expect(writer.bytes).to.equal(0);
  });
});
