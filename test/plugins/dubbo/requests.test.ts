import { expect } from 'chai';
import { HessianReader } from '../../../plugins/dubbo/hessian/reader.js';
import { HessianList, HessianMap, HessianObject, type HessianValue } from '../../../plugins/dubbo/hessian/values.js';
import { call } from './messages.js';
import { exchange, jsonHeaders } from './support.js';

const limits = { maxDepth: 64, maxValues: 100_000 };

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
      ['byte[]', `"${'='.repeat(200_000)}x"`, 'must be base64'],
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
      it(`refuses ${json.slice(0, 40)} for ${type}`, () => {
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

  describe('whether a call may be repeated', () => {
    for (const { what, idempotent, method, expected } of [
      { what: 'a route says yes', idempotent: true, method: 'POST', expected: true },
      { what: 'a route says no', idempotent: false, method: 'GET', expected: false },
      { what: 'nothing is said, POST', idempotent: undefined, method: 'POST', expected: false },
      { what: 'nothing is said, GET', idempotent: undefined, method: 'GET', expected: undefined },
    ]) {
      it(what, () => {
        const config = { routes: [{ path: '/find', interface: 'a.B', method: 'find', parameters: [], idempotent }] };
        expect(exchange(config, { path: '/find', method }).idempotent).to.equal(expected);
      });
    }
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
});
