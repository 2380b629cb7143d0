import { expect } from 'chai';
import { frame, startFramedTestServer, withId } from '../support/framed-server.js';
import { ClientConnection } from '../support/load/client-connection.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { createRandom } from '../support/random.js';
import { bridgeBootstrap, lengthPrefixed } from '../support/static-bootstrap.js';
import type { ServerConnection, TcpServer } from '../support/tcp-server.js';
import { until } from '../support/until.js';

const clients = 32;
const total = 10_000;

describe('a pontoon process whose exchanges share connections', function () {
  this.timeout(60_000);
  const random = createRandom(1);
  let pontoon: Pontoon;
  let server: TcpServer;

  afterEach(async () => {
    await pontoon?.stop('SIGKILL');
    await server?.close();
  });

  /** Answers what has come in one turn in a random order, or in order. Payloads that say `stuck` are never answered. */
  async function start(correlation: 'id' | 'in_order'): Promise<void> {
    const waiting = new Map<ServerConnection, Buffer[]>();
    const answer = (connection: ServerConnection): void => {
      const payloads = waiting.get(connection) ?? [];
      waiting.delete(connection);
      if (correlation === 'id') payloads.sort(() => random() - 0.5);
      connection.socket.write(Buffer.concat(payloads.map(frame)));
    };
    server = await startFramedTestServer((payload, connection) => {
      if (payload.includes('stuck')) return;
      const payloads = waiting.get(connection);
      if (payloads === undefined) setImmediate(answer, connection);
      waiting.set(connection, [...(payloads ?? []), Buffer.from(payload)]);
    });
    pontoon = await startPontoon({
      bootstrap: bridgeBootstrap(server.port, { ...lengthPrefixed, config: `{correlation: ${correlation}}` }),
    });
  }

  for (const correlation of ['id', 'in_order'] as const) {
    it(`${correlation}: 10,000 requests of 32 clients get their own answers, over few connections`, async () => {
      await start(correlation);
      const { hostname, port } = new URL(await pontoon.listener('http'));
      const address = { host: hostname, port: Number(port) };
      const failures: Error[] = [];
      const connect = () => new ClientConnection(address, (error) => void failures.push(error));
      const post = (payload: Buffer): Buffer =>
        Buffer.concat([
          Buffer.from(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${payload.length}\r\n\r\n`),
          payload,
        ]);
      if (correlation === 'id') {
        // One that is never answered, and clients that go away while their requests run.
        const stuck = new ClientConnection(address, () => undefined);
        stuck.exchange([post(withId(1, 'stuck'))]).catch(() => undefined);
      }
      let next = 0;
      await Promise.all(
        Array.from({ length: clients }, async (_, client) => {
          let connection = connect();
          while (next < total) {
            const number = next++;
            const payload = withId(client, `${number}:${'x'.repeat(Math.floor(random() * 200))}`);
            if (number % 500 === 499) {
              const gone = new ClientConnection(address, () => undefined);
              gone.exchange([post(payload)]).catch(() => undefined);
              setImmediate(() => gone.socket.resetAndDestroy());
            }
            const response = await connection.exchange([post(payload)]);
            expect(response.status).to.equal(200);
            expect(response.body.equals(payload), `answer to ${number}`).to.equal(true);
            if (!response.headers.get('connection')?.includes('close')) continue;
            connection = connect();
          }
          connection.halfClose();
        }),
      );
      expect(failures).to.deep.equal([]);
      expect(await pontoon.stat('cluster.bridge.upstream_rq_total')).to.be.at.least(total);
      expect(await pontoon.stat('cluster.bridge.upstream_cx_total')).to.be.at.most(4);
      expect(await pontoon.stat('cluster.bridge.upstream_cx_protocol_error')).to.equal(0);
      // Those that went away are let go when the server has answered them.
      const stuck = correlation === 'id' ? 1 : 0;
      await until('the end of all others', async () =>
        (await pontoon.stat('cluster.bridge.upstream_rq_active')) === stuck ? true : undefined,
      );
    });
  }

  it('a wrong configuration is refused with the reason', async () => {
    const bootstrap = bridgeBootstrap(1, { ...lengthPrefixed, config: '{id_size: 4}' });
    const failed = await startPontoon({ bootstrap }).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(failed).to.contain('id_size has a meaning only with correlation "id", not with "exclusive"');
  });
});
