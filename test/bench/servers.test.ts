import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { openLoopProblems, runOpenLoop } from '../../bench/side-by-side/load/open-loop.js';
import { probe } from '../../bench/side-by-side/load/probe.js';
import { planCpus } from '../../bench/side-by-side/measure/cpus.js';
import { type CountingServer, startServer } from '../../bench/side-by-side/upstream/upstream.js';
import { until } from '../support/until.js';

const { load: cpus } = planCpus();

function frame(payload: string, id = ''): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(payload.length);
  return Buffer.concat([header, Buffer.from(id), Buffer.from(payload)]);
}

interface Client {
  readonly socket: Socket;
  received(): string;
}

function open(port: number): Client {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
  });
  return { socket, received: () => received };
}

describe("the benchmark's programs in C", function () {
  this.timeout(60_000);
  const servers: CountingServer[] = [];
  const start = async (kind: Parameters<typeof startServer>[0]) => {
    const server = await startServer(kind, cpus);
    servers.push(server);
    return server;
  };
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop();
  });

  describe('the server of frames', () => {
    it('sends whole frames back, however they are cut, and counts them', async () => {
      const server = await start('framed');
      const client = open(server.port);
      const frames = Buffer.concat([frame('one'), frame(''), frame('x'.repeat(300_000)), frame('last')]);
      for (let at = 0; at < frames.length; at += 70_001) {
        client.socket.write(frames.subarray(at, at + 70_001));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      await until('all frames', () => client.received().length === frames.length || undefined);
      expect(client.received() === frames.toString('latin1')).to.equal(true);
      expect(await server.counts()).to.deep.equal({ connections: 1, answers: 4, bytes: 300_007 });
      client.socket.destroy();
    });

    it('holds everything back behind a stuck frame, in order', async () => {
      const server = await start('framed');
      const client = open(server.port);
      const stuck = frame('STALL 200\n');
      const started = performance.now();
      client.socket.write(Buffer.concat([frame('before'), stuck, frame('after')]));
      const all = Buffer.concat([frame('before'), stuck, frame('after')]).toString('latin1');
      const [first] = (await once(client.socket, 'data')) as [Buffer];
      expect(first.toString('latin1')).to.equal(frame('before').toString('latin1'));
      await until('the others', () => client.received() === all || undefined);
      expect(performance.now() - started).to.be.at.least(195);
      client.socket.destroy();
    });

    it('lets others pass a stuck frame, by id', async () => {
      const server = await start('framed with ids');
      const client = open(server.port);
      const [never, late, other] = [frame('STALL 0\n', 'id-1'), frame('STALL 200\n', 'id-2'), frame('other', 'id-3')];
      client.socket.write(Buffer.concat([never, late, other]));
      const expected = Buffer.concat([other, late]).toString('latin1');
      await until('the answers', () => client.received() === expected || undefined);
      expect((await server.counts()).answers).to.equal(2);
      client.socket.destroy();
    });

    it('goes on when clients with stuck frames are gone', async () => {
      for (const kind of ['framed', 'framed with ids'] as const) {
        const server = await start(kind);
        const id = kind === 'framed' ? '' : 'id-4';
        const gone = open(server.port);
        gone.socket.end(frame('STALL 100\n', id));
        await new Promise((resolve) => gone.socket.once('close', resolve));
        const client = open(server.port);
        client.socket.write(frame('STALL 150\n', id));
        await until('an answer', () => client.received() === frame('STALL 150\n', id).toString('latin1') || undefined);
        client.socket.destroy();
      }
    });
  });

  it('the server of HTTP echoes, or answers constant bytes of the same length', async () => {
    for (const kind of ['http', 'constant'] as const) {
      const server = await start(kind);
      for (const size of [0, 128, 1024 * 1024]) await probe(server.port, size, kind === 'http' ? 'bytes' : 'length');
      expect(await server.counts()).to.include({ answers: 3, bytes: 128 + 1024 * 1024 });
    }
  });

  describe('the open-loop client', () => {
    const load = { connections: 4, rate: 200, seconds: 0.5, body: 300 };

    async function against(listener: RequestListener, task: (port: number) => Promise<void>): Promise<void> {
      const server = createServer(listener);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      try {
        await task((server.address() as AddressInfo).port);
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    }

    it('keeps its rate and takes answers that are right', async () => {
      const server = await start('http');
      const result = await runOpenLoop(cpus, { ...load, port: server.port });
      expect(openLoopProblems(result)).to.deep.equal([]);
      expect(result).to.include({ due: 100, answered: 100 });
      expect(result.tookUs).to.be.within(450_000, 5_000_000);
      expect(result.p50Us).to.be.at.most(result.p99Us).and.greaterThan(0);
    });

    const echo: (change: (body: Buffer) => Buffer, status?: number) => RequestListener =
      (change, status = 200) =>
      (request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          const body = change(Buffer.concat(chunks));
          response.writeHead(status, { 'content-length': body.length }).end(body);
        });
      };
    let previous: Buffer | undefined;
    const wrong: readonly [string, RequestListener][] = [
      ['another status', echo((body) => body, 201)],
      ['another length', echo((body) => body.subarray(1))],
      ['a changed byte', echo((body) => Buffer.concat([body.subarray(0, 299), Buffer.from('!')]))],
      [
        "another request's body",
        echo((body) => {
          const answer = previous ?? Buffer.alloc(300);
          previous = body;
          return answer;
        }),
      ],
    ];
    for (const [name, listener] of wrong) {
      it(`notices ${name}`, async () => {
        await against(listener, async (port) => {
          const result = await runOpenLoop(cpus, { ...load, port, seconds: 0.05 });
          expect(result).to.include({ due: 10, answered: 0, failed: 10, wrong: 10 });
          expect(openLoopProblems(result).join()).to.match(/10 requests failed, 10 of them with a wrong answer/);
        });
      });
    }

    it('has no answers from a server that is gone', async () => {
      const gone = await start('http');
      await gone.stop();
      const result = await runOpenLoop(cpus, { ...load, port: gone.port });
      expect(result).to.include({ due: 100, answered: 0, failed: 100 });
    });

    it('counts the time of requests that could not even be sent during a stall', async () => {
      let stalled: Promise<void> | undefined;
      const listener: RequestListener = (request, response) => {
        stalled ??= new Promise((resolve) => setTimeout(resolve, 400));
        void stalled.then(() => echo((body) => body)(request, response));
      };
      await against(listener, async (port) => {
        const result = await runOpenLoop(cpus, { ...load, port });
        expect(result).to.include({ answered: 100, failed: 0 });
        // 80 of 100 were due while the server stalled; only 4 had been sent.
        expect(result.p50Us).to.be.greaterThan(100_000);
      });
    });
  });
});
