import { expect } from 'chai';
import fc from 'fast-check';
import { KeptBytes } from '../../src/kept-bytes.js';
import { FrameError, type FrameProtocol } from '../../src/upstream/frame-protocol.js';
import { FrameReader } from '../../src/upstream/frame-reader.js';
import { checkWholeFrame } from '../../src/upstream/whole-frame.js';
import { type QueuedFrame, WriteQueue } from '../../src/upstream/write-queue.js';

/** One byte of length, then so many bytes, of which the first is an id; or, as text, all up to a line break. */
const protocol: FrameProtocol = {
  frameLength(bytes) {
    if (bytes[0] === 0xff) throw new FrameError('no frame');
    if (bytes[0] !== 0) return 1 + (bytes[0] as number);
    const end = bytes.indexOf(10);
    return end < 0 ? undefined : end + 1;
  },
  ids: { read: (bytes) => bytes[1], write: (bytes, id) => void bytes.writeUInt8(Number(id), 1), max: 255 },
  stray: undefined,
  maxInFlight: 100,
  answerTimeoutMs: 1000,
};

const counted = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((rest) => Buffer.from([rest.length, ...rest]));
const line = fc.stringMatching(/^[a-z]{1,5000}$/).map((text) => Buffer.from(`\0${text}\n`));

/** Cuts `bytes` into pieces of these sizes, over and over. */
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number;
    pieces.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return pieces;
}

describe('FrameReader', () => {
  it('cuts the same frames, whatever the pieces they come in, and whenever they are taken', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(counted, line), { minLength: 1, maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 6 }),
        (frames, sizes, enough) => {
          const read: Buffer[] = [];
          let pieces: Buffer[] = [];
          const reader = new FrameReader(protocol, {
            onFrame(start, length) {
              expect(start.length).to.be.at.most(length);
              if (start.length < Math.min(enough, length)) return false;
              pieces = [start];
              if (start.length === length) read.push(start);
              return true;
            },
            onRest(piece, last) {
              pieces.push(piece);
              if (last) read.push(Buffer.concat(pieces));
            },
          });
          for (const piece of cut(Buffer.concat(frames), sizes)) reader.read(piece);
          expect(read.map((each) => each.toString('hex'))).to.deep.equal(frames.map((each) => each.toString('hex')));
        },
      ),
    );
  });

  const sink = { onFrame: () => false, onRest: () => undefined };

  it('gives up on what is no frame', () => {
    expect(() => new FrameReader(protocol, sink).read(Buffer.from([255]))).to.throw(FrameError, 'no frame');
    expect(() => new FrameReader(protocol, sink).read(Buffer.from([1, 1]))).to.throw('does not say whose it is');
    const endless = new FrameReader(protocol, sink);
    const megabyte = Buffer.alloc(1 << 20);
    expect(() => {
      for (let i = 0; i < 20; i++) endless.read(megabyte);
    }).to.throw('16777216 bytes without the end of a frame');
    const large = { ...protocol, frameLength: () => 1 << 30 };
    expect(() => new FrameReader(large, sink).read(Buffer.alloc(65_536))).to.throw('65536 bytes of a frame do not say');
  });

  it('cuts nothing more when it was stopped, not even of the same piece', () => {
    let frames = 0;
    const reader = new FrameReader(protocol, {
      onFrame() {
        frames++;
        reader.stop();
        return true;
      },
      onRest: () => undefined,
    });
    reader.read(Buffer.from([1, 1, 1, 1]));
    reader.read(Buffer.from([1, 1]));
    expect(frames).to.equal(1);
  });
});

describe('checkWholeFrame', () => {
  it('finds length and id in any pieces, and changes no byte', () => {
    fc.assert(
      fc.property(
        fc.oneof(counted, line),
        fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1 }),
        (whole, sizes) => {
          const frame = new KeptBytes(cut(whole, sizes));
          const id = checkWholeFrame(protocol, frame);
          expect(id).to.equal(whole[1]);
          expect(Buffer.concat(frame.pieces).equals(whole)).to.equal(true);
          expect(protocol.frameLength(frame.pieces[0] as Buffer)).to.equal(whole.length);
        },
      ),
    );
  });
});

describe('WriteQueue', () => {
  const framed = (size: number): QueuedFrame => ({
    bytes: new KeptBytes(),
    size,
    place: 0,
    onWrite: () => true,
    whenWritten: undefined,
  });
  const large = 1_000_000;

  it('is first in, first out as long as all goes out at once', () => {
    const queue = new WriteQueue();
    const frames = [30, 10, 20].map(framed);
    for (const frame of frames) queue.add(frame);
    expect(frames.map(() => queue.take())).to.deep.equal(frames);
    expect(queue.take()).to.equal(undefined);
  });

  it('lets small frames pass a large one', () => {
    const queue = new WriteQueue();
    const [big, ...small] = [large, 10, 10].map(framed) as [QueuedFrame, ...QueuedFrame[]];
    queue.add(big);
    for (const frame of small) queue.add(frame);
    expect([queue.take(), queue.take(), queue.take()]).to.deep.equal([...small, big]);
  });

  it('but not for longer than as many bytes take as it has', () => {
    const queue = new WriteQueue();
    const big = framed(large);
    queue.add(big);
    let gone = 0;
    const late = new Set<QueuedFrame | undefined>();
    for (let i = 0; i < 100; i++) queue.add(framed(10_000));
    for (let next = queue.take(); next !== big; next = queue.take()) {
      expect(late.has(next)).to.equal(false);
      gone += next?.size ?? 0;
      const small = framed(10_000);
      if (gone >= large) late.add(small);
      queue.add(small);
    }
    expect(late.size).to.be.above(10);
  });

  it('keeps count, whatever is added, taken and removed', () => {
    const step = fc.record({ what: fc.constantFrom('add', 'add', 'take', 'remove'), n: fc.nat(300_000) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const queue = new WriteQueue();
        const inside = new Set<QueuedFrame>();
        for (const { what, n } of steps) {
          if (what === 'add') {
            const frame = framed(n);
            inside.add(frame);
            queue.add(frame);
          } else if (what === 'take') {
            const taken = queue.take();
            expect(taken === undefined).to.equal(inside.size === 0);
            if (taken) expect(inside.delete(taken)).to.equal(true);
          } else {
            const victim = [...inside][n % Math.max(1, inside.size)];
            if (victim) expect(queue.remove(victim)).to.equal(inside.delete(victim));
            expect(queue.remove(framed(1))).to.equal(false);
          }
          expect(queue.bytes).to.equal([...inside].reduce((sum, { size }) => sum + size, 0));
        }
      }),
    );
  });
});
