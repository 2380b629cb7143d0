import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect } from 'chai';
import { openSockets } from '../../src/sockets/open-sockets.js';
import type { AdoptSocket } from '../../src/sockets/stream-socket.js';
import { combinations, openWire, silentLog, type Watched, type Wire, watchedPair } from './support.js';

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** More than the system holds between two sockets. */
const tooMuch = Buffer.alloc(16 * 1024 * 1024, 'much');

for (const { sockets, transport } of combinations) {
  describe(`a stream socket, ${sockets}, over ${transport}`, () => {
    let adopt: AdoptSocket;
    let wire: Wire;
    let ours: Watched;
    let peer: Socket;

    before(async () => {
      adopt = openSockets(sockets, silentLog);
      wire = await openWire(transport);
    });

    after(() => wire.close());

    beforeEach(async () => {
      [ours, peer] = await watchedPair(wire, adopt);
    });

    afterEach(async () => {
      peer.destroy();
      ours.socket.destroy();
      await ours.until('the close', () => ours.closed);
      await turns(2);
      expect(ours.problems).to.deep.equal([]);
      expect(ours.events.filter((event) => event === 'close')).to.have.length(1);
    });

    const peerReads = (): { text: string; ended: boolean; closed: boolean; error: string | undefined } => {
      const seen = { text: '', ended: false, closed: false, error: undefined as string | undefined };
      peer.on('data', (data) => {
        seen.text += data;
      });
      peer.once('end', () => {
        seen.ended = true;
      });
      peer.once('error', ({ message, code = message }: NodeJS.ErrnoException) => {
        seen.error = code;
      });
      peer.once('close', () => {
        seen.closed = true;
      });
      return seen;
    };

    it('knows its addresses', () => {
      const { remoteAddress, remotePort, localAddress, localPort } = ours.socket;
      const expected =
        transport === 'unix'
          ? [undefined, undefined, undefined, undefined]
          : ['127.0.0.1', peer.localPort, '127.0.0.1', peer.remotePort];
      expect([remoteAddress, remotePort, localAddress, localPort]).to.deep.equal(expected);
    });

    it('carries bytes both ways, and what is kept of it never changes', async () => {
      const seen = peerReads();
      const sizes = [1, 100, 2_048, 2_049, 5_000, 70_000, 3, 2_500, 1_000_000];
      let sent = '';
      for (const [i, size] of sizes.entries()) {
        const piece = String.fromCharCode(97 + i).repeat(size);
        sent += piece;
        peer.write(piece);
        await ours.until('the bytes', () => ours.received === sent.length);
        ours.socket.write(Buffer.from(piece));
      }
      await ours.until('the bytes', () => seen.text.length === sent.length);
      expect(ours.text === sent && seen.text === sent).to.equal(true);
    });

    it("tells the peer's end, writes on, and closes when it has ended, too", async () => {
      const seen = peerReads();
      peer.end('last');
      await ours.until('the end', () => ours.ended);
      await turns(3);
      expect(ours.socket).to.include({ destroyed: false, writable: true });
      ours.socket.write(Buffer.from('answer'));
      let flushed = 0;
      ours.socket.end(() => flushed++);
      expect(ours.socket.writable).to.equal(false);
      await ours.until('the close', () => ours.closed);
      await ours.until("the peer's close", () => seen.closed);
      expect(seen).to.deep.equal({ text: 'answer', ended: true, closed: true, error: undefined });
      expect(ours.events).to.deep.equal(['data', 'end', 'close']);
      expect([ours.error, flushed]).to.deep.equal([undefined, 1]);
    });

    it('ends first, reads on, and closes with the end of the peer', async () => {
      const seen = peerReads();
      ours.socket.end();
      ours.socket.write(Buffer.from('lost'));
      ours.socket.end(() => ours.problems.push('a second end'));
      ours.socket.afterWrites(() => ours.problems.push('written behind the end'));
      await ours.until('the end', () => seen.ended);
      peer.write('on');
      await ours.until('the data', () => ours.received === 2);
      expect(ours.closed).to.equal(false);
      peer.end();
      await ours.until('the close', () => ours.closed);
      expect([ours.events, ours.error, seen.text]).to.deep.equal([['data', 'end', 'close'], undefined, '']);
    });

    it('keeps what the peer does not take, and says when it is taken', async () => {
      const told: string[] = [];
      ours.also = { onProgress: () => ours.socket.waiting === 0 && told.push('progress') };
      ours.socket.afterWrites(() => told.push('nothing waited'));
      expect(told).to.deep.equal([]);
      await turns(2);
      ours.socket.write(Buffer.from('first'));
      ours.socket.write(tooMuch);
      ours.socket.afterWrites(() => told.push('much'));
      ours.socket.write(Buffer.from('last'));
      ours.socket.afterWrites(() => told.push('last'));
      ours.socket.end(() => told.push('end'));
      expect(ours.socket.waiting).to.be.within(1, tooMuch.length + 9);
      await turns(5);
      expect(told).to.deep.equal(['nothing waited']);
      let length = 0;
      let end = '';
      peer.on('data', (data: Buffer) => {
        length += data.length;
        end = (end + data.subarray(-5)).slice(-5);
      });
      await once(peer, 'end');
      await ours.until('the calls', () => told.includes('end'));
      expect([length, end]).to.deep.equal([tooMuch.length + 9, 'hlast']);
      expect(told.filter((each) => each !== 'progress')).to.deep.equal(['nothing waited', 'much', 'last', 'end']);
      expect(told).to.include('progress');
      expect(ours.socket.waiting).to.equal(0);
    });

    it('hands nothing on while paused, and all of it afterwards', async () => {
      ours.socket.pause();
      ours.socket.pause();
      peer.end(Buffer.alloc(300_000));
      await turns(10);
      expect(ours.events).to.deep.equal([]);
      ours.socket.resume();
      ours.socket.resume();
      expect(ours.events).to.deep.equal([]);
      await ours.until('the end', () => ours.ended);
      expect(ours.received).to.equal(300_000);
    });

    it('is paused and resumed while it tells', async () => {
      let pieces = 0;
      ours.also = {
        onData: () => {
          pieces++;
          ours.socket.pause();
          if (pieces % 3 === 0) ours.socket.resume();
          else if (pieces % 3 === 1) setImmediate(() => ours.socket.resume());
          else process.nextTick(() => ours.socket.resume());
        },
      };
      peer.end(tooMuch);
      await ours.until('the end', () => ours.ended);
      expect(ours.received).to.equal(tooMuch.length);
      expect(Buffer.concat(ours.pieces).equals(tooMuch)).to.equal(true);
    });

    it('tells the end also when both sides had ended while it was paused', async () => {
      ours.socket.pause();
      ours.socket.end();
      peer.end(Buffer.alloc(200_000)).resume();
      await Promise.all([once(peer, 'finish'), once(peer, 'end')]);
      // Nor does the event loop turn round and round meanwhile: it comes to rest, as soon as nothing else of this process has work.
      let busy = 1;
      for (let window = 0; window < 50 && busy >= 0.9; window++) {
        const before = performance.eventLoopUtilization();
        await new Promise((resolve) => setTimeout(resolve, 200));
        busy = performance.eventLoopUtilization(before).utilization;
      }
      expect(busy).to.be.below(0.9);
      expect(ours.events).to.deep.equal([]);
      ours.socket.resume();
      await ours.until('the close', () => ours.closed);
      expect([ours.events, ours.received, ours.error]).to.deep.equal([['data', 'end', 'close'], 200_000, undefined]);
    });

    for (const place of ['onData', 'onEnd', 'onProgress'] as const) {
      it(`may be destroyed in ${place}, and tells only that it is closed`, async () => {
        ours.also = { [place]: () => ours.socket.destroy(), onClose: () => ours.socket.destroy() };
        if (place === 'onProgress') {
          ours.socket.write(tooMuch);
          ours.socket.afterWrites(() => ours.problems.push('written'));
          ours.socket.end(() => ours.problems.push('ended'));
          peer.resume();
        } else peer.end(place === 'onData' ? tooMuch : '');
        await ours.until('the close', () => ours.closed);
        const event = place.slice(2).toLowerCase();
        expect([ours.events, ours.error]).to.deep.equal([[event, 'close'], undefined]);
        expect(ours.socket).to.include({ destroyed: true, writable: false, waiting: 0 });
        ours.socket.write(Buffer.from('lost'));
        ours.socket.end(() => ours.problems.push('ended'));
        ours.socket.afterWrites(() => ours.problems.push('written'));
        ours.socket.pause();
        ours.socket.resume();
      });
    }

    for (const stuck of [false, true]) {
      it(`resets${stuck ? ' while the peer does not read' : ''}`, async () => {
        if (stuck) ours.socket.write(tooMuch);
        await turns(2);
        const seen = peerReads();
        if (stuck) peer.pause();
        ours.socket.reset();
        await ours.until('the close', () => ours.closed);
        expect(ours.error).to.equal(undefined);
        peer.resume();
        await ours.until("the peer's end", () => seen.ended || seen.error !== undefined);
        // Behind bytes that it has not read yet libuv takes a reset for an end.
        if (transport === 'tcp' && !stuck) await ours.until('the reset', () => seen.error === 'ECONNRESET');
        expect(seen.text.length).to.be.below(tooMuch.length);
      });
    }

    it('resets while its end is on the way', async () => {
      peer.resume();
      ours.socket.end(() => ours.problems.push('ended'));
      ours.socket.reset();
      await ours.until('the close', () => ours.closed);
      expect([ours.events, ours.error]).to.deep.equal([['close'], undefined]);
      // Were the descriptor still there, the peer could write on.
      await ours.until("the peer's close", () => peer.destroyed || !peer.write('x'));
    });

    it('closes when the peer is gone, by the error of the system, behind what came before', async () => {
      ours.socket.write(tooMuch);
      peer.write('before');
      await turns(2);
      // Unread bytes make a reset of it, over TCP and over Unix domain sockets.
      peer.destroy();
      await ours.until('the close', () => ours.closed);
      expect(ours.text).to.equal('before');
      expect(ours.error?.code).to.be.oneOf(['ECONNRESET', 'EPIPE']);
      expect(ours.error).to.be.instanceOf(Error);
    });

    it('gives what came before the connection failed while it was paused', async () => {
      ours.socket.pause();
      ours.socket.write(tooMuch);
      peer.write('before');
      await turns(5);
      peer.destroy();
      await ours.until('the close', () => ours.closed);
      expect(ours.received).to.equal(0);
      expect(Buffer.concat(ours.unread).toString()).to.equal('before');
      expect(ours.error?.code).to.be.oneOf(['ECONNRESET', 'EPIPE']);
    });

    it('goes on when its handler throws, which is uncaught', async () => {
      const listeners = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      const uncaught: unknown[] = [];
      process.on('uncaughtException', (error) => uncaught.push(error.message));
      try {
        let left = 3;
        ours.also = {
          onData: () => {
            if (left-- > 0) throw new Error('of the handler');
          },
          onEnd: () => {
            throw new Error('of the end');
          },
        };
        for (let i = 1; i <= 2; i++) {
          peer.write('x');
          await ours.until('data', () => ours.received === i);
        }
        ours.socket.pause();
        peer.write('x');
        await turns(5);
        ours.socket.resume();
        await ours.until('data', () => ours.received === 3);
        ours.socket.end();
        peer.end('y').resume();
        await ours.until('the close', () => ours.closed);
        expect(ours.text).to.equal('xxxy');
        expect(uncaught).to.deep.equal([...Array(3).fill('of the handler'), 'of the end']);
      } finally {
        process.removeAllListeners('uncaughtException');
        for (const listener of listeners) process.on('uncaughtException', listener);
      }
    });
  });
}
