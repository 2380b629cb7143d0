import { expect } from 'chai';
import { parseSettings } from '../../../plugins/dubbo/config.js';
import type { HessianWriter } from '../../../plugins/dubbo/hessian/writer.js';
import { bridges } from '../../../plugins/dubbo/index.js';
import { createHarness, eventually } from '../../bridge/harness.js';
import { startTcpServer } from '../../support/tcp-server.js';
import { body, call, hello, result } from './messages.js';
import { exchange, heartbeatRequest, responseFrame } from './support.js';

describe('plugins/dubbo', () => {
  describe('a response', () => {
    const responses: [string, unknown, Buffer, string][] = [
      ['a value', {}, responseFrame(hello), '200 "hello"\n'],
      ['null', {}, responseFrame(body((writer) => writer.int(2))), '200 null\n'],
      [
        'a timeout of the provider',
        {},
        responseFrame(
          body((writer) => writer.string('Waiting: timeout')),
          { status: 31 },
        ),
        '504 {"error":{"code":"SERVER_TIMEOUT","dubbo_status":31,"message":"Waiting: timeout"}}\n',
      ],
      [
        'another timeout',
        {},
        responseFrame(
          body((writer) => writer.string('x')),
          { status: 30 },
        ),
        '504',
      ],
      [
        'a bad request',
        {},
        responseFrame(
          body((writer) => writer.string('x')),
          { status: 40 },
        ),
        '400',
      ],
      [
        'a bad response',
        {},
        responseFrame(
          body((writer) => writer.string('x')),
          { status: 50 },
        ),
        '502',
      ],
      [
        'no service',
        {},
        responseFrame(
          body((writer) => writer.string('x')),
          { status: 60 },
        ),
        '404',
      ],
      [
        'a server error',
        {},
        responseFrame(
          body((writer) => writer.string('x')),
          { status: 80 },
        ),
        '502',
      ],
      [
        'no thread',
        {},
        responseFrame(
          body((writer) => writer.string('x')),
          { status: 100 },
        ),
        '503 {"error":{"code":"SERVER_THREADPOOL_EXHAUSTED_ERROR"',
      ],
      [
        'no thread, as configured',
        { errors: { statuses: { '100': 429 } } },
        responseFrame(
          body((writer) => writer.string('x')),
          { status: 100 },
        ),
        '429',
      ],
      [
        'a status nobody knows',
        {},
        responseFrame(
          body((writer) => writer.string('x')),
          { status: 99 },
        ),
        '502 {"error":{"code":"STATUS_99"',
      ],
      [
        'no service, in words',
        {},
        responseFrame(
          body((writer) =>
            writer.string('org.apache.dubbo.remoting.RemotingException: Not found exported service: a in [b]\nat x'),
          ),
          { status: 70 },
        ),
        '404 {"error":{"code":"SERVICE_NOT_FOUND","dubbo_status":70,"message":"the provider has no such service or method',
      ],
      [
        'addresses are not for clients',
        {},
        responseFrame(
          body((writer) =>
            writer.string('a.B: to dubbo://10.0.0.1:20880/x?y=z failed, channel: /10.0.0.2 -> 3\n\tat a.B'),
          ),
          { status: 70 },
        ),
        '502 {"error":{"code":"SERVICE_ERROR","dubbo_status":70,"message":"a.B: to … failed"}}\n',
      ],
    ];
    for (const [name, config, frame, expected] of responses) {
      it(name, () => {
        const made = exchange(config, call);
        expect(made.receive(frame))
          .to.match(/^\d{3} /)
          .and.contain(expected);
        expect(made.halfClosed).to.equal(false);
        expect(made.headers.get('content-type')).to.equal('application/json');
      });
    }

    const throwable = body((writer) => {
      writer.int(0);
      writer.object('a.OrderException', ['detailMessage', 'cause', 'stackTrace']);
      writer.string('no such order');
      writer.ref(0);
      writer.list(1, '[java.lang.StackTraceElement');
      writer.object('java.lang.StackTraceElement', ['declaringClass', 'methodName', 'fileName', 'lineNumber']);
      writer.string('a.B');
      writer.string('m');
      writer.string('B.java');
      writer.int(5);
    });
    it('an exception', () => {
      expect(exchange({}, call).receive(responseFrame(throwable))).to.equal(
        '500 {"error":{"code":"EXCEPTION","exception":"a.OrderException","message":"no such order"}}\n',
      );
      const config = { errors: { stack: true, exceptions: { 'a.OrderException': 404 } } };
      expect(exchange(config, call).receive(responseFrame(throwable))).to.equal(
        '404 {"error":{"code":"EXCEPTION","exception":"a.OrderException","message":"no such order","stack":["a.B.m(B.java:5)"]}}\n',
      );
    });

    it('decodes the same however its bytes come', () => {
      const settings = parseSettings({});
      const bytes = result((writer) => {
        writer.map();
        writer.string('text');
        writer.string('ä😀'.repeat(30));
        writer.string('list');
        writer.list(9);
        for (let i = 0; i < 9; i++) writer.double(i / 7);
        writer.end();
      });
      const whole = exchange(settings, call);
      const expected = whole.receive(responseFrame(bytes, { id: whole.id }));
      for (let cut = 1; cut < bytes.length + 16; cut++) {
        const made = exchange(settings, call);
        const frame = responseFrame(bytes, { id: made.id });
        expect(made.receive(frame.subarray(0, cut))).to.equal(undefined);
        expect(made.receive(frame.subarray(cut))).to.equal(expected);
      }
      const slow = exchange(settings, call);
      for (const byte of responseFrame(bytes, { id: slow.id })) slow.receive(Buffer.from([byte]));
      expect(slow.answer).to.equal(expected);
    });

    it('heartbeats before it are passed over, wherever they are cut', () => {
      const settings = parseSettings({});
      const before = Buffer.concat([
        heartbeatRequest(),
        heartbeatRequest(),
        responseFrame(Buffer.from('N'), { flags: 0x22, id: 9n }),
      ]);
      for (let cut = 1; cut < before.length; cut++) {
        const made = exchange(settings, call);
        expect(made.receive(before.subarray(0, cut))).to.equal(undefined);
        expect(made.receive(Buffer.concat([before.subarray(cut), responseFrame(hello, { id: made.id })]))).to.equal(
          '200 "hello"\n',
        );
        expect(made.halfClosed).to.equal(false);
      }
    });

    it('a provider that is about to stop answers once more, and gets no further call on the connection', () => {
      const made = exchange({}, call);
      made.receive(
        responseFrame(
          body((writer) => writer.string('R')),
          { flags: 0xa2, status: 0, id: 5n },
        ),
      );
      expect(made.receive(responseFrame(hello))).to.equal('200 "hello"\n');
      expect(made.halfClosed).to.equal(true);
    });

    it('bytes after it end the connection', () => {
      const made = exchange({}, call);
      expect(made.receive(Buffer.concat([responseFrame(hello), Buffer.from('x')]))).to.equal('200 "hello"\n');
      expect(made.halfClosed).to.equal(true);
    });

    const bad: [string, Buffer, string][] = [
      [
        'no frame',
        Buffer.from('HTTP/1.1 400 Bad Request'),
        'BAD_FRAME","message":"the server sent 4854, where a Dubbo frame begins with dabb',
      ],
      ['the second byte', Buffer.from([0xda, 0xba]), 'the server sent daba'],
      [
        'a frame that is too large',
        Buffer.concat([responseFrame(hello).subarray(0, 12), Buffer.from([0x7f, 0, 0, 0])]),
        'announced a frame of 2130706448 bytes; allowed are 16777216',
      ],
      ["another request's answer", responseFrame(hello, { id: 2n }), 'answered request 2, but 1 was asked'],
      ['a request', responseFrame(hello, { flags: 0xc2 }), 'the server sent a request'],
      ['another serialization', responseFrame(hello, { flags: 0x06 }), 'in serialization 6'],
      ['a response of an unknown kind', responseFrame(body((writer) => writer.int(6))), 'unknown kind 6'],
      [
        'a cut body',
        responseFrame(hello.subarray(0, 3)),
        'BAD_RESPONSE","message":"the response can\'t be read: byte ',
      ],
      ['a body that is nothing', responseFrame(Buffer.alloc(0)), 'cut short'],
    ];
    for (const [name, bytes, message] of bad) {
      it(`${name}: 502, and the connection is closed`, () => {
        const made = exchange({}, call);
        expect(made.receive(bytes))
          .to.match(/^local 502 /)
          .and.contain(message);
        expect(made.unread).to.be.above(0);
      });
    }

    it('FIN in the middle is 502; FIN before anything is left to the host', () => {
      expect(exchange({}, call).receive(responseFrame(hello).subarray(0, 20), true)).to.contain(
        'local 502 {"error":{"code":"TRUNCATED"',
      );
      expect(exchange({}, call).receive(Buffer.alloc(0), true)).to.equal(undefined);
    });

    it('a small message that says a lot: 502', () => {
      const bomb = result((writer) => {
        writer.list(30);
        let inner = writer.list(0);
        for (let i = 1; i < 30; i++) {
          const next = writer.list(2);
          writer.ref(inner);
          writer.ref(inner);
          inner = next;
        }
      });
      expect(exchange({ json: { max_length: 100_000 } }, call).receive(responseFrame(bomb))).to.match(
        /^502 .*UNSUITABLE_RESULT.*longer than 100000/,
      );
      const deep = result((writer) => {
        writer.list(500);
        let inner = writer.list(0);
        for (let i = 1; i < 500; i++) {
          const next = writer.list(1);
          writer.ref(inner);
          inner = next;
        }
      });
      expect(exchange({}, call).receive(responseFrame(deep))).to.match(/^502 .*deeper than 128/);
    });

    it('attachments become headers by prefix; what no header can carry is left out', () => {
      const frame = body((writer) => {
        writer.int(5);
        writer.map();
        for (const [name, value] of [
          ['Trace', 'abc'],
          ['bad name', 'x'],
          ['bad', 'a\r\nb'],
        ]) {
          writer.string(name as string);
          writer.string(value as string);
        }
        writer.end();
      });
      const made = exchange({ attachments: { response_prefix: 'X-Dubbo-' } }, call);
      expect(made.receive(responseFrame(frame))).to.equal('200 null\n');
      expect([...made.headers.keys()].sort()).to.deep.equal(['content-length', 'content-type', 'x-dubbo-trace']);
    });

    const values: [string, unknown, (writer: HessianWriter) => void, string][] = [
      ['long beyond 2^53', {}, (w) => w.long(9_007_199_254_740_993n), '9007199254740993'],
      [
        'large numbers in quotes',
        { large_numbers: 'string' },
        (w) => w.long(9_007_199_254_740_993n),
        '"9007199254740993"',
      ],
      ['safe numbers stay without', { large_numbers: 'string' }, (w) => w.long(5n), '5'],
      ['not a number', {}, (w) => w.double(Number.NaN), '"NaN"'],
      ['minus nothing', {}, (w) => w.double(-0), '-0.0'],
      ['a date', {}, (w) => w.date(0n), '"1970-01-01T00:00:00.000Z"'],
      ['a date in milliseconds', { dates: 'millis' }, (w) => w.date(5n), '5'],
      ['a date beyond those of JavaScript', {}, (w) => w.date(2n ** 62n), '4611686018427387904'],
      [
        'keys that are numbers',
        {},
        (w) => {
          w.map();
          w.long(1n);
          w.null();
          w.boolean(true);
          w.int(2);
          w.end();
        },
        '{"1":null,"true":2}',
      ],
      [
        'keys that would be the same',
        {},
        (w) => {
          w.map();
          w.long(1n);
          w.int(1);
          w.string('1');
          w.int(2);
          w.end();
        },
        '[{"key":1,"value":1},{"key":"1","value":2}]',
      ],
      [
        'keys that are no text',
        {},
        (w) => {
          w.map();
          w.list(1);
          w.int(1);
          w.int(2);
          w.end();
        },
        '[{"key":[1],"value":2}]',
      ],
      [
        'an object without its class',
        { class_names: false },
        (w) => {
          w.object('a.B', ['x']);
          w.int(1);
        },
        '{"x":1}',
      ],
      [
        'a generic object without its class',
        { class_names: false },
        (w) => {
          w.map();
          w.string('class');
          w.string('a.B');
          w.string('x');
          w.int(1);
          w.end();
        },
        '{"x":1}',
      ],
      [
        'an object of an old sender',
        {},
        (w) => {
          w.map('a.B');
          w.string('x');
          w.int(1);
          w.end();
        },
        '{"class":"a.B","x":1}',
      ],
      [
        'an object in itself',
        {},
        (w) => {
          w.object('a.B', ['x']);
          w.list(1);
          w.ref(0);
        },
        '{"class":"a.B","x":[{"$ref":"$"}]}',
      ],
      [
        'the same twice',
        {},
        (w) => {
          w.list(2);
          w.list(1);
          w.int(5);
          w.ref(1);
        },
        '[[5],[5]]',
      ],
      [
        '__proto__',
        {},
        (w) => {
          w.map();
          w.string('__proto__');
          w.int(1);
          w.end();
        },
        '{"__proto__":1}',
      ],
    ];
    for (const [name, json, write, expected] of values) {
      it(`JSON of ${name}`, () =>
        expect(exchange({ json }, call).receive(responseFrame(result(write)))).to.equal(`200 ${expected}\n`));
    }

    it('refuses a circle when references are off', () => {
      const circle = result((writer) => {
        writer.list(1);
        writer.ref(0);
      });
      expect(exchange({ json: { references: false } }, call).receive(responseFrame(circle))).to.match(
        /^502 .*contains itself/,
      );
    });
  });

  it('serves over sockets, and keeps the connection', async () => {
    const server = await startTcpServer({
      onData: ({ socket }, data) => void socket.write(responseFrame(hello, { id: data.readBigUInt64BE(4) })),
    });
    const plugin = bridges.dubbo;
    const harness = createHarness(
      { createBridge: (_config, callbacks) => plugin.createBridge(parseSettings({}), callbacks) },
      server.port,
    );
    try {
      for (let i = 0; i < 3; i++) {
        const sent = harness.send({
          headers: { dubbo_interface: 'a.Service', dubbo_method: 'm', 'content-type': 'application/json' },
          body: ['[', '1]'],
        });
        expect((await sent.ended()).summary).to.equal('200 "hello"\n');
      }
      await eventually(() => server.connections.length === 1);
    } finally {
      await harness.close();
      await server.close();
    }
  });
});
