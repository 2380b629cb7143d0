import { type AddressInfo, createServer } from 'node:net';
import { expect } from 'chai';
import { createConnectionManager } from '../../src/http/connection-manager.js';
import { type Http1CodecName, http1CodecNames } from '../../src/http/http1-codec.js';
import { ActiveListener } from '../../src/listener/active-listener.js';
import type { BoundSocket } from '../../src/listener/bound-socket.js';
import { createListenerStats } from '../../src/listener/listener-stats.js';
import type { FilterChain, Listener } from '../../src/model/listener.js';
import { openSockets, type SocketsName } from '../../src/sockets/open-sockets.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { Client, hcm, respond, silentLog, waitUntil } from '../http/harness.js';
import { FakeClock } from '../support/fake-clock.js';
import { testedSockets } from '../support/tested-sockets.js';

const behaviour = (http1Codec: Http1CodecName, sockets: SocketsName) => () => {
  it('asks connections to leave that come before its socket is handed on', async () => {
    const clock = new FakeClock();
    const stats = createStatsStore();
    const address = { kind: 'tcp', address: '127.0.0.1', port: 0 } as const;
    const config: Listener = {
      name: 'one',
      statPrefix: '',
      addresses: [address],
      perConnectionBufferLimitBytes: 0,
      backlog: 128,
      ipv4Compat: false,
      filterChains: [{ name: '', match: undefined, httpConnectionManager: hcm() }],
    };
    const chain = config.filterChains[0] as FilterChain;
    const manager = createConnectionManager({
      config: chain.httpConnectionManager,
      stats,
      listenerStats: stats.scope('listener.one'),
      log: silentLog,
      clock,
      accessLogger: { log() {}, close() {} },
      handle: (stream) => respond(stream, 200, 'x'.repeat(100_000)),
      localAddress: '192.0.2.2',
      http1Codec,
    });
    const serving = { config: chain, manager, tls: undefined };
    const listener = new ActiveListener({
      clock,
      adoptSocket: openSockets(sockets, silentLog),
      version: { config, stats: createListenerStats(stats, config), chains: [serving], choose: () => serving },
      isDraining: () => false,
      nextConnectionId: () => 1,
    });
    const server = createServer({ allowHalfOpen: true }, (socket) => bound.onConnection(socket));
    const bound: BoundSocket = { address, localAddress: address, onConnection: () => {}, close: () => {} };
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const connect = (): Client => new Client((server.address() as AddressInfo).port);
    listener.setSockets([bound], 1000);
    await listener.drain(1000);
    const asks = connect().write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const [head, body] = (await asks.receiveAll()).split('\r\n\r\n');
    expect(head).to.match(/\r\nconnection: close$/);
    expect(body).to.have.length(100_000);
    asks.socket.end();
    await waitUntil(
      () => listener.connections === 0,
      () => 'the connection stays',
    );
    const idle = connect();
    await waitUntil(
      () => listener.connections === 1,
      () => `${listener.connections} connections`,
    );
    clock.advance(1000);
    await idle.receiveAll();
    idle.socket.end();
    await waitUntil(
      () => listener.connections === 0 && clock.pending === 0,
      () => `${listener.connections} connections and ${clock.pending} timers are left`,
    );
    server.close();
  });
};

for (const sockets of testedSockets) {
  for (const codec of http1CodecNames)
    describe(`a listener that drains, codec ${codec}, sockets ${sockets}`, behaviour(codec, sockets));
}
