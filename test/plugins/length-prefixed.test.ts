import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import fc from 'fast-check';
import { parseFraming } from '../../plugins/length-prefixed/config.js';
import { bridges } from '../../plugins/length-prefixed/index.js';
import { multiplexing } from '../../plugins/length-prefixed/multiplexing.js';
import type { PluginConfig } from '../../src/bridge/api.js';
import { createScriptRuntime } from '../../src/bridge/script/runtime.js';
import { createHarness, eventually, type Harness, type TestRequest, testLog } from '../bridge/harness.js';
import { startTcpServer, type TcpServer, type TcpServerHandler } from '../support/tcp-server.js';

const plugin = bridges.length_prefixed;

/** The plugin as a cluster with this plugin_config has it. */
function configured(config: unknown): { createBridge: (_config: undefined, callbacks: never) => object } {
  const given: PluginConfig = { typeUrl: '', value: new Uint8Array(), unpack: () => config };
  const framing = plugin.parseConfig?.(given);
  return { createBridge: (_config, callbacks) => plugin.createBridge(framing as never, callbacks) };
}

function frame(payload: string | Buffer): Buffer {
  const body = Buffer.from(payload as string);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

describe('plugins/length-prefixed', () => {
  let server: TcpServer;
  let harness: Harness;

  async function setUp(handler: TcpServerHandler, config?: unknown): Promise<void> {
    server = await startTcpServer(handler);
    harness = createHarness(configured(config), server.port);
  }

  afterEach(async () => {
    await harness?.close();
    await server?.close();
  });

  const answer = (bytes: Buffer): TcpServerHandler => ({ onData: ({ socket }) => void socket.write(bytes) });
  const answers: {
    name: string;
    bytes?: Buffer;
    fin?: boolean;
    config?: unknown;
    request?: TestRequest;
    summary: string;
    reused?: boolean;
  }[] = [
    { name: 'a frame', bytes: frame('hello'), summary: '200 hello', reused: true },
    { name: 'an empty frame', bytes: frame(''), summary: '200 ', reused: true },
    { name: 'a frame with FIN', bytes: frame('hello'), fin: true, summary: '200 hello', reused: false },
    {
      name: 'bytes after the frame: not reused',
      bytes: Buffer.concat([frame('hello'), Buffer.from('x')]),
      summary: '200 hello',
      reused: false,
    },
    {
      name: 'FIN before the header',
      bytes: Buffer.from([0, 0]),
      fin: true,
      summary: 'failure upstream_closed',
      reused: false,
    },
    {
      name: 'FIN in the payload',
      bytes: frame('hello').subarray(0, 7),
      fin: true,
      summary: 'failure upstream_closed',
      reused: false,
    },
    {
      name: 'a frame that is too large',
      bytes: frame('hello'),
      config: { max_frame_size: 8 },
      summary: 'local 502 the server announced a frame with a payload of 5 bytes; allowed are 0-4\n',
      reused: false,
    },
    {
      name: 'a length that cannot be',
      bytes: Buffer.from([0, 0, 0, 3]),
      config: { length_counts: 'frame' },
      summary: 'local 502 the server announced a frame with a payload of -1 bytes; allowed are 0-16777212\n',
      reused: false,
    },
    {
      name: 'a length of 64 bits',
      bytes: Buffer.alloc(8, 255),
      config: { length_size: 8 },
      summary:
        'local 502 the server announced a frame with a payload of 18446744073709552000 bytes; allowed are 0-16777208\n',
      reused: false,
    },
    { name: 'HEAD: headers only', bytes: frame('hello'), request: { method: 'HEAD' }, summary: '200 ', reused: true },
    {
      name: 'a body that is too large',
      config: { length_size: 1 },
      request: { body: [Buffer.alloc(256)] },
      summary: "local 413 the request body is larger than a frame's payload may be (255 bytes)\n",
      reused: true,
    },
  ];
  for (const test of answers) {
    it(test.name, async () => {
      const { bytes = Buffer.alloc(0), fin = false } = test;
      await setUp(fin ? { onData: ({ socket }) => void socket.end(bytes) } : answer(bytes), test.config);
      const result = await harness.send(test.request ?? { body: ['x'] }).ended();
      expect(result.summary).to.equal(test.summary);
      if (result.headers !== undefined) expect(result.headers.get('content-length')).to.match(/^[05]$/);
      if (test.reused === false) await eventually(() => server.connections[0]?.ended === true);
      else expect(harness.manager.snapshot()[0]?.hosts[0]?.stats.cxActive).to.equal(1);
    });
  }

  it('sends the body as one frame, and a request without one as an empty frame', async () => {
    await setUp(answer(frame('ok')));
    await harness.send({ body: ['one', 'two', ''] }).ended();
    await harness.send({ method: 'GET' }).ended();
    expect(server.connections).to.have.length(1);
    expect(server.connections[0]?.received().equals(Buffer.concat([frame('onetwo'), frame('')]))).to.equal(true);
  });

  it('streams a large frame, and resets when it is cut short', async () => {
    const payload = Buffer.alloc(1 << 20, 'x');
    let cut = false;
    await setUp({
      onData: ({ socket }) =>
        void (cut ? socket.end(frame(payload).subarray(0, 1 << 19)) : socket.write(frame(payload))),
    });
    const whole = await harness.send({ body: ['x'] }).ended();
    expect(whole.headers?.get('content-length')).to.equal(String(1 << 20));
    expect(whole.pieces.length).to.be.above(1);
    expect(Buffer.concat(whole.pieces).equals(payload)).to.equal(true);
    cut = true;
    const half = await harness.send({ body: ['x'] }).ended();
    expect(half.failure?.kind).to.equal('upstream_closed');
    expect(half.headers).to.not.equal(undefined);
  });

  it('reads a response that comes in any pieces', async () => {
    let pieces: Buffer[] = [];
    await setUp({
      async onData({ socket }) {
        for (const piece of pieces) {
          socket.write(piece);
          await new Promise((resolve) => setImmediate(resolve));
        }
      },
    });
    const bytes = frame('hello');
    for (let cut = 1; cut < bytes.length; cut++) {
      pieces = [bytes.subarray(0, cut), bytes.subarray(cut)];
      expect((await harness.send({ body: ['x'] }).ended()).summary).to.equal('200 hello');
    }
    pieces = [...bytes].map((byte) => Buffer.from([byte]));
    expect((await harness.send({ body: ['x'] }).ended()).summary).to.equal('200 hello');
    expect(server.connections).to.have.length(1);
  });

  describe('plugin_config', () => {
    const frames: [string, unknown, string][] = [
      ['nothing: 4 bytes, big-endian', undefined, '00000003 616263'],
      ['an empty object', {}, '00000003 616263'],
      ['1 byte', { length_size: 1 }, '03 616263'],
      ['2 bytes, little-endian', { length_size: 2, endianness: 'little' }, '0300 616263'],
      ['3 bytes', { length_size: 3 }, '000003 616263'],
      ['8 bytes', { length_size: 8 }, '0000000000000003 616263'],
      ['8 bytes, little-endian', { length_size: 8, endianness: 'little' }, '0300000000000000 616263'],
      ['the whole frame', { length_counts: 'frame' }, '00000007 616263'],
      ['a header around the length', { header_size: 8, length_offset: 2, length_size: 2 }, '0000000300000000 616263'],
      [
        'the rest after the length',
        { header_size: 8, length_size: 2, length_counts: 'frame', length_adjustment: -2 },
        '0009000000000000 616263',
      ],
      ['a header of its own', { header: 'cafe00000001', length_offset: 2, length_size: 2 }, 'cafe00030001 616263'],
    ];
    for (const [name, config, expected] of frames) {
      it(name, () => {
        const framing = parseFraming(config);
        const bytes = Buffer.concat([framing.header(3), Buffer.from('abc')]);
        expect(bytes.toString('hex')).to.equal(expected.replace(' ', ''));
        expect(framing.payloadLength(bytes)).to.equal(3);
      });
    }

    const refused: [unknown, string][] = [
      ['text', 'must be an object'],
      [[], 'must be an object'],
      [{ lenght_size: 4 }, 'unknown field "lenght_size"; known are header_size, '],
      [{ length_size: 5 }, 'length_size must be one of 1, 2, 3, 4, 8, not 5'],
      [{ length_size: '4' }, 'length_size must be a whole number from 1 to 8, not "4"'],
      [{ length_offset: -1 }, 'length_offset must be a whole number from 0 to 4092, not -1'],
      [{ header_size: 3 }, 'header_size must be a whole number from 4 to 4096, not 3'],
      [{ endianness: 'BIG' }, 'endianness must be "big" or "little", not "BIG"'],
      [{ length_counts: 1 }, 'length_counts must be "payload" or "frame", not 1'],
      [{ length_adjustment: -1 }, 'length_adjustment must be a whole number from 0 to 4096, not -1'],
      [{ max_frame_size: 3 }, 'max_frame_size must be a whole number from 4 to 2147483647, not 3'],
      [{ header: 'xyz' }, 'header must be bytes in hexadecimal'],
      [{ header: 'cafe', header_size: 4 }, 'header must have as many bytes as header_size says (4), not 2'],
      [{ length_size: 1, length_adjustment: 256 }, 'length_size 1 is too small'],
      [{ correlation: 'ids' }, 'correlation must be "exclusive" or "in_order" or "id", not "ids"'],
      [{ id_offset: 4 }, 'id_offset has a meaning only with correlation "id", not with "exclusive"'],
      [
        { correlation: 'in_order', id_size: 4 },
        'id_size has a meaning only with correlation "id", not with "in_order"',
      ],
      [
        { max_in_flight: 4 },
        'max_in_flight has a meaning only with correlation "in_order" or "id", not with "exclusive"',
      ],
      [{ correlation: 'id', answer_timeout_ms: 4 }, 'answer_timeout_ms has a meaning only with correlation "in_order"'],
      [{ correlation: 'id', id_size: 3 }, 'id_size must be one of 1, 2, 4, 8, not 3'],
      [{ correlation: 'id', id_size: '4' }, 'id_size must be a whole number from 1 to 8, not "4"'],
      [{ correlation: 'id', id_offset: -1 }, 'id_offset must be a whole number from 0 to 4096, not -1'],
      [
        { correlation: 'id', length_size: 1, id_offset: 252 },
        'id_offset 252 and id_size 4 lie outside of every payload',
      ],
      [{ correlation: 'id', max_in_flight: 0 }, 'max_in_flight must be a whole number from 1 to 65536, not 0'],
      [
        { correlation: 'id', id_size: 1, max_in_flight: 256 },
        'max_in_flight must be at most 255 with id_size 1, not 256',
      ],
      [{ correlation: 'in_order', answer_timeout_ms: 0 }, 'answer_timeout_ms must be a whole number from 1 to 3600000'],
    ];
    for (const [config, message] of refused) {
      it(`refuses ${JSON.stringify(config)}`, () => {
        expect(() => parseFraming(config)).to.throw(message);
      });
    }

    const ids: [string, unknown, string, string][] = [
      ['in the first 4 bytes', {}, '00000008 01020304 61626364', '00000008 00000005 61626364'],
      ['of 1 byte', { id_size: 1, id_offset: 1 }, '00000003 010203', '00000003 010503'],
      ['of 2 bytes, little-endian', { id_size: 2, endianness: 'little' }, '03000000 010203', '03000000 050003'],
      ['of 8 bytes', { id_size: 8, length_size: 1 }, '08 0102030405060708', '08 0000000000000005'],
      [
        'of 8 bytes, little-endian',
        { id_size: 8, length_size: 1, endianness: 'little' },
        '08 0102030405060708',
        '08 0500000000000000',
      ],
      ['behind a header', { header_size: 6, id_size: 1 }, '000000020000 0102', '000000020000 0502'],
    ];
    for (const [name, config, given, expected] of ids) {
      it(`an id ${name}`, () => {
        const { frameLength, correlation } =
          multiplexing(parseFraming({ correlation: 'id', ...(config as object) })) ?? {};
        const bytes = Buffer.from(given.replaceAll(' ', ''), 'hex');
        expect(frameLength?.(bytes)).to.equal(bytes.length);
        if (typeof correlation !== 'object') throw new Error('no ids');
        const own = correlation.readId(bytes) as number;
        correlation.writeId(bytes, 5);
        expect(bytes.toString('hex')).to.equal(expected.replaceAll(' ', ''));
        expect(Number(correlation.readId(bytes))).to.equal(5);
        correlation.writeId(bytes, own);
        expect(bytes.toString('hex')).to.equal(given.replaceAll(' ', ''));
        const end = bytes.length - 1;
        for (let length = 0; length < end; length++) {
          const part = bytes.subarray(0, length);
          if (frameLength?.(part) !== undefined) correlation.readId(part);
        }
      });
    }

    it('a body that ends before its id is refused', async () => {
      await setUp(answer(frame('hello')), { correlation: 'id', id_offset: 2 });
      const result = await harness.send({ body: ['12345'] }).ended();
      expect(result.summary).to.equal('local 400 the request body has 5 bytes; its id ends at byte 6\n');
      expect((await harness.send({ method: 'GET' }).ended()).summary).to.equal(
        'local 400 the request body has 0 bytes; its id ends at byte 6\n',
      );
    });

    it('reads what it writes', () => {
      const config = fc.record({
        length_size: fc.constantFrom(1, 2, 3, 4, 8),
        length_offset: fc.nat(8),
        endianness: fc.constantFrom('big', 'little'),
        length_counts: fc.constantFrom('payload', 'frame'),
        length_adjustment: fc.nat(9),
      });
      fc.assert(
        fc.property(config, fc.nat(8), fc.nat(), (given, more, size) => {
          const framing = parseFraming({ ...given, header_size: given.length_offset + given.length_size + more });
          const payload = Math.min(size, framing.largestPayload);
          expect(framing.header(payload)).to.have.length(framing.headerSize);
          expect(framing.payloadLength(framing.header(payload))).to.equal(payload);
        }),
      );
    });
  });

  it('loads as a script library, from its source', async () => {
    // From dist/test/plugins to the source tree.
    const libraryPath = fileURLToPath(new URL('../../../plugins/length-prefixed/index.ts', import.meta.url));
    const runtime = createScriptRuntime({
      log: testLog(),
      unpackPluginConfig: () => ({ length_size: 2 }),
      pluginRoots: [fileURLToPath(new URL('../../../plugins', import.meta.url))],
      cwd: '/',
    });
    const prepared = await runtime.prepare({
      libraryId: 'x',
      libraryPath,
      pluginName: 'length_prefixed',
      pluginConfig: { typeUrl: 'x', value: new Uint8Array() },
    });
    expect(prepared).to.have.property('ok', true);
  });
});
