import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { Counts } from './counting-server.js';

/**
 * What a request costs, in numbers that don't depend on how busy the machine is. The limits are what was measured plus 15 %: who exceeds one
 * made requests dearer, and either finds out why or raises it on purpose.
 */
describe('the cost of an HTTP/1 request', function () {
  this.timeout(120_000);
  let child: ChildProcess;
  let client: Socket;

  before(async () => {
    // Young objects have so much room that nothing is collected unless asked: the heap grows by what is allocated. Counting coverage would cost, too.
    const execArgv = ['--expose-gc', '--max-semi-space-size=512', '--min-semi-space-size=512'];
    const { NODE_V8_COVERAGE: _, ...env } = process.env;
    child = fork(fileURLToPath(new URL('counting-server.js', import.meta.url)), { execArgv, env });
    const [{ port }] = (await once(child, 'message')) as [{ port: number }];
    client = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(client, 'connect');
  });

  after(async () => {
    client?.destroy();
    child?.kill();
    if (child?.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });

  const ask = async (question: 'collect' | 'count'): Promise<Counts> => {
    child.send(question);
    return ((await once(child, 'message')) as [Counts])[0];
  };

  /** Sends `request`, waits for so many responses, the last of which ends with `end`, and so on, `times` times. */
  const exchange = (request: string, responses: number, end: string, times: number): Promise<void> =>
    new Promise((resolve, reject) => {
      let left = times;
      let received = '';
      const onData = (data: Buffer): void => {
        received += data.toString('latin1');
        if (received.split('HTTP/1.1 200').length <= responses || !received.endsWith(end)) return;
        received = '';
        if (--left > 0) client.write(request);
        else {
          client.off('data', onData).off('error', reject);
          resolve();
        }
      };
      client.on('data', onData).on('error', reject);
      client.write(request);
    });

  const cases: {
    name: string;
    request: string;
    end: string;
    responses: number;
    reads: number;
    writes: number;
    allocated: number;
  }[] = [
    {
      name: 'a GET',
      request: 'GET / HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n',
      end: 'later',
      responses: 1,
      reads: 1,
      writes: 1,
      allocated: 3_140,
    },
    {
      name: 'a POST of 128 bytes',
      request: `POST / HTTP/1.1\r\nHost: a.example\r\nUser-Agent: test\r\nContent-Length: 128\r\n\r\n${'x'.repeat(128)}`,
      end: 'x',
      responses: 1,
      reads: 1,
      writes: 1,
      allocated: 3_740,
    },
    {
      name: 'one of ten GETs that come together and are answered at once',
      request: 'GET /at-once HTTP/1.1\r\nHost: a.example\r\n\r\n'.repeat(10),
      end: 'here',
      responses: 10,
      reads: 0.1,
      writes: 0.1,
      allocated: 1_610,
    },
    {
      name: 'one of ten GETs whose heads differ',
      request: Array.from({ length: 10 }, (_, i) => `GET /at-once HTTP/1.1\r\nHost: a.example\r\nX: ${i}\r\n\r\n`).join(
        '',
      ),
      end: 'here',
      responses: 10,
      reads: 0.1,
      writes: 0.1,
      allocated: 2_280,
    },
  ];
  for (const { name, request, responses, reads, writes, allocated, end } of cases) {
    it(name, async () => {
      const rounds = 10_000 / responses;
      // Until everything is compiled.
      await exchange(request, responses, end, rounds);
      const before = await ask('collect');
      await exchange(request, responses, end, rounds);
      const after = await ask('count');
      const left = await ask('collect');
      const count = after.requests - before.requests;
      const per = (field: keyof Counts, then = after): number => (then[field] - before[field]) / count;
      expect(count).to.equal(10_000);
      expect(per('reads'), 'reads').to.be.at.most(reads * 1.15);
      expect(per('writes'), 'writes').to.be.at.most(writes * 1.15);
      expect(per('heap'), 'bytes allocated').to.be.at.most(allocated * 1.15);
      // Code that is compiled meanwhile counts, too.
      expect(per('heap', left), 'bytes kept').to.be.at.most(50);
    });
  }
});
