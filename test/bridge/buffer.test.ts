import { expect } from 'chai';
import fc from 'fast-check';
import { ByteQueue, PluginBuffer } from '../../src/bridge/buffer.js';

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
const operation = fc.oneof(
  fc.record({ do: fc.constantFrom('host', 'append', 'prepend', 'set' as const), data: bytes }),
  fc.record({ do: fc.constant('drain' as const), count: fc.nat(60) }),
  fc.record({ do: fc.constant('cut' as const), from: fc.nat(30), to: fc.nat(60) }),
  fc.constant({ do: 'bytes' as const }),
  fc.constant({ do: 'reset' as const }),
  fc.constant({ do: 'take' as const }),
);

describe('buffer', () => {
  it('is what a plain string of bytes would be, whatever is done to it', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        const queue = new ByteQueue();
        const buffer = new PluginBuffer(queue, { active: true });
        let model = Buffer.alloc(0);
        /** Everything that was ever handed out must stay what it was. */
        const handedOut: [Buffer, Buffer][] = [];
        for (const step of operations) {
          switch (step.do) {
            case 'host':
              queue.append(step.data);
              model = Buffer.concat([model, step.data]);
              break;
            case 'append':
              buffer.append(step.data);
              model = Buffer.concat([model, step.data]);
              break;
            case 'prepend':
              buffer.prepend(step.data);
              model = Buffer.concat([step.data, model]);
              break;
            case 'set':
              buffer.set(step.data);
              model = step.data;
              break;
            case 'drain':
              buffer.drain(step.count);
              model = model.subarray(step.count);
              break;
            case 'cut':
              buffer.set(buffer.bytes().subarray(step.from, step.to));
              model = model.subarray(step.from, step.to);
              break;
            case 'bytes':
              handedOut.push([buffer.bytes(), Buffer.from(model)]);
              break;
            case 'reset':
              buffer.reset();
              model = Buffer.alloc(0);
              break;
            case 'take':
              for (const piece of queue.take()) {
                expect(piece.length).to.be.above(0);
                handedOut.push([piece, Buffer.from(model.subarray(0, piece.length))]);
                model = model.subarray(piece.length);
              }
              expect(model.length).to.equal(0);
              break;
          }
          expect(buffer.len()).to.equal(model.length);
        }
        expect(buffer.bytes().equals(model)).to.equal(true);
        for (const [was, is] of handedOut) expect(was.equals(is)).to.equal(true);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps no object per byte of a body that comes byte by byte', () => {
    const queue = new ByteQueue();
    for (let i = 0; i < 1 << 20; i++) queue.append(Buffer.from([i & 255]));
    expect(queue.length).to.equal(1 << 20);
    expect(queue.pieces.length).to.be.below(100);
  });

  it('copies in linear time when it is looked at after each piece', () => {
    const queue = new ByteQueue();
    const piece = Buffer.alloc(1000, 'x');
    const places = new Set<ArrayBufferLike>();
    for (let i = 0; i < 16_000; i++) {
      queue.append(piece);
      places.add(queue.bytes().buffer);
    }
    expect(queue.bytes().length).to.equal(16_000_000);
    expect(places.size).to.be.below(20);
  });

  it('copies what the plugin hands in, but not what was its own', () => {
    const queue = new ByteQueue();
    const buffer = new PluginBuffer(queue, { active: true });
    const scratch = Buffer.from('frame');
    buffer.append(scratch);
    scratch.fill('x');
    expect(buffer.toString()).to.equal('frame');
    const before = buffer.bytes();
    buffer.set(before.subarray(1, 3));
    expect(buffer.toString()).to.equal('ra');
    expect(buffer.bytes().buffer).to.equal(before.buffer);
    expect(buffer.bytes().byteOffset).to.equal(before.byteOffset + 1);
  });

  it('takes strings and bytes only', () => {
    const buffer = new PluginBuffer(new ByteQueue(), { active: true });
    for (const wrong of [1, null, undefined, {}, [1]]) {
      expect(() => buffer.append(wrong as never)).to.throw(TypeError);
      expect(() => buffer.set(wrong as never)).to.throw(TypeError);
    }
    buffer.append(new Uint16Array([0x4142]) as never);
    buffer.append('é');
    expect(buffer.toString()).to.equal('BAé');
    expect(() => buffer.drain('1' as never)).to.throw(TypeError);
    buffer.drain(-1);
    expect(buffer.len()).to.equal(4);
    buffer.drain(99);
    expect(buffer.len()).to.equal(0);
  });

  it('works only during a call', () => {
    const scope = { active: false };
    const buffer = new PluginBuffer(new ByteQueue(), scope);
    for (const use of [
      () => buffer.len(),
      () => buffer.bytes(),
      () => buffer.toString(),
      () => buffer.set(''),
      () => buffer.append(''),
      () => buffer.prepend(''),
      () => buffer.drain(1),
      () => buffer.reset(),
    ]) {
      expect(use).to.throw('after the call');
    }
  });
});
