import { expect } from 'chai';
import fc from 'fast-check';
import { KeptBytes } from '../../src/kept-bytes.js';
import { markTurnMemory } from '../../src/turn-memory.js';

const memory = Buffer.from(new ArrayBuffer(300_000));
markTurnMemory(memory.buffer);

type Step =
  | { readonly do: 'append'; readonly size: number; readonly own: boolean }
  | { readonly do: 'head'; readonly size: number }
  | { readonly do: 'shift' };

const append = fc.record({
  do: fc.constant('append' as const),
  size: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1000, max: 5000 }), fc.integer({ max: 150_000 })),
  own: fc.boolean(),
});
const head = fc.record({ do: fc.constant('head' as const), size: fc.integer({ min: 1, max: 100_000 }) });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: append },
  { weight: 1, arbitrary: head },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('shift' as const) }) },
);

/** The bytes that a queue should have, beside it. */
class Checked {
  readonly queue = new KeptBytes();
  #wanted: Buffer[] = [];
  #at = 0;

  /** In a turn whose memory begins to be used again. */
  begin(): void {
    this.#at = 0;
  }

  run(one: Step, seed: number): void {
    if (one.do === 'append') this.#append(Math.max(1, Math.min(one.size, memory.length - this.#at)), one.own, seed);
    else if (one.do === 'shift') this.#shift();
    else this.#head(one.size);
    this.check();
  }

  #append(size: number, own: boolean, seed: number): void {
    if (this.#at + size > memory.length) return;
    const piece = own ? Buffer.alloc(size) : memory.subarray(this.#at, this.#at + size);
    if (!own) this.#at += size;
    for (let i = 0; i < size; i += 7) piece[i] = seed + i;
    this.queue.append(piece);
    this.#wanted.push(Buffer.from(piece));
  }

  #shift(): void {
    const piece = this.queue.shift();
    const wanted = Buffer.concat(this.#wanted);
    if (piece === undefined) expect(wanted).to.have.length(0);
    else expect(piece.equals(wanted.subarray(0, piece.length))).to.equal(true);
    this.#wanted = [wanted.subarray(piece?.length ?? 0)];
  }

  #head(size: number): void {
    const first = this.queue.head(size);
    expect(first?.length ?? 0).to.be.at.least(Math.min(size, this.queue.length));
  }

  check(): void {
    const wanted = Buffer.concat(this.#wanted);
    expect(this.queue.length).to.equal(wanted.length);
    expect(Buffer.concat(this.queue.pieces).equals(wanted)).to.equal(true);
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('KeptBytes', () => {
  it('has its bytes in every later turn, whatever becomes of the memory that they came in, and of what left', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.tuple(fc.boolean(), step), { maxLength: 8 }), { maxLength: 8 }),
        async (turns) => {
          const queues = [new Checked(), new Checked()] as const;
          for (const [seed, steps] of turns.entries()) {
            for (const queue of queues) queue.begin();
            for (const [second, one] of steps) {
              const queue = queues[second ? 1 : 0];
              queue.run(one, seed);
              // The other one uses the same memory.
              queue.queue.keep();
            }
            for (const { queue } of queues) queue.keep();
            memory.fill(0xdb);
            await turn();
            for (const queue of queues) queue.check();
          }
          for (const { queue } of queues) queue.clear();
        },
      ),
      { numRuns: 60 },
    );
  });

  it('does not copy what leaves in the turn in which it came', () => {
    const queue = new KeptBytes();
    const piece = memory.subarray(0, 100_000);
    queue.append(piece);
    expect(queue.endsWithTurn).to.equal(true);
    expect(queue.take()[0]).to.equal(piece);
    expect(queue.length).to.equal(0);
  });

  it('hands out bytes that stay until the end of the turn, and no longer than that keeps their memory', async () => {
    const fill = (byte: number): KeptBytes => {
      const queue = new KeptBytes();
      memory.fill(byte, 0, 100_000);
      queue.append(memory.subarray(0, 100_000));
      queue.keep();
      return queue;
    };
    const [taken] = fill(1).take();
    const other = fill(2);
    expect(taken?.every((byte) => byte === 1)).to.equal(true);
    await turn();
    const third = fill(3);
    expect(other.pieces.every((piece) => piece.every((byte) => byte === 2))).to.equal(true);
    expect(third.pieces.some((piece) => piece.buffer === taken?.buffer)).to.equal(true);
    other.clear();
    third.clear();
  });

  it('makes few objects of many small pieces', () => {
    const queue = new KeptBytes();
    for (let i = 0; i < 10_000; i++) {
      queue.append(memory.subarray(0, 1));
      queue.keep();
    }
    expect(queue.length).to.equal(10_000);
    expect(queue.pieces.length).to.be.below(10);
  });
});
