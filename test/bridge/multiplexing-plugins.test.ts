import { expect } from 'chai';
import type { BufferInstance, HttpTcpBridge, Multiplexing } from '../../src/bridge/api.js';
import { prepareMultiplexing } from '../../src/bridge/multiplexing.js';
import { FakeClock } from '../support/fake-clock.js';
import { frame, withId } from '../support/framed-server.js';
import { startTcpServer } from '../support/tcp-server.js';
import { createHarness, eventually, type TestPlugin, turns } from './harness.js';
import { type BridgeOf, recordingPlugin } from './recording-plugin.js';
import { framesById, leftOver, type Sharing, type SharingOptions, share } from './sharing.js';

/** Puts a frame around the whole body. */
const framing: HttpTcpBridge = {
  encodeHeaders: (_headers, data, end) => {
    if (end) data.set(frame(withId(7, '')));
    return 1;
  },
  encodeData: (buffer: BufferInstance, end) => {
    if (!end) return 1;
    buffer.set(frame(withId(7, buffer.bytes())));
    return 0;
  },
  onUpstreamData: (_headers, buffer, end) => {
    buffer.drain(8);
    return end ? 0 : 2;
  },
};

describe('plugins on shared connections', () => {
  let sharing: Sharing;
  let calls: string[];

  async function setUp(bridge: BridgeOf, multiplexing: Partial<Multiplexing> = {}, options?: SharingOptions) {
    calls = [];
    const plugin: TestPlugin = {
      ...recordingPlugin(bridge, calls),
      multiplexing: () => ({ ...framesById, ...multiplexing }),
    };
    sharing = await share(plugin, options);
  }

  afterEach(async () => {
    await sharing.close();
    expect(leftOver(sharing)).to.deep.equal({});
  });

  const send = (body: readonly string[] = ['x'], more = {}) => sharing.harness.send({ body, ...more });
  const destroyed = (): number => calls.filter((call) => call === 'onDestroy').length;

  describe('the request', () => {
    it('that a plugin writes in pieces goes out when it is whole', async () => {
      await setUp({
        encodeHeaders: (_headers, data) => {
          data.set(frame(withId(7, '0123456789')).subarray(0, 8));
          return 0;
        },
        onUpstreamData: (_headers, buffer) => {
          buffer.drain(8);
          return 2;
        },
      });
      const slow = send(['0123'], { more: true });
      const other = send(['abcdefghij']);
      await sharing.askedFor(1);
      expect(sharing.asked[0]?.text).to.equal('abcdefghij');
      slow.exchange.onRequestData(Buffer.from('456789'), true);
      await sharing.askedFor(2);
      for (const one of sharing.asked) one.answer();
      expect((await other.ended()).summary).to.equal('200 abcdefghij');
      expect((await slow.ended()).summary).to.equal('200 0123456789');
    });

    it('that becomes too large before it is whole is refused', async () => {
      await setUp({ encodeHeaders: () => 0 });
      const sent = send(['01234567', '89'], { more: true, requestBufferLimit: 9 });
      await sent.ended();
      expect(sent.result.summary).to.equal('failure request_too_large');
      expect(destroyed()).to.equal(1);
    });

    const misuses: { name: string; bridge: HttpTcpBridge; message: string }[] = [
      {
        name: 'nothing',
        bridge: { encodeData: (buffer) => void buffer.reset() },
        message: 'the request is empty, not a frame',
      },
      {
        name: 'half a length',
        bridge: { encodeData: (buffer) => void buffer.set(Buffer.alloc(3)) },
        message: 'the 3 bytes of the request are not a whole frame',
      },
      {
        name: 'half a frame',
        bridge: { encodeData: (buffer) => void buffer.set(frame(withId(1, 'abc')).subarray(0, 9)) },
        message: 'the request has 9 bytes, its frame 11: it must be exactly one frame',
      },
      {
        name: 'two frames',
        bridge: { encodeData: (buffer) => void buffer.set(Buffer.concat([frame('aaaa'), frame('bbbb')])) },
        message: 'the request has 16 bytes, its frame 8: it must be exactly one frame',
      },
      {
        name: 'a frame without an id',
        bridge: { encodeData: (buffer) => void buffer.set(frame('ab')) },
        message: 'the 6 bytes of the request have no id',
      },
    ];
    for (const { name, bridge, message } of misuses) {
      it(`of ${name} is the plugin's error, and hurts nobody else`, async () => {
        let wrong = false;
        await setUp(() => (wrong ? { ...bridge, encodeHeaders: () => 1 } : framing));
        const other = send(['other']);
        await sharing.askedFor(1);
        wrong = true;
        const sent = send();
        await sent.ended();
        expect(sent.result.summary).to.equal('failure plugin_error');
        expect((sent.result.failure as { error: Error }).error.message).to.equal(
          `the request for a shared connection: ${message}`,
        );
        expect(sharing.harness.stat('plugin_errors')).to.equal(1);
        sharing.asked[0]?.answer();
        expect((await other.ended()).summary).to.equal('200 other');
        expect(sharing.asked).to.have.length(1);
      });
    }

    it('whose id cannot be written is the plugin error, too', async () => {
      const correlation = { readId: () => 1, writeId: (bytes: Buffer) => void bytes.writeUInt8(300, 0) };
      await setUp(framing, { correlation });
      const sent = send();
      await sent.ended();
      expect((sent.result.failure as { error: Error }).error.message).to.contain('writeId: The value of "value"');
    });

    it('is not sent twice when the plugin answers itself after a part of it', async () => {
      await setUp((callbacks) => ({
        encodeHeaders: (_headers, data) => void data.set(frame(withId(1, 'abc')).subarray(0, 9)),
        encodeData: () => callbacks.sendLocalReply(400, 'no') as undefined,
      }));
      expect((await send().ended()).summary).to.equal('local 400 no');
      await turns();
      expect(sharing.asked).to.have.length(0);
    });
  });

  describe('the answer', () => {
    it('ends where its frame ends: for a plugin that does not look, too', async () => {
      await setUp({ ...framing, onUpstreamData: () => 0 }, {}, { onAsked: (one) => one.reply('yes') });
      const sent = send();
      await sent.ended();
      expect(sent.result.body).to.equal(frame(withId(7, 'yes')).toString('latin1'));
      expect(calls.filter((call) => call.startsWith('onUpstreamData'))).to.have.length(2);
      expect(calls.at(-2)).to.equal('onUpstreamData  end');
    });

    it('is too short for a plugin that waits for more', async () => {
      await setUp({ ...framing, onUpstreamData: () => 1 }, {}, { onAsked: (one) => one.reply('yes') });
      const sent = send();
      await sent.ended();
      expect(sent.result.failure).to.deep.equal({
        kind: 'upstream_closed',
        reason: "the answer's frame ended in the middle of the response",
      });
      expect(sharing.openConnections()).to.equal(1);
    });

    it('that the plugin fails on costs only its exchange', async () => {
      await setUp(
        {
          ...framing,
          onUpstreamData: (_headers, buffer) => {
            if (buffer.toString().endsWith('bad')) throw new Error('on purpose');
            buffer.drain(8);
            return 2;
          },
        },
        {},
        { onAsked: (one) => one.answer() },
      );
      const [bad, good] = [send(['bad']), send(['good'])];
      await Promise.all([bad.ended(), good.ended()]);
      expect([bad.result.summary, good.result.summary]).to.deep.equal(['failure plugin_error', '200 good']);
      expect(sharing.openConnections()).to.equal(1);
    });
  });

  describe('half-close', () => {
    for (const when of ['createBridge', 'encodeData']) {
      it(`asked for in ${when}: the same bridge goes on, on a connection of its own`, async () => {
        await setUp(
          (callbacks) => {
            if (when === 'createBridge') callbacks.setSelfHalfCloseForUpstreamConn(true);
            return {
              ...framing,
              encodeData: (buffer, end) => {
                if (when === 'encodeData') callbacks.setSelfHalfCloseForUpstreamConn(true);
                return framing.encodeData?.(buffer, end);
              },
            };
          },
          {},
          { onAsked: (one) => one.answer() },
        );
        const sent = send(['body']);
        expect((await sent.ended()).summary).to.equal('200 body');
        expect(destroyed()).to.equal(1);
        expect(sharing.server.connections).to.have.length(2);
        expect(sharing.server.connections.map(({ received }) => received().length)).to.deep.equal([0, 12]);
        await eventually(() => sharing.server.connections[1]?.ended === true);
      });
    }

    it('a client that goes away while the other connection is made', async () => {
      await setUp((callbacks) => {
        callbacks.setSelfHalfCloseForUpstreamConn(true);
        return {
          ...framing,
          encodeData(buffer, end) {
            process.nextTick(() => sent.cancel());
            return framing.encodeData?.(buffer, end);
          },
        };
      });
      const sent = send(['body']);
      await eventually(() => destroyed() === 1);
      await turns();
      expect(sent.result.violations).to.deep.equal([]);
      expect(sharing.asked).to.have.length(0);
    });
  });

  describe('one-way requests', () => {
    const oneWay: BridgeOf = (callbacks) => ({
      ...framing,
      encodeData: (buffer, end) => {
        callbacks.setOneWay(buffer.toString() !== 'two-way');
        return framing.encodeData?.(buffer, end);
      },
      onUpstreamData: (headers, buffer, end) => {
        if (buffer.len() > 0) return framing.onUpstreamData?.(headers, buffer, end);
        headers.status = 202;
        return 2;
      },
    });

    it('end when they are written, without an answer', async () => {
      await setUp(oneWay, {}, { onAsked: (one) => one.text === 'two-way' && one.answer() });
      const sent = Array.from({ length: 250 }, (_, i) => send([`${i}`]));
      const answered = send(['two-way']);
      for (const one of sent) expect((await one.ended()).summary).to.equal('202 ');
      expect((await answered.ended()).summary).to.equal('200 two-way');
      await sharing.askedFor(251);
      expect(sharing.server.connections.length).to.be.below(4);
      expect(calls.filter((call) => call === 'onUpstreamData  end')).to.have.length(250);
    });

    it('do not shift the answers of others that come in order', async () => {
      await setUp(
        oneWay,
        { correlation: 'in_order' },
        { onAsked: (one) => one.text === 'two-way' && one.reply(`answer to ${one.text}`) },
      );
      const sent = [send(['a']), send(['two-way']), send(['b']), send(['two-way'])];
      await Promise.all(sent.map((one) => one.ended()));
      expect(sent.map(({ result }) => result.summary)).to.deep.equal([
        '202 ',
        '200 answer to two-way',
        '202 ',
        '200 answer to two-way',
      ]);
    });

    it('work on exclusive connections, too, which are used again', async () => {
      await setUp(oneWay);
      const server = await startTcpServer();
      const harness = createHarness(recordingPlugin(oneWay, calls), server.port);
      for (let i = 0; i < 3; i++) expect((await harness.send({ body: [`${i}`] }).ended()).summary).to.equal('202 ');
      await eventually(() => server.connections[0]?.received().length === 3 * 9);
      expect(server.connections).to.have.length(1);
      await harness.close();
      await server.close();
    });

    it('a plugin that waits all the same has made a mistake', async () => {
      await setUp((callbacks) => {
        callbacks.setOneWay(true);
        return { ...framing, onUpstreamData: () => 1 };
      });
      const sent = send();
      await sent.ended();
      expect((sent.result.failure as { error: Error }).error.message).to.contain('a one-way request');
    });
  });

  describe('frames that answer nobody', () => {
    /** Payload: id 0, then `ping`, `bye` or `notice`. */
    const stray = (onStrayFrame?: Multiplexing['onStrayFrame']): Partial<Multiplexing> => ({
      isStrayFrame: (bytes) => (bytes.length < 8 ? undefined : bytes.readUInt32BE(4) === 0),
      ...(onStrayFrame && { onStrayFrame }),
    });

    it('are answered, also on an idle connection, and reach no exchange', async () => {
      const seen: string[] = [];
      await setUp(
        framing,
        stray((bytes) => {
          seen.push(bytes.subarray(8).toString());
          return { reply: frame(withId(0, 'pong')) };
        }),
      );
      const sent = send(['a']);
      await sharing.askedFor(1);
      const socket = sharing.server.connections[0]?.socket;
      const ping = frame(withId(0, 'ping'));
      socket?.write(ping.subarray(0, 7));
      await turns();
      socket?.write(Buffer.concat([ping.subarray(7), ping]));
      await sharing.askedFor(3);
      expect(sharing.asked.slice(1).map(({ text }) => text)).to.deep.equal(['pong', 'pong']);
      sharing.asked[0]?.answer();
      expect((await sent.ended()).summary).to.equal('200 a');
      socket?.write(ping);
      await sharing.askedFor(4);
      expect(seen).to.deep.equal(['ping', 'ping', 'ping']);
      expect(sharing.harness.clusterStat('multiplexing.stray_frames')).to.equal(3);
      expect(sharing.openConnections()).to.equal(1);
    });

    it('without onStrayFrame they are dropped; in order, too', async () => {
      await setUp(framing, { ...stray(), correlation: 'in_order' });
      const sent = send(['a']);
      await sharing.askedFor(1);
      sharing.server.connections[0]?.socket.write(frame(withId(0, 'notice')));
      sharing.asked[0]?.answer();
      expect((await sent.ended()).summary).to.equal('200 a');
    });

    it('are no sign that the next answer in order will come', async () => {
      const clock = new FakeClock();
      await setUp(framing, { ...stray(), correlation: 'in_order', answerTimeoutMs: 3000 }, { clock });
      const sent = send(['stuck']);
      await sharing.askedFor(1);
      for (let i = 1; i <= 3; i++) {
        clock.advance(900);
        sharing.server.connections[0]?.socket.write(frame(withId(0, 'alive')));
        await eventually(() => sharing.harness.clusterStat('multiplexing.stray_frames') === i);
      }
      clock.advance(300);
      await sent.ended();
      expect(sent.result.failure).to.have.property('reason', 'no answer within 3000 ms');
    });

    it('may ask for no more requests: what is in flight finishes', async () => {
      await setUp(
        framing,
        stray(() => ({ drain: true })),
      );
      const sent = send(['a']);
      await sharing.askedFor(1);
      sharing.server.connections[0]?.socket.write(frame(withId(0, 'bye')));
      await eventually(() => sharing.harness.clusterStat('multiplexing.stray_frames') === 1);
      const next = send(['b']);
      await sharing.askedFor(2);
      expect(sharing.asked[1]?.connection).to.equal(sharing.server.connections[1]);
      for (const one of sharing.asked) one.answer();
      expect((await sent.ended()).summary).to.equal('200 a');
      expect((await next.ended()).summary).to.equal('200 b');
      await eventually(() => sharing.openConnections() === 1);
    });

    const faults: [string, Partial<Multiplexing>, Buffer, string][] = [
      [
        'a failing isStrayFrame',
        { isStrayFrame: () => JSON.parse('{') },
        frame('abcd'),
        'protocol error: isStrayFrame: ',
      ],
      [
        'a failing onStrayFrame',
        stray(() => {
          throw new Error('on purpose');
        }),
        frame(withId(0, 'x')),
        'protocol error: onStrayFrame: on purpose',
      ],
      [
        'a huge one',
        stray(),
        frame(withId(0, Buffer.alloc(70_000))),
        'protocol error: a frame of 70008 bytes that answers nobody; allowed are 65536',
      ],
      [
        'a server that does not read the replies',
        stray(() => ({ reply: Buffer.alloc(40_000) })),
        Buffer.concat([frame(withId(0, 'x')), frame(withId(0, 'x'))]),
        'protocol error: the server does not read the replies to its frames',
      ],
    ];
    for (const [name, multiplexing, bytes, reason] of faults) {
      it(`${name} closes the connection`, async () => {
        await setUp(framing, multiplexing);
        const sent = send(['a']);
        await sharing.askedFor(1);
        sharing.server.connections[0]?.socket.write(bytes);
        await sent.ended();
        expect(sent.result.summary).to.equal('failure protocol_error');
        expect(sent.result.failure).to.have.property('reason').that.contains(reason);
        expect(sharing.harness.clusterStat('upstream_cx_protocol_error')).to.equal(1);
      });
    }
  });

  describe('ids', () => {
    it('that no request has close the connection', async () => {
      await setUp(framing);
      const sent = [send(['a']), send(['b'])];
      await sharing.askedFor(2);
      sharing.asked[0]?.answer(withId(4711, 'x'));
      await Promise.all(sent.map((one) => one.ended()));
      for (const { result } of sent)
        expect(result.failure).to.deep.equal({
          kind: 'protocol_error',
          reason: 'protocol error: an answer with the id 4711, which no request has',
        });
    });

    it('may be as few as fit into a byte', async () => {
      const correlation = {
        readId: (bytes: Buffer) => (bytes.length < 8 ? undefined : bytes[7]),
        writeId: (bytes: Buffer, id: number | bigint) => void bytes.writeUInt8(Number(id), 7),
        maxId: 3,
      };
      await setUp(framing, { correlation }, { onAsked: (one) => one.answer() });
      const sent = Array.from({ length: 30 }, (_, i) => send([`${i}`]));
      for (const [i, one] of sent.entries()) expect((await one.ended()).summary).to.equal(`200 ${i}`);
      expect(sharing.server.connections).to.have.length(10);
    });

    it('may have 64 bits', async () => {
      const correlation = {
        readId: (bytes: Buffer) => (bytes.length < 12 ? undefined : bytes.readBigUInt64BE(4)),
        writeId: (bytes: Buffer, id: number | bigint) => void bytes.writeBigUInt64BE(BigInt(id), 4),
        maxId: Number.MAX_SAFE_INTEGER,
      };
      const own = Buffer.alloc(12, 255);
      await setUp(
        {
          encodeHeaders: () => 1,
          encodeData: (buffer) => void buffer.set(frame(Buffer.concat([own.subarray(4), buffer.bytes()]))),
        },
        { correlation },
        { onAsked: (one) => one.answer() },
      );
      const sent = send(['body']);
      await sent.ended();
      expect(sent.result.body).to.equal(
        frame(Buffer.concat([own.subarray(4), Buffer.from('body')])).toString('latin1'),
      );
      expect(sharing.asked[0]?.payload.readBigUInt64BE(0)).to.equal(1n);
    });
  });
});

describe('what a plugin declares about its frames', () => {
  const refused: [string, unknown, string][] = [
    ['a promise', Promise.resolve(framesById), 'it returned a promise: it must not be async'],
    ['text', 'in_order', 'it returned a string, not an object'],
    ['no frameLength', { correlation: 'in_order' }, 'frameLength must be a function, not undefined'],
    [
      'no correlation',
      { frameLength() {} },
      'correlation must be "in_order" or an object with readId and writeId, not undefined',
    ],
    ['another correlation', { frameLength() {}, correlation: 'id' }, 'with readId and writeId, not id'],
    ['no readId', { frameLength() {}, correlation: {} }, 'correlation.readId must be a function, not undefined'],
    ['no writeId', { frameLength() {}, correlation: { readId() {} } }, 'correlation.writeId must be a function'],
    [
      'maxId 0',
      { ...framesById, correlation: { ...(framesById.correlation as object), maxId: 0 } },
      'correlation.maxId must be a whole number from 1 to 9007199254740991, not 0',
    ],
    ['maxInFlight 0', { ...framesById, maxInFlight: 0 }, 'maxInFlight must be a whole number from 1 to 65536, not 0'],
    [
      'more in flight than ids',
      { ...framesById, maxInFlight: 4, correlation: { ...(framesById.correlation as object), maxId: 3 } },
      'maxInFlight must be a whole number from 1 to 3, not 4',
    ],
    [
      'answerTimeoutMs with ids',
      { ...framesById, answerTimeoutMs: 1 },
      'answerTimeoutMs has a meaning only with correlation "in_order"',
    ],
    ['answerTimeoutMs 0', { frameLength() {}, correlation: 'in_order', answerTimeoutMs: 0 }, 'answerTimeoutMs must be'],
    ['isStrayFrame true', { ...framesById, isStrayFrame: true }, 'isStrayFrame must be a function, not true'],
    ['onStrayFrame alone', { ...framesById, onStrayFrame() {} }, 'onStrayFrame is never called without isStrayFrame'],
  ];
  for (const [name, declared, message] of refused) {
    it(`${name} is refused`, () => {
      expect(() => prepareMultiplexing(declared as Multiplexing)).to.throw(message);
    });
  }

  it('nothing means a connection for each exchange', () => {
    expect(prepareMultiplexing(undefined)).to.equal(undefined);
  });

  it('lengths and ids of other types are errors of the protocol', () => {
    for (const length of [0, -1, 1.5, Number.NaN, 2 ** 53, '4', null]) {
      const protocol = prepareMultiplexing({ ...framesById, frameLength: () => length as number });
      expect(() => protocol?.frameLength(Buffer.alloc(4)), String(length)).to.throw('frameLength returned');
    }
    const protocol = prepareMultiplexing({
      ...framesById,
      correlation: { readId: () => 'x' as never, writeId: () => undefined },
    });
    expect(() => protocol?.ids?.read(Buffer.alloc(4))).to.throw('readId returned x: an id is a number or a bigint');
  });
});
