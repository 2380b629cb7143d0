import { expect } from 'chai';
import fc from 'fast-check';
import { openSockets } from '../../src/sockets/open-sockets.js';
import { until } from '../support/until.js';
import { combinations, openDescriptors, openWire, silentLog, Watched, type Wire } from './support.js';

/** What each side sends, so that every byte says where it belongs. */
const patterns = [31, 37].map((factor) =>
  Buffer.from(Uint8Array.from({ length: 4 * 1024 * 1024 }, (_, i) => (i * factor + (i >> 8)) & 255)),
);

const step = fc.record({
  side: fc.constantFrom(0, 1),
  /** Within what the socket tells next, instead of now. */
  within: fc.constantFrom(undefined, undefined, undefined, 'onData', 'onEnd', 'onProgress'),
  action: fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({ do: fc.constant('write' as const), size: fc.oneof(fc.nat(5_000), fc.nat(600_000)) }),
    },
    { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('pause', 'resume' as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('end', 'afterWrites' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('destroy', 'reset' as const) }) },
  ),
  /** Turns of the event loop until the next one. */
  turns: fc.constantFrom(0, 0, 0, 1, 2, 5),
});
type Step = ReturnType<(typeof step)['generate']>['value'];

/** One end: does what it is told, and checks what comes. */
class End {
  readonly watched: Watched;
  readonly side: number;
  written = 0;
  /** `end` was called when so much had been written. */
  endedAt: number | undefined;
  cut = false;
  calls = 0;

  constructor(watched: Watched, side: number) {
    this.watched = watched;
    this.side = side;
  }

  do(action: Step['action']): void {
    const { socket } = this.watched;
    const { writable } = socket;
    switch (action.do) {
      case 'write': {
        const pattern = patterns[this.side] as Buffer;
        const size = Math.min(action.size, pattern.length - this.written);
        socket.write(pattern.subarray(this.written, this.written + size));
        if (writable) this.written += size;
        return;
      }
      case 'end':
        if (writable) this.endedAt = this.written;
        socket.end(() => this.onCalled('end', writable));
        return;
      case 'afterWrites':
        socket.afterWrites(() => this.onCalled('afterWrites', writable));
        return;
      case 'destroy':
      case 'reset':
        this.cut = true;
        socket[action.do]();
        return;
      default:
        socket[action.do]();
    }
  }

  onCalled(what: string, expected: boolean): void {
    this.calls++;
    if (!expected) this.watched.problems.push(`${what} although it was over`);
    if (this.watched.closed) this.watched.problems.push(`${what} behind the close`);
  }

  /** Which part of what the other side has sent came here. */
  check(other: End): void {
    const { watched } = this;
    const came = Buffer.concat([...watched.pieces, ...watched.unread]);
    const sent = (patterns[other.side] as Buffer).subarray(0, other.written);
    expect(came.length).to.be.at.most(sent.length);
    expect(came.equals(sent.subarray(0, came.length)), 'bytes').to.equal(true);
    if (!this.cut && !other.cut) expect([came.length, watched.error]).to.deep.equal([sent.length, undefined]);
    expect(watched.problems).to.deep.equal([]);
    expect(watched.events.filter((event) => event === 'close')).to.have.length(1);
  }
}

for (const { sockets, transport } of combinations) {
  describe(`whatever is done with two stream sockets, ${sockets}, over ${transport}`, function () {
    this.timeout(120_000);
    let wire: Wire;

    before(async () => {
      wire = await openWire(transport);
    });

    after(() => wire.close());

    it('bytes arrive unchanged and in order, the close comes last, and nothing leaks', async () => {
      const adopt = openSockets(sockets, silentLog);
      const before = openDescriptors();
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          const pair = await wire.connect(
            (socket) => new End(new Watched(adopt(socket)), 0),
            (socket) => new End(new Watched(adopt(socket)), 1),
          );
          for (const { side, within, action, turns } of steps) {
            const end = pair[side] as End;
            if (within === undefined) end.do(action);
            else {
              end.watched.also[within] = () => {
                delete end.watched.also[within];
                end.do(action);
              };
            }
            for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
          }
          for (const end of pair) {
            end.watched.also = {};
            end.do({ do: 'resume' });
            end.do({ do: 'end' });
          }
          for (const { watched } of pair) await watched.until('the close', () => watched.closed);
          for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
          pair[0].check(pair[1]);
          pair[1].check(pair[0]);
        }),
        { numRuns: 150 },
      );
      await until('the descriptors', () => openDescriptors() <= before || undefined);
    });
  });
}
