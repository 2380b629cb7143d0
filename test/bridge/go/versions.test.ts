import { copyFileSync, mkdtempSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { PreparedBridge } from '../../../src/bridge/prepared-bridge.js';
import { buildPeer } from '../../support/go-libraries.js';
import { startTcpServer, type TcpServer } from '../../support/tcp-server.js';
import { createHarness, eventually, type Harness } from '../harness.js';
import { createGoTest } from './harness.js';

describe('Go libraries beside each other', () => {
  let folder: string;
  let server: TcpServer;
  const harnesses: Harness<PreparedBridge>[] = [];

  beforeEach(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'pontoon-versions-')));
    server = await startTcpServer();
  });

  afterEach(async () => {
    await Promise.all(harnesses.splice(0).map((harness) => harness.close()));
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  function serve(bridge: PreparedBridge): Harness<PreparedBridge> {
    const harness = createHarness(bridge, server.port);
    harnesses.push(harness);
    return harness;
  }

  it('run at the same time: two libraries, and two builds of one at the same path', async function () {
    const path = join(folder, 'library.so');
    const place = (build: string): void => {
      copyFileSync(build, `${path}.new`);
      renameSync(`${path}.new`, path);
    };
    const other = createGoTest(await buildPeer(this, 'deadly'));
    const go = createGoTest(path);
    const old = await buildPeer(this, 'conformance');
    const next = await buildPeer(this, 'conformance', 'v1.37.0');
    place(old);
    const first = serve(await go.prepare('buffered'));
    // An exchange that lasts until the end of the test, on the build that it began with.
    const long = first.send({ body: ['long'] });
    await eventually(() => server.connections[0]?.received().toString() === 'buffered-http-to-tcp:long');
    place(next);
    const second = serve(await go.prepare('buffered'));
    const third = serve(await other.prepare('exit'));
    expect(new Set([first, second, third].map(({ bridge }) => bridge.libraryHash)).size).to.equal(3);
    for (let round = 0; round < 50; round++) {
      const from = server.connections.length;
      const sent = [first, second].map((harness) => harness.send({ body: [`${round}`] }));
      expect((await third.send().ended()).summary).to.equal('local 200 alive');
      await eventually(() => waiting(`buffered-http-to-tcp:${round}`).length === 2, `two requests after ${from}`);
      for (const connection of waiting(`buffered-http-to-tcp:${round}`)) connection.socket.write('end');
      expect(await Promise.all(sent.map(async ({ ended }) => (await ended()).summary))).to.deep.equal([
        '200 buffered-tcp-to-http:end',
        '200 buffered-tcp-to-http:end',
      ]);
    }
    server.connections[0]?.socket.write('the end');
    expect((await long.ended()).summary).to.equal('200 buffered-tcp-to-http:the end');
  }).timeout(60_000);

  /** Connections whose last request this is. */
  const waiting = (request: string) =>
    server.connections.filter((connection) => connection.received().toString().endsWith(request));
});
