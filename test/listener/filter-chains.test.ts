import type { TLSSocket } from 'node:tls';
import { expect } from 'chai';
import type { AccessLogManager } from '../../src/access-log/access-logger.js';
import { createListenerManager, type ListenerManager } from '../../src/listener/listener-manager.js';
import type { RouteProvider } from '../../src/listener/route-provider.js';
import { createLocalServing } from '../../src/listener/serving.js';
import { cidrOf } from '../../src/model/cidr.js';
import { matchesAll as any, type FilterChainMatch } from '../../src/model/filter-chain-match.js';
import type { FilterChain, Listener, TlsInspection } from '../../src/model/listener.js';
import type { DownstreamTls } from '../../src/model/tls.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { ServerTls } from '../../src/tls/server-tls.js';
import type { TlsInfo } from '../../src/tls/tls-info.js';
import { Client, hcm, RecordingHandler, respond, silentLog, waitUntil } from '../http/harness.js';
import { FakeClock } from '../support/fake-clock.js';

const loopback: FilterChainMatch = { ...any, sourcePrefixRanges: [cidrOf('127.0.0.0', 8)].filter((one) => !!one) };
const elsewhere: FilterChainMatch = { ...any, sourcePrefixRanges: [cidrOf('192.0.2.0', 24)].filter((one) => !!one) };
const chain = (name: string, match: FilterChainMatch | undefined): FilterChain => ({
  name,
  match,
  httpConnectionManager: hcm({ serverName: name, drainTimeoutMs: 5_000 }),
});
/** Its handshake is over at once, and who the client is does not matter here. */
const nothingEncrypted: ServerTls = {
  waitingFor: () => [],
  overdue: false,
  accept: (socket, { onSecure }) => onSecure(socket as TLSSocket, { version: 'TLSv1.3' } as TlsInfo),
  close: () => undefined,
};
const tls: DownstreamTls = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.3',
  ciphers: '',
  curves: '',
  signatureAlgorithms: '',
  alpnProtocols: [],
  validation: undefined,
  defaultValidation: undefined,
  certificates: [],
  requireClientCertificate: false,
  sessionTickets: true,
  handshakeTimeoutMs: 1_000,
};
const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

describe('a listener with filter chains', () => {
  let clock: FakeClock;
  let stats: ReturnType<typeof createStatsStore>;
  let manager: ListenerManager;
  let closed: number[];
  let loggers: { closed: number }[];
  const clients: Client[] = [];

  beforeEach(() => {
    clock = new FakeClock();
    stats = createStatsStore();
    closed = [];
    loggers = [];
    const accessLogs = {
      createLogger() {
        const record = { closed: 0 };
        loggers.push(record);
        return { log: () => undefined, close: () => void record.closed++ };
      },
    } as unknown as AccessLogManager;
    const routes = (config: Listener): RouteProvider => {
      const version = closed.push(0) - 1;
      return {
        ready: undefined,
        chains: config.filterChains.map(({ name, tls }) => ({
          tls: tls && nothingEncrypted,
          handle(stream) {
            expect(closed[version]).to.equal(0);
            stream.start(new RecordingHandler());
            respond(stream, 200, `by ${name};`);
          },
        })),
        close() {
          closed[version] = (closed[version] ?? 0) + 1;
        },
      };
    };
    const serving = createLocalServing({ stats, log: silentLog, clock, accessLogs, http1Codec: 'own' });
    manager = createListenerManager({ stats, log: silentLog, clock, serving, routes, drainTimeMs: 60_000 });
  });
  afterEach(async () => {
    for (const one of clients.splice(0)) one.socket.destroy();
    await manager.close();
    expect(closed, 'each version is closed once').to.deep.equal(closed.map(() => 1));
    expect(loggers.map((one) => one.closed)).to.deep.equal(loggers.map(() => 1));
  });

  async function apply(filterChains: readonly FilterChain[], tlsInspection?: TlsInspection): Promise<void> {
    const model: Listener = {
      name: 'one',
      statPrefix: 'one',
      addresses: [{ kind: 'tcp', address: '127.0.0.1', port: 0 }],
      perConnectionBufferLimitBytes: 1024 * 1024,
      backlog: 128,
      ipv4Compat: false,
      filterChains,
      tlsInspection,
    };
    const verdict = { kind: 'active', model, warnings: [] } as const;
    const bytes = new Uint8Array();
    expect(
      await manager.apply({ changed: [{ name: 'one', version: '1', bytes, verdict }], removed: [] }, 'dynamic'),
    ).to.deep.equal([]);
  }
  function connect(): Client {
    const address = manager.snapshot()[0]?.active?.localAddresses[0];
    const one = new Client(address?.kind === 'tcp' ? address.port : 0);
    clients.push(one);
    return one;
  }
  const asked = new Map<Client, number>();
  async function ask(one: Client): Promise<string> {
    const count = (asked.get(one) ?? 0) + 1;
    asked.set(one, count);
    const text = await one.write(get).receive(new RegExp(`(?:by [^;]*;[^]*){${count}}$`));
    return text.slice(text.lastIndexOf('by ') + 3);
  }
  const stat = (name: string): number => stats.counter(`listener.one.${name}`).value;

  it('serves connections that are here by the chain that is theirs in the next version', async () => {
    await apply([chain('a', loopback), chain('default', undefined)]);
    const kept = connect();
    expect(await ask(kept)).to.equal('a;');
    await apply([chain('b', loopback), chain('default', undefined)]);
    expect(await ask(kept)).to.equal('b;');
    expect(closed).to.deep.equal([1, 0]);
    await apply([chain('c', elsewhere), chain('default', undefined)]);
    expect(await ask(kept)).to.equal('default;');
    expect(closed).to.deep.equal([1, 1, 0]);
  });

  it('lets connections go that no chain of the next version is for, after one more request', async () => {
    await apply([chain('a', loopback)]);
    const [asks, idle] = [connect(), connect()];
    expect(await ask(asks)).to.equal('a;');
    expect(await ask(idle)).to.equal('a;');
    await apply([chain('a', elsewhere)]);
    expect(closed).to.deep.equal([0, 0]);
    const last = await asks.write(get).receiveAll();
    expect(last).to.match(/connection: close[\s\S]*by a;$/);
    asks.socket.end();
    clock.advance(5_000);
    await idle.receiveAll();
    idle.socket.end();
    await waitUntil(
      () => closed[0] === 1,
      () => 'the old version stays',
    );
    const refused = connect();
    expect(
      await refused
        .write(get)
        .receiveAll()
        .catch(() => ''),
    ).to.equal('');
    expect(stat('no_filter_chain_match')).to.equal(1);
  });

  it('lets connections go that were made on other terms, and not for another certificate of its own', async () => {
    const over = (terms: Partial<DownstreamTls>) => ({ ...chain('a', loopback), tls: { ...tls, ...terms } });
    const ours = { kind: 'sds', name: 'ours', source: { kind: 'ads', initialFetchTimeoutMs: 0 } } as const;
    await apply([over({})]);
    const kept = connect();
    expect(await ask(kept)).to.equal('a;');
    await apply([over({ certificates: [ours] })]);
    expect(await ask(kept)).to.equal('a;');
    expect(await kept.receive(/./)).not.to.contain('connection: close');
    await apply([over({ certificates: [ours], requireClientCertificate: true })]);
    expect(await kept.write(get).receiveAll()).to.match(/connection: close[\s\S]*by a;$/);
    kept.socket.end();
  });

  describe('that looks at what clients send first', () => {
    const chains = [chain('plain', { ...any, transportProtocol: 'raw_buffer' })];

    it('waits for it as long as it may', async () => {
      await apply(chains, { timeoutMs: 1_000, continueOnTimeout: false });
      const slow = connect();
      await waitUntil(
        () => stats.gauge('listener.one.downstream_pre_cx_active').value === 1,
        () => 'no connection',
      );
      clock.advance(1_000);
      await slow.receiveAll().catch(() => '');
      expect(stat('downstream_pre_cx_timeout')).to.equal(1);
      expect(stat('downstream_cx_total')).to.equal(0);
      expect(stats.gauge('listener.one.downstream_pre_cx_active').value).to.equal(0);
      expect(await ask(connect())).to.equal('plain;');
    });

    it('serves who takes longer as plain text, where that is configured', async () => {
      await apply(chains, { timeoutMs: 1_000, continueOnTimeout: true });
      const slow = connect();
      await waitUntil(
        () => stats.gauge('listener.one.downstream_pre_cx_active').value === 1,
        () => 'no connection',
      );
      clock.advance(1_000);
      expect(await ask(slow)).to.equal('plain;');
      expect(stat('downstream_pre_cx_timeout')).to.equal(0);
    });

    it('sends away who announces more than any client says', async () => {
      await apply([...chains, chain('tls', { ...any, transportProtocol: 'tls' })], {
        timeoutMs: 0,
        continueOnTimeout: false,
      });
      const record = Buffer.concat([
        Buffer.from([22, 3, 1, 0x40, 0]),
        Buffer.from([1, 0xff, 0xff, 0xff]),
        Buffer.alloc(0x4000 - 4),
      ]);
      const one = connect();
      for (let count = 0; count < 4; count++)
        one.socket.write(count === 0 ? record : Buffer.concat([record.subarray(0, 5), Buffer.alloc(0x4000)]));
      await one.receiveAll().catch(() => '');
      expect(stats.counter('tls_inspector.client_hello_too_large').value).to.equal(1);
    });

    it('forgets who leaves before, and drains who says nothing', async () => {
      await apply(chains, { timeoutMs: 0, continueOnTimeout: false });
      const [gone, silent] = [connect(), connect()];
      const active = () => stats.gauge('listener.one.downstream_pre_cx_active').value;
      await waitUntil(
        () => active() === 2,
        () => `${active()}`,
      );
      gone.socket.end('\x16');
      await waitUntil(
        () => active() === 1,
        () => `${active()}`,
      );
      const over = manager.close();
      await waitUntil(
        () => clock.pending > 0,
        () => 'no drain',
      );
      clock.advance(60_000);
      await over;
      await silent.receiveAll().catch(() => '');
      expect(active()).to.equal(0);
    });
  });
});
