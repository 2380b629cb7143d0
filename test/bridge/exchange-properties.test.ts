import { expect } from 'chai';
import fc from 'fast-check';
import type { HttpTcpBridge, HttpTcpBridgeStatus } from '../../src/bridge/api.js';
import { createExchangeFactory } from '../../src/bridge/exchange-factory.js';
import type { PreparedBridge } from '../../src/bridge/prepared-bridge.js';
import { systemClock } from '../../src/clock.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { markTurnMemory } from '../../src/turn-memory.js';
import type { ActiveCluster, Pin } from '../../src/upstream/cluster-manager.js';
import type { ExclusiveConnection, PoolCallbacks, UpstreamConnectionHandler } from '../../src/upstream/connection.js';
import type { Host } from '../../src/upstream/host.js';
import { prepare, Recorder, send, testLog } from './harness.js';

/** What one of the plugin's calls does. */
type PluginStep = HttpTcpBridgeStatus | 'throw' | 'reply' | 'invalid' | 'promise';

const pluginStep = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom<PluginStep>(0, 1) },
  { weight: 2, arbitrary: fc.constant<PluginStep>(2) },
  { weight: 1, arbitrary: fc.constantFrom<PluginStep>('throw', 'reply', 'invalid', 'promise') },
);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('ready' as const), reused: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('request' as const), size: fc.nat(6), end: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('server' as const), size: fc.integer({ min: 1, max: 6 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('server_end', 'server_close', 'server_writable', 'client_writable' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('cancel', 'drain', 'pool_failure' as const) }) },
);
const scenario = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'HEAD'),
  hasBody: fc.boolean(),
  preface: fc.boolean(),
  halfClose: fc.boolean(),
  steps: fc.array(step, { maxLength: 25 }),
  plugin: fc.array(pluginStep, { minLength: 1, maxLength: 12 }),
  /** What `write` and `onData` answer, in turn; and when a callback cancels or a write fails within. */
  writable: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
  cancelAt: fc.nat(30),
  writeFailsAt: fc.nat(20),
});

interface World {
  readonly problems: string[];
  readonly connections: FakeConnection[];
  pins: number;
  acquisition: PoolCallbacks | undefined;
}

/** Holds the exchange to the contract of ExclusiveConnection. */
class FakeConnection implements ExclusiveConnection {
  readonly shared = false;
  readonly host = { address: 'host' } as Host;
  readonly localAddress = 'local';
  readonly bytesWritten = 0;
  handler: UpstreamConnectionHandler | undefined;
  readonly written: Buffer[] = [];
  releases = 0;
  reusable = false;
  halfClosed = false;
  paused = false;
  serverEnded = false;
  gone = false;

  constructor(
    readonly reused: boolean,
    readonly world: World,
    readonly onWrite: (connection: FakeConnection) => boolean,
  ) {}

  setHandler(handler: UpstreamConnectionHandler): void {
    this.handler = handler;
  }

  write(data: Buffer): boolean {
    this.#check('write');
    if (this.halfClosed) this.world.problems.push('write after half-close');
    if (data.length === 0) this.world.problems.push('an empty write');
    this.written.push(Buffer.from(data));
    return this.onWrite(this);
  }

  get wrote(): boolean {
    return this.written.length > 0;
  }

  afterWrites(): void {
    this.#check('afterWrites');
  }

  halfClose(): void {
    this.#check('halfClose');
    this.halfClosed = true;
  }

  pauseReading(): void {
    this.#check('pauseReading');
    this.paused = true;
  }

  resumeReading(): void {
    this.#check('resumeReading');
    this.paused = false;
  }

  release(reusable: boolean): void {
    this.releases += 1;
    this.reusable = reusable;
  }

  /** Whether an event can come. */
  get live(): boolean {
    return this.releases === 0 && !this.gone && this.handler !== undefined;
  }

  #check(what: string): void {
    if (this.releases > 0) this.world.problems.push(`${what} after release`);
  }
}

/** Holds the exchange to the contract of the bridge. */
function checkedBridge(
  world: World,
  steps: PluginStep[],
  halfClose: boolean,
): PreparedBridge & { made: number; destroyed: number } {
  let at = 0;
  let inCall = false;
  const prepared = Object.assign(
    prepare({
      createBridge(_config, callbacks) {
        prepared.made += 1;
        let headers = 0;
        let requestEnded = false;
        let responseEnded = false;
        let destroyed = false;
        const call = (name: string): HttpTcpBridgeStatus | undefined => {
          if (inCall) world.problems.push(`${name} within a call`);
          if (destroyed) world.problems.push(`${name} after onDestroy`);
          inCall = true;
          try {
            const next = steps[at++ % steps.length] as PluginStep;
            if (next === 'throw') throw new Error('on purpose');
            if (next === 'reply') callbacks.sendLocalReply(400, 'reply');
            if (next === 'invalid') return 7 as never;
            if (next === 'promise') return Promise.reject(new Error('async')) as never;
            return next === 'reply' ? 0 : next;
          } finally {
            inCall = false;
          }
        };
        if (halfClose) callbacks.setSelfHalfCloseForUpstreamConn(true);
        const bridge: HttpTcpBridge = {
          encodeHeaders(_headers, _data, end) {
            if (headers++ > 0) world.problems.push('encodeHeaders twice');
            requestEnded = end;
            return call('encodeHeaders');
          },
          encodeData(_buffer, end) {
            if (headers !== 1) world.problems.push('encodeData before encodeHeaders');
            if (requestEnded) world.problems.push('encodeData after the end');
            requestEnded = end;
            return call('encodeData');
          },
          onUpstreamData(_headers, _buffer, end) {
            if (responseEnded) world.problems.push('onUpstreamData after the end');
            const answer = call('onUpstreamData');
            responseEnded = end || answer === 2;
            return answer;
          },
          onDestroy() {
            if (inCall) world.problems.push('onDestroy within a call');
            if (destroyed) world.problems.push('onDestroy twice');
            destroyed = true;
            prepared.destroyed += 1;
          },
        };
        return bridge;
      },
    }),
    { made: 0, destroyed: 0 },
  );
  return prepared;
}

describe('exchange, whatever happens in whatever order', () => {
  const start = createExchangeFactory({ stats: createStatsStore(), log: testLog(), clock: systemClock });

  it('keeps every promise of bridge.md', () => {
    fc.assert(
      fc.property(scenario, (given) => {
        const world: World = { problems: [], connections: [], pins: 0, acquisition: undefined };
        const bridge = checkedBridge(world, given.plugin, given.halfClose);
        const recorder = new Recorder();
        let drain: Pin | undefined;
        let turn = 0;
        const nextWritable = (): boolean => given.writable[turn++ % given.writable.length] as boolean;
        let writes = 0;
        const onWrite = (connection: FakeConnection): boolean => {
          if (writes++ === given.writeFailsAt) {
            connection.gone = true;
            connection.handler?.onClose('EPIPE', false);
          }
          return nextWritable();
        };
        const cluster: ActiveCluster<PreparedBridge> = {
          config: { name: 'cluster', perConnectionBufferLimitBytes: 4 } as never,
          version: '1',
          pipeline: bridge,
          stats: createStatsStore(),
          pin(exchange) {
            world.pins += 1;
            drain = exchange;
          },
          unpin(exchange) {
            world.pins -= 1;
            expect(exchange).to.equal(drain);
            drain = undefined;
          },
          retries: () => expect.fail('no exchange asks for it'),
          acquire(_priority, callbacks) {
            if (world.acquisition !== undefined) world.problems.push('acquire while it waits');
            world.acquisition = callbacks;
            return {
              decided: false,
              cancel() {
                world.acquisition = undefined;
              },
            };
          },
        };
        const preface = Buffer.from('PROXY');
        const sent = send(start, cluster, {
          method: given.method,
          more: given.hasBody,
          requestBufferLimit: 40,
          recorder,
          ...(given.preface ? { preface } : {}),
        });
        let events = 0;
        recorder.onEvent = () => {
          recorder.writable = nextWritable();
          if (events++ === given.cancelAt && !recorder.cancelled) sent.cancel();
        };

        const request: Buffer[] = [];
        const response: Buffer[] = [];
        let letter = 0;
        /** In memory that is used again after the turn, as a socket's. */
        const piece = (size: number, a: string): Buffer => {
          const data = Buffer.from(Uint8Array.from({ length: size }, () => a.charCodeAt(0) + (letter++ % 26)).buffer);
          markTurnMemory(data.buffer);
          return data;
        };
        let requestEnded = !given.hasBody;
        for (const next of given.steps) {
          const connection = world.connections.at(-1);
          switch (next.do) {
            case 'ready': {
              const { acquisition } = world;
              if (acquisition === undefined) break;
              world.acquisition = undefined;
              const made = new FakeConnection(next.reused && world.connections.length === 0, world, onWrite);
              world.connections.push(made);
              acquisition.onReady(made);
              break;
            }
            case 'pool_failure': {
              const { acquisition } = world;
              world.acquisition = undefined;
              acquisition?.onFailure({ kind: 'no_healthy_upstream' });
              break;
            }
            case 'request': {
              if (requestEnded) break;
              requestEnded = next.end;
              const data = piece(next.size, 'a');
              request.push(Buffer.from(data));
              sent.exchange.onRequestData(data, next.end);
              data.fill('!');
              break;
            }
            case 'server': {
              if (!connection?.live || connection.paused || connection.serverEnded) break;
              const data = piece(next.size, 'A');
              response.push(Buffer.from(data));
              connection.handler?.onData(data);
              data.fill('!');
              break;
            }
            case 'server_end':
              if (!connection?.live || connection.paused || connection.serverEnded) break;
              connection.serverEnded = true;
              connection.handler?.onEnd();
              break;
            case 'server_close':
              if (!connection?.live) break;
              connection.gone = true;
              connection.handler?.onClose('ECONNRESET', false);
              break;
            case 'server_writable':
              if (connection?.live) connection.handler?.onWritable();
              break;
            case 'client_writable':
              sent.exchange.onDownstreamWritable();
              break;
            case 'cancel':
              if (!recorder.cancelled) sent.cancel();
              break;
            case 'drain':
              drain?.onDrainTimeout();
              break;
          }
        }
        if (recorder.outcome === undefined && !recorder.cancelled) {
          expect(world.pins, 'ended without a word').to.equal(1);
          sent.cancel();
        }

        expect(world.problems).to.deep.equal([]);
        expect(recorder.violations).to.deep.equal([]);
        expect(recorder.paused, 'paused').to.equal(false);
        expect(world.pins, 'pins').to.equal(0);
        expect(world.acquisition).to.equal(undefined);
        expect(bridge.destroyed, 'destroyed').to.equal(bridge.made);
        expect(world.connections.map(({ releases }) => releases)).to.deep.equal(world.connections.map(() => 1));

        // The plugin changes nothing, so what comes out is what went in, as far as it came.
        const prefix = given.preface ? preface.toString() : '';
        const whole = prefix + Buffer.concat(request).toString();
        for (const { written, reusable, halfClosed, serverEnded } of world.connections) {
          const text = Buffer.concat(written).toString();
          expect(whole.startsWith(text), `${text} begins ${whole}`).to.equal(true);
          if (!reusable) continue;
          expect(halfClosed || serverEnded, 'reused although closed').to.equal(false);
          expect(text === '' || (requestEnded && text === whole), 'reused with half a request').to.equal(true);
        }
        // EndStream in encodeData makes the request's last piece the response's.
        const answered = Buffer.concat(response).toString();
        expect(
          answered.startsWith(recorder.body.replace(/[a-z]+$/, '')),
          `${recorder.body} begins ${answered}`,
        ).to.equal(true);
        if (given.method === 'HEAD') expect(recorder.body).to.equal('');
      }),
      { numRuns: 3000 },
    );
  });
});
