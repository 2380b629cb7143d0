import { expect } from 'chai';
import { parseSettings } from '../../../plugins/dubbo/config.js';
import { HessianReader } from '../../../plugins/dubbo/hessian/reader.js';
import { HessianList, HessianMap, HessianObject, type HessianValue } from '../../../plugins/dubbo/hessian/values.js';
import { HessianWriter } from '../../../plugins/dubbo/hessian/writer.js';
import { bridges } from '../../../plugins/dubbo/index.js';
import { createHarness, eventually } from '../../bridge/harness.js';
import { startTcpServer } from '../../support/tcp-server.js';
import { exchange, heartbeatRequest, jsonHeaders, responseFrame } from './support.js';

const limits = { maxDepth: 64, maxValues: 100_000 };

function body(write: (writer: HessianWriter) => void): Buffer {
  const writer = new HessianWriter(1 << 20);
  write(writer);
  return writer.bytes();
}

/** A value as the method's result, without attachments. */
const result = (write: (writer: HessianWriter) => void): Buffer =>
  body((writer) => {
    writer.int(1);
    write(writer);
  });
const hello = result((writer) => writer.string('hello'));

const plain = (value: HessianValue): unknown => {
  if (value instanceof HessianList) return value.items.map(plain);
  if (value instanceof HessianMap) {
    return Object.fromEntries(value.keys.map((key, i) => [String(key), plain(value.values[i] as HessianValue)]));
  }
  if (value instanceof HessianObject) {
    return {
      class: value.definition.name,
      ...Object.fromEntries(value.definition.fields.map((name, i) => [name, plain(value.values[i] as HessianValue)])),
    };
  }
  return value;
};

/** What a request's frame says, after the header. */
function sentValues(frame: Buffer): unknown[] {
  const reader = new HessianReader(frame.subarray(16, 16 + frame.readUInt32BE(12)), limits);
  const values: unknown[] = [];
  while (reader.remaining > 0) values.push(plain(reader.value()));
  return values;
}

const call = { path: '/a.Service/method', headers: jsonHeaders, body: '[1,"two"]' };

describe('plugins/dubbo', () => {
  describe('a request', () => {
    it('is a frame with a generic invocation', () => {
      const { sent } = exchange(
        {},
        { ...call, headers: { ...jsonHeaders, dubbo_types: 'long,String', dubbo_version: '1.0', dubbo_group: 'g' } },
      );
      const frame = sent as Buffer;
      expect(frame.subarray(0, 4).toString('hex')).to.equal('dabbc200');
      expect(frame.readUInt32BE(12)).to.equal(frame.length - 16);
      expect(sentValues(frame)).to.deep.equal([
        '2.0.2',
        'a.Service',
        '1.0',
        '$invoke',
        'Ljava/lang/String;[Ljava/lang/String;[Ljava/lang/Object;',
        'method',
        ['long', 'java.lang.String'],
        [1, 'two'],
        { path: 'a.Service', interface: 'a.Service', version: '1.0', group: 'g', generic: 'true' },
      ]);
    });

    it('is a direct invocation', () => {
      const { sent } = exchange(
        { generic: false },
        { ...call, headers: { ...jsonHeaders, dubbo_types: 'J,Ljava/lang/String;'.replace(',', '') } },
      );
      expect(sentValues(sent as Buffer)).to.deep.equal([
        '2.0.2',
        'a.Service',
        '0.0.0',
        'method',
        'JLjava/lang/String;',
        1,
        'two',
        { path: 'a.Service', interface: 'a.Service' },
      ]);
    });

    const named = {
      interface: 'a.Service',
      routes: [
        {
          path: '/orders/{id}',
          http_method: 'GET',
          method: 'find',
          parameters: [
            { name: 'id', type: 'long' },
            { name: 'tag', type: 'List<String>' },
            { name: 'full', type: 'boolean' },
            { name: 'user', type: 'String', from: 'header', header: 'x-user' },
          ],
        },
        {
          path: '/orders',
          http_method: 'POST',
          method: 'create',
          parameters: [{ name: 'order', type: 'a.Order', from: 'body' }],
        },
        {
          path: '/orders/{id}',
          http_method: 'PUT',
          method: 'change',
          parameters: [{ name: 'id', type: 'long' }, { name: 'count', type: 'Integer' }, { name: 'note' }],
        },
        { path: '/any/{interface}', method: 'any' },
      ],
    };
    const argumentsOf = (config: unknown, request: Parameters<typeof exchange>[1]): unknown => {
      const made = exchange(config, request);
      return made.sent === undefined ? made.answer : sentValues(made.sent).slice(5, 8);
    };
    const requests: [string, Parameters<typeof exchange>[1], unknown][] = [
      [
        'from path, query and header',
        { method: 'GET', path: '/orders/12?tag=a&tag=b%20c&full=true', headers: { 'x-user': 'me' } },
        ['find', ['long', 'java.util.List', 'boolean', 'java.lang.String'], [12, ['a', 'b c'], true, 'me']],
      ],
      [
        'HEAD is a GET',
        { method: 'HEAD', path: '/orders/12?full=false' },
        ['find', ['long', 'java.util.List', 'boolean', 'java.lang.String'], [12, null, false, null]],
      ],
      [
        'the whole body',
        { path: '/orders', body: '{"n":1}', headers: jsonHeaders },
        ['create', ['a.Order'], [{ n: 1 }]],
      ],
      [
        'members by name',
        { method: 'PUT', path: '/orders/5', body: '{"note":"x","count":2}', headers: jsonHeaders },
        ['change', null, [5, 2, 'x']],
      ],
      [
        'members in order',
        { method: 'PUT', path: '/orders/5', body: '[2,"x"]', headers: jsonHeaders },
        ['change', null, [5, 2, 'x']],
      ],
      [
        'missing ones are null',
        { method: 'PUT', path: '/orders/5', body: '{}', headers: jsonHeaders },
        ['change', null, [5, null, null]],
      ],
      ['a query without names', { method: 'GET', path: '/a.Service/m?x=1&y=z' }, ['m', null, ['1', 'z']]],
      [
        'a query with types',
        { method: 'GET', path: '/a.Service/m?x=1&y=z', headers: { dubbo_types: 'int,String' } },
        ['m', ['int', 'java.lang.String'], [1, 'z']],
      ],
      ['nothing', { method: 'GET', path: '/a.Service/m' }, ['m', [], []]],
      ['an empty body', { path: '/a.Service/m', body: '' }, ['m', [], []]],
      [
        'one argument that is no array',
        { path: '/a.Service/m', body: '{"a":1}', headers: { ...jsonHeaders, dubbo_types: 'a.Order' } },
        ['m', ['a.Order'], [{ a: 1 }]],
      ],
      [
        'by headers',
        { path: '/x', body: '[1]', headers: { ...jsonHeaders, dubbo_interface: 'b.Service', dubbo_method: 'go' } },
        ['go', null, [1]],
      ],
    ];
    for (const [name, request, expected] of requests) {
      it(`arguments: ${name}`, () => expect(argumentsOf(named, request)).to.deep.equal(expected));
    }

    const refused: [string, unknown, Parameters<typeof exchange>[1], string][] = [
      [
        'no JSON',
        {},
        { ...call, body: '[1,' },
        'local 400 {"error":{"code":"BAD_REQUEST","message":"the body is no JSON: character 4: a value expected, not the end"}}\n',
      ],
      ['no UTF-8', {}, { ...call, body: Buffer.from([0x22, 0xff, 0x22]) }, 'the body is no UTF-8'],
      ['another content type', {}, { ...call, headers: { 'content-type': 'text/plain' } }, 'local 415'],
      ['no array', {}, { ...call, body: '{}' }, 'the body must be an array of the arguments, not an object'],
      [
        'too many arguments',
        {},
        { ...call, headers: { ...jsonHeaders, dubbo_types: 'int' } },
        'the method has 1 parameters, the request 2 arguments',
      ],
      ['no types for a direct call', { generic: false }, call, 'local 400 {"error":{"code":"NO_TYPES"'],
      [
        'bad types',
        {},
        { ...call, headers: { ...jsonHeaders, dubbo_types: 'int,T' } },
        'dubbo_types: \\"T\\" is no known type',
      ],
      ['no method', {}, { path: '/', body: '' }, 'local 404 {"error":{"code":"NO_METHOD"'],
      ['no interface', {}, { path: '/a/b', body: '' }, 'local 404'],
      ['the wrong HTTP method', named, { method: 'DELETE', path: '/orders/1' }, 'local 405'],
      [
        "Dubbo's own methods",
        {},
        { path: '/a.Service/$invoke', body: '[]', headers: jsonHeaders },
        'local 400 {"error":{"code":"BAD_METHOD"',
      ],
      [
        'headers when they are off',
        { from_headers: false },
        { path: '/x', headers: { dubbo_interface: 'a.B', dubbo_method: 'c' } },
        'local 404',
      ],
      ['paths when they are off', { from_path: false }, call, 'local 404'],
      ['interfaces that are not allowed', { allowed_interfaces: ['b.*'] }, call, 'local 403'],
      ['a missing primitive', named, { method: 'GET', path: '/orders/1' }, '\\"full\\" (query, boolean) is missing'],
      [
        'an unknown member',
        named,
        { method: 'PUT', path: '/orders/1', body: '{"x":1}', headers: jsonHeaders },
        'unknown member \\"x\\"; known are count, note',
      ],
      ['a bad path', named, { method: 'GET', path: '/orders/%zz?full=true' }, 'is no percent-encoding'],
      [
        'a request that is too large',
        { limits: { max_request_frame: 1024 } },
        { ...call, body: `["${'x'.repeat(1000)}"]` },
        'local 413',
      ],
      ['what is too deep', { limits: { max_depth: 8 } }, { ...call, body: '[[[[[[[[[1]]]]]]]]]' }, 'deeper than 8'],
    ];
    for (const [name, config, request, expected] of refused) {
      it(`refuses ${name}`, () => {
        const made = exchange(config, request);
        expect(made.sent).to.equal(undefined);
        expect(made.answer).to.contain(expected);
      });
    }

    const typed: [type: string, json: string, message: string][] = [
      ['int', '"x"', 'argument 1 must be a whole number of 32 bits, not \\"x\\"'],
      ['int', '2147483648', 'must be a whole number of 32 bits, not 2147483648'],
      ['int', '1.5', 'must be a whole number'],
      ['int', 'null', 'must be a int, not null'],
      ['byte', '128', 'must be a whole number of 8 bits'],
      ['long', '9223372036854775808', 'must be a whole number of 64 bits'],
      ['boolean', '1', 'must be true or false, not 1'],
      ['char', '"ab"', 'must be one character'],
      ['double', '1e400', 'must be a number that a double can hold'],
      ['float', '1e39', 'must be a number that a float can hold'],
      ['String', '5', 'must be a string, not 5'],
      ['byte[]', '"*"', 'must be base64'],
      ['Date', '"yesterday"', 'must be a date'],
      ['Date', '"2024-02-31T25:00:00Z"', 'must be a date that there is'],
      ['LocalDate', '"2023-02-29"', 'must be a text as java.time.LocalDate writes it'],
      ['BigDecimal', '1e9999999999', 'must be a number with a smaller exponent'],
      ['List<Integer>', '[1,"x"]', 'argument 1, [1]: must be a whole number'],
      ['List<Integer>', '{}', 'must be an array, not an object'],
      ['Map<Integer,String>', '{"x":"y"}', 'argument 1, x: must be a whole number'],
      ['Map<Integer,String>', '[{"key":1}]', 'must be an object with the members'],
      ['Map<Integer,String>', '5', 'must be an object or an array of entries'],
      ['int[][]', '[[1],2]', 'argument 1, [1]: must be an array, not a number'],
      ['a.Order', '5', 'must be an object, not a number'],
      ['a.Order', '{"class":"b.Evil"}', 'names the class \\"b.Evil\\", which accept_classes'],
      ['Object', '{"x":[{"class":"b.Evil"}]}', 'argument 1, x[0]: names the class'],
      ['a.Known', '{"count":"many"}', 'argument 1, count: must be a whole number of 32 bits'],
      ['a.Color', '"PINK"', 'must be one of RED, GREEN, not \\"PINK\\"'],
      ['a.Order', '{"a":{"$ref":"$.b"},"b":{}}', 'refers to \\"$.b\\", where no array or object has begun'],
      ['a.Order', '{"a":{"$ref":"$.x.y"}}', 'refers to'],
    ];
    const types = { 'a.Known': { fields: { count: 'int' } }, 'a.Color': { enum: ['RED', 'GREEN'] } };
    for (const [type, json, message] of typed) {
      it(`refuses ${json} for ${type}`, () => {
        const made = exchange(
          { types },
          { ...call, body: `[${json}]`, headers: { ...jsonHeaders, dubbo_types: type } },
        );
        expect(made.sent).to.equal(undefined);
        expect(made.answer)
          .to.match(/^local 400 /)
          .and.contain(message);
      });
    }

    it('infers types that nobody told, exactly', () => {
      const text = '[1,3000000000,12345678901234567890,1.5,1.50,-0,"s",true,null,[1],{"a":{"b":1}}]';
      const { sent } = exchange({}, { ...call, body: text });
      const values = sentValues(sent as Buffer)[7] as unknown[];
      expect(values.slice(0, 2)).to.deep.equal([1, 3_000_000_000]);
      expect(values[2]).to.deep.equal({
        class: 'java.math.BigInteger',
        signum: 1,
        mag: [-1_420_514_932, -350_287_150],
      });
      expect(values[3]).to.equal(1.5);
      expect(values[4]).to.deep.equal({ class: 'java.math.BigDecimal', value: '1.50' });
      expect(Object.is(values[5], -0)).to.equal(true);
      expect(values.slice(6)).to.deep.equal(['s', true, null, [1], { a: { b: 1 } }]);
    });

    it('carries attachments: of headers, of the configuration, of the route; never those that say where it goes', () => {
      const config = {
        attachments: {
          request_prefix: 'x-att-',
          headers: { 'X-User': 'user' },
          tag_header: 'x-tag',
          fixed: { from: 'pontoon' },
        },
        routes: [{ path: '/r', interface: 'a.B', method: 'm', attachments: { from: 'route' }, timeout_ms: 500 }],
      };
      const headers = {
        'x-att-color': 'red',
        'x-att-group': 'evil',
        'x-att-generic': 'nativejava',
        'x-user': 'me',
        'x-tag': 'gray',
        traceparent: '00-1-2-03',
        tracestate: 'a=b',
      };
      const { sent } = exchange(config, { path: '/r', headers });
      expect(sentValues(sent as Buffer)[8]).to.deep.equal({
        color: 'red',
        user: 'me',
        'dubbo.tag': 'gray',
        traceparent: '00-1-2-03',
        tracestate: 'a=b',
        from: 'route',
        path: 'a.B',
        interface: 'a.B',
        generic: 'true',
        timeout: '500',
      });
    });
  });

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

  describe('a one-way call', () => {
    const config = { routes: [{ path: '/note', interface: 'a.B', method: 'note', one_way: true }] };
    const request = { path: '/note', headers: jsonHeaders, body: '["x"]' };

    it('is answered when it is written', () => {
      const made = exchange(config, request);
      const sent = made.sent as Buffer;
      expect(sent[2]).to.equal(0x82);
      expect(made.oneWay).to.equal(true);
      expect(made.receive(Buffer.alloc(0), true)).to.equal('202 ');
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
