import { expect } from 'chai';
import fc from 'fast-check';
import { openSockets } from '../../src/sockets/open-sockets.js';
import type { StreamSocket } from '../../src/sockets/stream-socket.js';
import { TurnWriter } from '../../src/sockets/turn-writer.js';
import { openWire, silentLog, Watched, type Wire } from './support.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a turn writer', () => {
  let wire: Wire;

  before(async () => {
    wire = await openWire('tcp');
  });

  after(() => wire.close());

  /** A writer over a socket, the lengths of what it wrote, and what reads it. */
  const open = async () => {
    const adopt = openSockets('checked', silentLog);
    const [socket, reader] = await wire.connect(
      (accepted) => adopt(accepted),
      (connected) => new Watched(adopt(connected)),
    );
    const writes: number[] = [];
    const write = socket.write.bind(socket);
    socket.write = (data: Buffer, start = 0, end = data.length) => {
      writes.push(end - start);
      write(data, start, end);
    };
    const watched = new Watched(socket);
    const state = { flushed: 0 };
    const writer = new TurnWriter(socket, () => state.flushed++);
    const close = async (): Promise<void> => {
      watched.socket.destroy();
      reader.socket.destroy();
      await reader.until('the close', () => reader.closed && watched.closed);
    };
    return { writer, writes, state, socket: socket as StreamSocket, reader, close };
  };

  it('joins what is given to it in a turn, and several writers need one call', async () => {
    const one = await open();
    const other = await open();
    one.writer.write('head ');
    other.writer.write(Buffer.from('other'));
    one.writer.write(Buffer.from('body'));
    expect([one.writes, one.writer.waiting, one.state.flushed]).to.deep.equal([[], 9, 0]);
    await turn();
    expect([one.writes, other.writes, one.writer.waiting, one.state.flushed]).to.deep.equal([[9], [5], 0, 1]);
    await one.reader.until('the bytes', () => one.reader.text === 'head body');
    await other.reader.until('the bytes', () => other.reader.text === 'other');
    await one.close();
    await other.close();
  });

  it('writes at once when it is told to, and what comes later in the turn at its end', async () => {
    const { writer, writes, reader, close } = await open();
    writer.write('now');
    writer.flush();
    expect(writes).to.deep.equal([3]);
    writer.write('later');
    await turn();
    expect(writes).to.deep.equal([3, 5]);
    await reader.until('the bytes', () => reader.text === 'nowlater');
    await close();
  });

  it('flushes the others when telling one of them throws', async () => {
    const one = await open();
    const other = await open();
    const throwing = new TurnWriter(one.socket, () => {
      throw new Error('a fault of its owner');
    });
    const listeners = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const seen: string[] = [];
    process.once('uncaughtException', ({ message }) => seen.push(message));
    throwing.write('x');
    other.writer.write('y');
    await other.reader.until('the bytes', () => other.reader.text === 'y');
    for (const listener of listeners) process.on('uncaughtException', listener);
    expect(seen).to.deep.equal(['a fault of its owner']);
    await one.close();
    await other.close();
  });

  it('keeps the order of pieces of any size, without a call for each', async () => {
    const { writer, writes, reader, close } = await open();
    const sizes = fc.array(fc.oneof(fc.nat(300), fc.nat(20_000), fc.nat(90_000)), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(sizes, async (given) => {
        reader.pieces.length = 0;
        writes.length = 0;
        const pieces = given.map((size, i) => String.fromCharCode(97 + (i % 26)).repeat(size));
        for (const [i, piece] of pieces.entries()) writer.write(i % 2 === 0 ? piece : Buffer.from(piece, 'latin1'));
        const expected = pieces.join('');
        const whole = (): boolean => reader.pieces.reduce((sum, { length }) => sum + length, 0) === expected.length;
        if (expected.length > 0) await reader.until('the bytes', whole);
        expect(reader.text === expected).to.equal(true);
        const large = given.filter((size) => size >= 16 * 1024).length;
        expect(writes.length).to.be.at.most(
          expected.length <= 64 * 1024 ? 1 : 2 * large + Math.ceil(expected.length / (32 * 1024)),
        );
      }),
      { numRuns: 60 },
    );
    await close();
  });
});
