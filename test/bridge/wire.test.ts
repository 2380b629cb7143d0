import { connect } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { buildPeer } from '../support/go-libraries.js';
import { bridgeCluster, httpListener, type Pontoon, projectRoot, startPontoon } from '../support/pontoon.js';
import { startTcpServer, type TcpServer } from '../support/tcp-server.js';
import { columns } from './columns.js';
import { eventually } from './harness.js';

/** Requests as clients send them, through a whole Pontoon, to `scripted` in each runtime. */
for (const { name, sdk } of columns) {
  describe(`a request on the wire, ${name}`, () => {
    let server: TcpServer;
    let pontoon: Pontoon;
    let url: URL;

    before(async function () {
      this.timeout(60_000);
      const library =
        sdk === undefined ? join(projectRoot, 'test/bridge/scripted.ts') : await buildPeer(this, 'conformance', sdk);
      server = await startTcpServer({ onData: ({ socket }) => void socket.write('answer') });
      const cluster = bridgeCluster({ name: 'tcp', ports: [server.port], library, plugin: 'scripted' });
      const proxy = (version: string): string =>
        `{match: {prefix: /${version}}, route: {cluster: tcp, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {proxy_protocol_config: {version: ${version}}}}]}}`;
      const routes = `[${proxy('V1')}, ${proxy('V2')}, {match: {prefix: /}, route: {cluster: tcp}}]`;
      const listener = httpListener(
        'front',
        'front',
        `route_config: {name: r, virtual_hosts: [{name: v, domains: ["*"], routes: ${routes}}]}`,
      );
      pontoon = await startPontoon({
        bootstrap: `admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}\nstatic_resources: {clusters: [${cluster}], listeners: [${listener}]}`,
      });
      url = new URL(await pontoon.listener('front'));
    });

    after(async () => {
      await pontoon?.stop();
      await server?.close();
    });

    /** Sends the lines over a connection of its own; gives all that comes back, chunks without their sizes, once the response is whole. */
    async function exchange(lines: readonly string[]): Promise<string> {
      const socket = connect(Number(url.port), url.hostname);
      let answer = '';
      socket.on('data', (data: Buffer) => {
        answer += data.toString('latin1');
      });
      socket.write(lines.join('\r\n'));
      await eventually(() => answer.endsWith('\r\n0\r\n\r\n'));
      socket.destroy();
      return answer.replaceAll(/\r\n[0-9a-f]+\r\n/g, '');
    }

    /** What the server got on the connection that came last. */
    const received = (): Buffer => server.connections.at(-1)?.received() ?? Buffer.alloc(0);

    const head = ['host: tcp', 'x-headers: keep', 'x-upstream: end'];

    it('ends its body with its trailers', async () => {
      const lines = ['POST / HTTP/1.1', ...head, 'transfer-encoding: chunked', 'trailer: x-sum', ''];
      const answer = await exchange([...lines, '3', 'one', '0', 'x-sum: 1', '', '']);
      expect(answer).to.match(/^HTTP\/1\.1 200 OK\r\n.*answer\[upstream 6 false\]\r\n$/s);
      expect(received().toString()).to.match(/\[headers 0 false\]one\[data 3 true\]$/);
    });

    it('of headers only has no body', async () => {
      await exchange(['GET / HTTP/1.1', ...head, '', '']);
      expect(received().toString()).to.match(/\[headers 0 true\]$/);
    });

    for (const version of ['V1', 'V2']) {
      it(`begins with the PROXY header, ${version}, whatever its method`, async () => {
        const connections = server.connections.length;
        await exchange([`GET /${version} HTTP/1.1`, ...head, '', '']);
        expect(server.connections.length).to.equal(connections + 1);
        const text = received().toString('latin1');
        if (version === 'V1')
          expect(text).to.match(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\n\[headers 0 true\]$/);
        // The signature, version 2 and PROXY, TCP over IPv4, 12 bytes of addresses.
        else expect(text.replace(/.{12}\[/s, '[')).to.equal('\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c[headers 0 true]');
      });
    }
  });
}
