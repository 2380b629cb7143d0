import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { frame, startFramedTestServer } from '../support/framed-server.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeBootstrap, lengthPrefixed } from '../support/static-bootstrap.js';
import type { ServerConnection, TcpServer } from '../support/tcp-server.js';
import { until } from '../support/until.js';
import type { Probed } from './probe.js';

const clients = 16;
const rounds = 20_000;
/** Ends with a character that no header has, so that it tells the end of a response. */
const body = `${'x'.repeat(127)}~`;
const request = `POST / HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nContent-Length: 128\r\n\r\n${body}`;

/** Not the bundled program: its sockets are not those that the probe counts. */
const cli = fileURLToPath(new URL('../../src/cli.js', import.meta.url));

/** What was measured; 15 % more is allowed. */
const cases = [
  { correlation: 'exclusive', reads: 2, writes: 2 },
  // Eight at most wait for one another while there may be one more connection.
  { correlation: 'in_order', reads: 1 + 2 / clients, writes: 1 + 2 / clients },
  { correlation: 'id', reads: 1 + 1 / clients, writes: 1 + 1 / clients },
];
/** Bytes per request that may grow old. Code and what is learned of it takes some. */
const mostOld = 100;

const answer = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const onData = (data: Buffer): void => {
      if (data.at(-1) !== 0x7e) return;
      socket.off('data', onData);
      resolve();
    };
    socket.on('data', onData);
  });

describe('what a bridged request leaves behind, and how often the system is called for it', function () {
  this.timeout(120_000);
  let server: TcpServer;
  let pontoon: Pontoon;
  let sockets: Socket[] = [];

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await pontoon?.stop('SIGKILL');
    await server?.close();
  });

  /** Echoes the requests of a round once all have come, by one write for each connection. */
  const startServer = (): Promise<TcpServer> => {
    const waiting = new Map<ServerConnection, Buffer[]>();
    let count = 0;
    return startFramedTestServer((payload, connection) => {
      const payloads = waiting.get(connection);
      if (payloads === undefined) waiting.set(connection, [payload]);
      else payloads.push(payload);
      if (++count < clients) return;
      for (const [{ socket }, all] of waiting) socket.write(Buffer.concat(all.map(frame)));
      waiting.clear();
      count = 0;
    });
  };

  const probe = async (): Promise<Probed> => {
    const before = pontoon.stdout().length;
    pontoon.child.kill('SIGUSR2');
    const line = await until('the probe', () => /^.*\n/.exec(pontoon.stdout().slice(before))?.[0]);
    return JSON.parse(line) as Probed;
  };

  /**
   * Rounds in which each client sends one request, `count` requests in all. pontoon is stopped while they are sent: it finds all of a round, whatever else the
   * machine does, so that how many exchanges share a call is no matter of luck.
   */
  const exchange = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left -= clients) {
      const answered = Promise.all(sockets.map(answer));
      pontoon.child.kill('SIGSTOP');
      for (const socket of sockets) socket.write(request);
      pontoon.child.kill('SIGCONT');
      await answered;
    }
  };

  for (const { correlation, reads, writes } of cases) {
    it(`${correlation}: 128 bytes`, async () => {
      server = await startServer();
      pontoon = await startPontoon({
        cli,
        bootstrap: bridgeBootstrap(server.port, { ...lengthPrefixed, config: `{correlation: ${correlation}}` }),
        nodeArgs: ['--expose-gc', '--import', new URL('probe.js', import.meta.url).href],
        env: { NODE_V8_COVERAGE: '' },
      });
      const { port } = new URL(await pontoon.listener('http'));
      sockets = Array.from({ length: clients }, () =>
        connect({ port: Number(port), host: '127.0.0.1', noDelay: true }),
      );
      await Promise.all(sockets.map((socket) => once(socket, 'connect')));
      // Until everything is compiled.
      await exchange(rounds);
      let per: (field: keyof Probed) => number;
      // A collection of all would hide what grew old. It may come at any time, but not each time unless much grows old.
      for (let tries = 0; ; tries++) {
        const before = await probe();
        await exchange(rounds);
        const after = await probe();
        expect(after.minor - before.minor).to.be.above(10);
        per = (field) => (after[field] - before[field]) / rounds;
        if (after.major === before.major) break;
        expect(tries, 'rounds with a collection of all').to.be.below(3);
      }
      expect(await pontoon.stat('http.ingress.downstream_rq_2xx')).to.be.at.least(2 * rounds);
      expect(per('reads'), 'reads').to.be.within(1, reads * 1.15);
      expect(per('writes'), 'writes').to.be.within(1, writes * 1.15);
      expect(per('old'), 'bytes that grew old').to.be.at.most(mostOld);
    });
  }
});
