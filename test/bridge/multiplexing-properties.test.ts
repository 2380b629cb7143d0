import { expect } from 'chai';
import fc from 'fast-check';
import { frame, withId } from '../support/framed-server.js';
import type { ServerConnection } from '../support/tcp-server.js';
import { eventually, Recorder, turns } from './harness.js';
import { type Asked, configured, leftOver, share } from './sharing.js';

const request = fc.record({
  /** Turns of the event loop before it is sent. */
  wait: fc.nat(6),
  size: fc.oneof({ weight: 6, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(300_000) }),
  idempotent: fc.boolean(),
  /** Turns after which the client goes away; nothing: it stays. */
  abortAfter: fc.option(fc.nat(12), { freq: 4 }),
  slowReader: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});
const answer = fc.record({
  /** Turns that the server takes. */
  delay: fc.nat(8),
  fate: fc.oneof(
    { weight: 30, arbitrary: fc.constant('answer' as const) },
    { weight: 2, arbitrary: fc.constantFrom('stuck', 'drop', 'end', 'unknown id', 'twice', 'garbage') },
  ),
  /** The sizes of the pieces that its answer comes in. */
  pieces: fc.array(fc.integer({ min: 1, max: 70_000 }), { maxLength: 4 }),
});
const scenario = fc.record({
  correlation: fc.constantFrom('id', 'in_order'),
  maxInFlight: fc.integer({ min: 1, max: 12 }),
  maxConnections: fc.integer({ min: 1, max: 4 }),
  requests: fc.array(request, { minLength: 4, maxLength: 40 }),
  answers: fc.array(answer, { minLength: 1, maxLength: 12 }),
});

type Answer = typeof answer extends fc.Arbitrary<infer T> ? T : never;

/** Answers as it is told to: by id in any order, else one after the other on each connection. */
class RandomServer {
  readonly #inOrder: boolean;
  readonly #answers: readonly Answer[];
  readonly #queues = new Map<ServerConnection, Promise<void>>();
  #asked = 0;

  constructor(inOrder: boolean, answers: readonly Answer[]) {
    this.#inOrder = inOrder;
    this.#answers = answers;
  }

  onAsked(one: Asked): void {
    const how = this.#answers[this.#asked++ % this.#answers.length] as Answer;
    // One after the other, whatever their order: the pieces of two answers must not mix.
    const queue = (ready: () => Promise<void>): void => {
      const before = this.#queues.get(one.connection) ?? Promise.resolve();
      this.#queues.set(
        one.connection,
        before.then(ready).then(() => this.#answer(one, how)),
      );
    };
    if (this.#inOrder) queue(() => turns(how.delay));
    else void turns(how.delay).then(() => queue(() => Promise.resolve()));
  }

  async #answer({ payload, connection }: Asked, { fate, pieces }: Answer): Promise<void> {
    const { socket } = connection;
    switch (fate) {
      case 'stuck':
        if (this.#inOrder) await new Promise(() => undefined);
        return;
      case 'drop':
        return void socket.destroy();
      case 'end':
        return void socket.end();
      case 'garbage':
        return void socket.write(Buffer.alloc(64, 255));
      // In order nobody could tell such an answer from the next one: there the server answers each request once.
      case 'unknown id':
        return void socket.write(this.#inOrder ? frame(payload) : frame(withId(123_456, payload)));
      case 'twice':
        return void socket.write(this.#inOrder ? frame(payload) : Buffer.concat([frame(payload), frame(payload)]));
      case 'answer':
        await this.#write(socket, frame(payload), pieces);
    }
  }

  async #write(socket: ServerConnection['socket'], bytes: Buffer, pieces: readonly number[]): Promise<void> {
    let at = 0;
    for (const size of pieces) {
      socket.write(bytes.subarray(at, at + size));
      at += size;
      if (at >= bytes.length) return;
      await turns(1);
    }
    socket.write(bytes.subarray(at));
  }
}

describe('exchanges on shared connections, whatever clients and server do', function () {
  this.timeout(60_000);

  it('no answer reaches another exchange, every exchange ends, and nothing is left', async () => {
    const seen = { responses: 0, failures: 0, cancelled: 0 };
    await fc.assert(
      fc.asyncProperty(scenario, async (given) => {
        const inOrder = given.correlation === 'in_order';
        const random = new RandomServer(inOrder, given.answers);
        const limits = { maxConnections: given.maxConnections, maxPendingRequests: 30, maxRequests: 35, maxRetries: 3 };
        const sharing = await share(
          configured({
            correlation: given.correlation,
            max_in_flight: given.maxInFlight,
            ...(inOrder ? { answer_timeout_ms: 40 } : {}),
          }),
          { onAsked: (one) => random.onAsked(one), overrides: { circuitBreakers: { default: limits, high: limits } } },
        );
        const runs = given.requests.map(async (one, index) => {
          await turns(one.wait);
          // What the answer must be: the request, with its own id.
          const payload = withId(0x01000000 * (index % 7), `${index}:${'x'.repeat(one.size)}`);
          const recorder = new Recorder();
          recorder.writable = !one.slowReader;
          const sent = sharing.harness.send({ body: [payload], recorder, method: one.idempotent ? 'PUT' : 'POST' });
          if (one.abortAfter !== null) {
            await turns(one.abortAfter);
            if (recorder.outcome === undefined) sent.cancel();
          }
          for (let i = 0; i < 60 && recorder.outcome === undefined && !recorder.cancelled; i++) {
            await turns(2);
            if (one.slowReader && i > 3) {
              recorder.writable = true;
              sent.exchange.onDownstreamWritable();
            }
          }
          // As the route's timeout would.
          if (recorder.outcome === undefined && !recorder.cancelled) sent.cancel();
          expect(recorder.violations).to.deep.equal([]);
          const body = Buffer.concat(recorder.pieces);
          expect(payload.subarray(0, body.length).equals(body), `${index} got bytes of its own`).to.equal(true);
          if (recorder.outcome === 'response') expect(body.length).to.equal(payload.length);
          seen.responses += recorder.outcome === 'response' ? 1 : 0;
          seen.failures += recorder.outcome === 'failure' ? 1 : 0;
          seen.cancelled += recorder.cancelled ? 1 : 0;
        });
        await Promise.all(runs);
        expect(sharing.harness.stat('exchanges_active')).to.equal(0);
        expect(sharing.harness.clusterStat('upstream_rq_active')).to.equal(0);
        await sharing.close();
        await eventually(() => sharing.harness.bridge.released);
        expect(leftOver(sharing)).to.deep.equal({});
      }),
      { numRuns: 500 },
    );
    // The run is about something: of each kind there were many.
    expect(Math.min(seen.responses, seen.failures, seen.cancelled)).to.be.above(50);
  });
});
