import type { Socket } from 'node:net';
import { expect } from 'chai';
import { openSockets } from '../../src/sockets/open-sockets.js';
import type { AdoptSocket, StreamSocket } from '../../src/sockets/stream-socket.js';
import { until } from '../support/until.js';
import { combinations, openDescriptors, openWire, silentLog, Watched, type Wire, watchedPair } from './support.js';

const megabyte = 1024 * 1024;

/** Sends back what comes, and ends when the peer does. */
function echo(socket: StreamSocket): void {
  socket.setHandler({
    onData: (data) => {
      // What is not taken at once must not change, and what was handed on never does.
      socket.write(data);
      if (socket.waiting > 0) socket.pause();
    },
    onEnd: () => socket.end(),
    onProgress: () => {
      if (socket.waiting === 0) socket.resume();
    },
    onClose: () => {},
  });
}

for (const { sockets, transport } of combinations) {
  describe(`many bytes and many sockets, ${sockets}, over ${transport}`, function () {
    this.timeout(120_000);
    let adopt: AdoptSocket;
    let wire: Wire;

    before(async () => {
      adopt = openSockets(sockets, silentLog);
      wire = await openWire(transport);
    });

    after(() => wire.close());

    const connect = (): Promise<readonly [StreamSocket, Watched]> =>
      wire.connect(
        (socket) => {
          const ours = adopt(socket);
          echo(ours);
          return ours;
        },
        (socket) => new Watched(adopt(socket)),
      );

    it('100 MB through a slow reader stay with the sender', async () => {
      const [ours, peer] = await watchedPair(wire, adopt);
      ours.keep = false;
      const chunk = Buffer.alloc(megabyte);
      let left = 100;
      const send = (): void => {
        while (left > 0 && peer.writableLength === 0) {
          left--;
          peer.write(chunk, send);
        }
        if (left === 0) peer.end();
      };
      let kept = 0;
      let since = 0;
      ours.also = {
        onData: (data) => {
          since += data.length;
          if (since < megabyte) return;
          since = 0;
          ours.socket.pause();
          setImmediate(() => {
            kept = Math.max(kept, ours.socket.unread);
            ours.socket.resume();
          });
        },
      };
      const before = process.memoryUsage().rss;
      let most = 0;
      const watch = setInterval(() => {
        most = Math.max(most, process.memoryUsage().rss - before);
      }, 5);
      send();
      await ours.until('the end', () => ours.ended, 60_000);
      clearInterval(watch);
      expect(ours.received).to.equal(100 * megabyte);
      expect(kept).to.be.at.most(256 * 1024);
      expect(most).to.be.below(80 * megabyte);
      ours.socket.destroy();
      peer.destroy();
      expect(ours.problems).to.deep.equal([]);
    });

    it('1,000 sockets at once, none gets the bytes of another', async () => {
      const before = openDescriptors();
      const pairs: (readonly [StreamSocket, Watched])[] = [];
      for (let i = 0; i < 500; i++) pairs.push(await connect());
      const text = (i: number, round: number): string => `<${i} in round ${round}>`.repeat(1 + (i % 50) * round);
      for (const round of [1, 2, 3]) {
        for (const [i, [, watched]] of pairs.entries()) {
          watched.pieces.length = 0;
          watched.socket.write(Buffer.from(text(i, round)));
        }
        await until('all echoes', () =>
          pairs.every(([, watched], i) => watched.text.length >= text(i, round).length) ? true : undefined,
        );
        expect(pairs.findIndex(([, watched], i) => watched.text !== text(i, round))).to.equal(-1);
      }
      for (const [, { socket }] of pairs) socket.end();
      await until('all to close', () => pairs.every(([ours, { closed }]) => closed && ours.destroyed) || undefined);
      expect(pairs.flatMap(([, { problems }]) => problems)).to.deep.equal([]);
      await until('the descriptors', () => openDescriptors() <= before || undefined);
    });

    const short = sockets === 'checked' ? 10_000 : 1_000;
    it(`${short} short connections leave no descriptor behind`, async () => {
      const before = openDescriptors();
      let closed = 0;
      let left = short;
      const serve = (socket: Socket): void => {
        const ours = adopt(socket);
        ours.setHandler({
          onData: () => ours.end(),
          onEnd: () => ours.end(),
          onProgress: () => {},
          onClose: () => closed++,
        });
      };
      const one = async (): Promise<void> => {
        while (left-- > 0) {
          const kind = left % 4;
          const [, mine] = await wire.connect(serve, adopt);
          await new Promise<void>((resolve) => {
            mine.setHandler({
              onData: () => {},
              onEnd: () => mine.end(),
              onProgress: () => {},
              onClose: () => resolve(),
            });
            if (kind !== 0) mine.write(Buffer.from('hello'));
            if (kind === 1) mine.end();
            if (kind === 2) mine.reset();
            if (kind === 0) mine.destroy();
          });
        }
      };
      await one();
      await until('all to close', () => closed === short || undefined);
      await until('the descriptors', () => openDescriptors() <= before || undefined);
    });
  });
}
