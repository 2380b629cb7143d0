import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import streamDecoder from '@grpc/grpc-js/build/src/stream-decoder.js';
import { expect } from 'chai';
import fc from 'fast-check';
import { channelDefaults } from '../../src/xds/channel.js';
import { MessageDecoder } from '../../src/xds/message-decoder.js';
import { openStreamCall } from '../../src/xds/stream-call.js';

/** As it is before the first call of this process. */
const { StreamDecoder } = streamDecoder;

function framed(message: Uint8Array, compressed = 0): Buffer {
  const head = Buffer.alloc(5);
  head[0] = compressed;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Cuts at these places, wherever they are of what there is. */
function pieces(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (stream.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((place, index) => stream.subarray(place, places[index] ?? stream.length));
}

describe('messages of a gRPC stream', () => {
  it('are found wherever the stream is cut, as grpc-js itself does', () => {
    const message = fc.record({ compressed: fc.constantFrom(0, 1), bytes: fc.uint8Array({ maxLength: 40 }) });
    fc.assert(
      fc.property(fc.array(message), fc.array(fc.nat(400)), (messages, cuts) => {
        const all = messages.map(({ bytes, compressed }) => framed(bytes, compressed));
        const [ours, theirs] = [new MessageDecoder(-1), new StreamDecoder(-1)];
        for (const piece of pieces(Buffer.concat(all), cuts)) {
          const found = ours.write(piece);
          expect(found).to.deep.equal(theirs.write(piece));
          for (const one of found) expect(one).to.deep.equal(all.shift());
        }
        expect(all).to.deep.equal([]);
      }),
    );
  });

  it('are copied as they come, and not again at the end', () => {
    const [piece, count] = [Buffer.alloc(64 * 1024, 1), 40];
    const decoder = new MessageDecoder(-1);
    decoder.write(framed(Buffer.alloc(piece.length * count)).subarray(0, 5));
    const concat = Buffer.concat;
    let copiedAgain = 0;
    Buffer.concat = (list, length) => {
      copiedAgain++;
      return concat(list, length);
    };
    try {
      for (let i = 0; i < count; i++) {
        const own = Buffer.from(piece);
        const found = decoder.write(own);
        // It has a copy by now.
        own.fill(2);
        expect(found.length).to.equal(i === count - 1 ? 1 : 0);
        for (const whole of found) expect(whole.subarray(5).every((byte) => byte === 1)).to.equal(true);
      }
    } finally {
      Buffer.concat = concat;
    }
    expect(copiedAgain).to.equal(0);
  });

  it('are refused at their head when they are too long, and whatever comes after', () => {
    const decoder = new MessageDecoder(10);
    expect(decoder.write(framed(Buffer.alloc(10))).length).to.equal(1);
    expect(() => decoder.write(framed(Buffer.alloc(11)).subarray(0, 5))).to.throw('larger than max (11 vs 10)');
    expect(() => decoder.write(Buffer.alloc(3))).to.throw('larger than max');
  });

  it('are what a stream to a control plane reads, without another copy', async () => {
    const server = new Server();
    const bytes = Buffer.alloc(1024 * 1024, 7);
    const identity = (message: Buffer) => message;
    const method = {
      path: '/test/Stream',
      requestStream: true,
      responseStream: true,
      requestSerialize: identity,
      requestDeserialize: identity,
      responseSerialize: identity,
      responseDeserialize: identity,
    } as const;
    const reply = (call: ServerDuplexStream<Buffer, Buffer>) => void call.on('data', () => call.write(bytes));
    server.addService({ Stream: method }, { Stream: reply });
    const port = await new Promise<number>((resolve, reject) => {
      const bound = (error: Error | null, port: number) => (error ? reject(error) : resolve(port));
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), bound);
    });
    const write = MessageDecoder.prototype.write;
    const places: ArrayBufferLike[] = [];
    MessageDecoder.prototype.write = function (data) {
      const found = write.call(this, data);
      places.push(...found.map(({ buffer }) => buffer));
      return found;
    };
    const address = `127.0.0.1:${port}`;
    const opened = openStreamCall({ ...channelDefaults, addresses: () => [address] }, address, method.path, []);
    try {
      const message = await new Promise<Buffer>((resolve, reject) => {
        opened.call.on('data', resolve).on('status', ({ details }) => reject(new Error(details)));
        opened.call.write(Buffer.from('x'));
      });
      expect(message.equals(bytes)).to.equal(true);
      expect(places).to.include(message.buffer);
    } finally {
      MessageDecoder.prototype.write = write;
      opened.release();
      server.forceShutdown();
    }
  });
});
