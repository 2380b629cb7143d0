import { expect } from 'chai';
import fc from 'fast-check';
import { bytesOf } from '../../src/access-log/command-operators.js';
import { checkFormat, compileFormat } from '../../src/access-log/format.js';
import { responseFlags } from '../../src/access-log/response-flags.js';
import type { StreamInfo } from '../../src/access-log/stream-info.js';
import { HeaderMap } from '../../src/bridge/header-map.js';
import type { AccessLogConfig } from '../../src/model/listener.js';

const start = Date.UTC(2016, 3, 15, 20, 17, 0, 310);

const info: StreamInfo = {
  startTime: 1000,
  startWallTime: start,
  protocol: 'HTTP/1.1',
  downstreamRemoteAddress: '203.0.113.5:0',
  downstreamDirectRemoteAddress: '[2001:db8::1]:40000',
  downstreamLocalAddress: '192.0.2.1:10000',
  connectionId: 3,
  requestedServerName: 'a b.com',
  requestBytes: 11,
  responseBytes: 22,
  responseCode: 503,
  responseCodeDetails: 'upstream_reset{a b}',
  responseFlags: responseFlags.UF | responseFlags.URX,
  routeName: 'röute',
  virtualHost: 'v',
  upstreamCluster: 'c',
  upstreamHost: '10.0.0.1:80',
  upstreamLocalAddress: '10.0.0.9:5000',
  upstreamTransportFailureReason: 'delayed connect error',
  upstreamAttempts: 1,
  lastDownstreamRxByte: 1002.9,
  firstUpstreamTxByte: 1003,
  lastUpstreamTxByte: 1004,
  firstUpstreamRxByte: 1005.5,
  lastUpstreamRxByte: 1006,
  firstDownstreamTxByte: 1007,
  lastDownstreamTxByte: 1010,
};
const unset: StreamInfo = {
  ...info,
  protocol: undefined,
  requestedServerName: undefined,
  responseCodeDetails: undefined,
  responseFlags: 0,
  routeName: undefined,
  upstreamCluster: undefined,
  upstreamHost: undefined,
  upstreamLocalAddress: undefined,
  upstreamTransportFailureReason: undefined,
  lastDownstreamRxByte: undefined,
  firstUpstreamRxByte: undefined,
};
const request = new HeaderMap([
  ':method',
  'GET',
  ':path',
  '/new?a=b%20c&a=2&e',
  ':authority',
  'example.com',
  'x-envoy-original-path',
  '/old?x',
  'user-agent',
  'curl',
  'x-two',
  'first',
  'x-two',
  'second',
]);
const response = new HeaderMap([':status', '503', 'x-envoy-upstream-service-time', '7']);

function lineOf(format: AccessLogConfig['format'], source = info, headers: HeaderMap | undefined = request): string {
  const compiled = compileFormat(format);
  if (!compiled.ok) throw new Error(compiled.problems.map((p) => p.message).join());
  return compiled.formatter({
    info: source,
    requestHeaders: headers,
    responseHeaders: response,
    now: 1042.5,
    wallNow: start + 5,
  });
}

const line = (text: string, source = info, headers: HeaderMap | undefined = request): string =>
  Buffer.from(lineOf({ kind: 'text', text }, source, headers), 'latin1').toString();

const json = (node: unknown, source = info): string =>
  Buffer.from(lineOf({ kind: 'json', json: node }, source), 'latin1').toString();

describe('access log format', () => {
  it('is Envoy’s default unless set', () => {
    expect(lineOf(undefined)).to.equal(
      '[2016-04-15T20:17:00.310Z] "GET /old?x HTTP/1.1" 503 URX,UF 11 22 42 7 "-" "curl" "-" "example.com" "10.0.0.1:80"\n',
    );
    expect(lineOf(undefined, unset, new HeaderMap())).to.equal(
      '[2016-04-15T20:17:00.310Z] "- - -" 503 - 11 22 42 7 "-" "-" "-" "-" "-"\n',
    );
  });

  // The format, what it prints, and what it prints where nothing is known.
  const operators: [string, string, string?][] = [
    ['plain 100%% text', 'plain 100% text'],
    ['', ''],
    ['%REQ(X-TWO)%', 'first'],
    ['%REQ(:PATH):4%|%REQ(NONE?USER-AGENT):2%', '/new|cu'],
    ['%REQ(Host)%', 'example.com'],
    ['%RESP(:STATUS)% %TRAILER(X)% %RESP(X)%', '503 - -'],
    ['%PROTOCOL%', 'HTTP/1.1', '-'],
    ['%RESPONSE_CODE% %BYTES_RECEIVED% %BYTES_SENT% %CONNECTION_ID%', '503 11 22 3'],
    [
      '%RESPONSE_CODE_DETAILS% %RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%',
      'upstream_reset{a_b} upstream_reset{a b}',
      '- -',
    ],
    ['%RESPONSE_FLAGS%', 'URX,UF', '-'],
    ['%RESPONSE_FLAGS_LONG%', 'UpstreamRetryLimitExceeded,UpstreamConnectionFailure', '-'],
    ['%DURATION% %REQUEST_DURATION% %REQUEST_TX_DURATION%', '42 2 4', '42 - 4'],
    ['%RESPONSE_DURATION% %RESPONSE_TX_DURATION%', '5 4', '- -'],
    ['%COMMON_DURATION(US_TX_BEG:US_RX_END)% %COMMON_DURATION(DS_RX_BEG:US_RX_BEG:us)%', '3 5500', '3 -'],
    ['%COMMON_DURATION(US_RX_END:US_TX_BEG)% %COMMON_DURATION(A:B)%', '- -'],
    [
      '%UPSTREAM_HOST% %UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%',
      '10.0.0.1:80 10.0.0.1 80',
      '- - -',
    ],
    ['%UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS%', 'c 10.0.0.9:5000', '- -'],
    ['%UPSTREAM_TRANSPORT_FAILURE_REASON%', 'delayed_connect_error', '-'],
    ['%UPSTREAM_REQUEST_ATTEMPT_COUNT%', '1'],
    ['%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%', '203.0.113.5:0 203.0.113.5'],
    [
      '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_PORT%',
      '[2001:db8::1]:40000 2001:db8::1 40000',
    ],
    ['%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_PORT%', '192.0.2.1:10000 10000'],
    ['%REQUESTED_SERVER_NAME%', 'invalid:a_b.com', '-'],
    ['%ROUTE_NAME%', 'röute', '-'],
    ['%PATH% %PATH(NQ)% %PATH(WQ:PATH):5% %PATH(NQ:ORIG)%', '/old?x /old /new? /old'],
    ['%QUERY_PARAM(a)% %QUERY_PARAM(e)%. %QUERY_PARAM(z)%', 'b c . -'],
    ['%VIRTUAL_CLUSTER_NAME% %DOWNSTREAM_PEER_SUBJECT% %DYNAMIC_METADATA(a:b)%', '- - -'],
    ['%ENVIRONMENT(PONTOON_TEST_UNSET)%', '-'],
    ['%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%', '2016/04/15T20:17:00+0000 1460751420'],
    ['%START_TIME(%f %3f %1f %*f %E3S %E*S)%', '310000000 310 3 31 00.310 00.31'],
    [
      '%START_TIME(%a %A %b %e %I%p %j %y %F %T %Ez %E4Y %%)%',
      'Fri Friday Apr 15 08PM 106 16 2016-04-15 20:17:00 +00:00 2016 %',
    ],
    ['%EMIT_TIME%', '2016-04-15T20:17:00.315Z'],
    ['ünï %REQ(NONE)% 日本', 'ünï - 日本'],
  ];
  for (const [format, wanted, wantedUnset] of operators) {
    it(`prints ${format || 'nothing'}`, () => {
      expect(line(format)).to.equal(wanted);
      if (wantedUnset !== undefined) expect(line(format, unset)).to.equal(wantedUnset);
    });
  }

  it('prints this machine’s name, and ids', () => {
    expect(line('%HOSTNAME%')).to.match(/^\S+$/);
    expect(line('%UNIQUE_ID%')).to.match(/^[0-9a-f-]{36}$/);
  });

  it('header values are bytes, printed as they came', () => {
    const headers = new HeaderMap(['x', Buffer.from('日\xff', 'utf8').toString('latin1')]);
    expect(lineOf({ kind: 'text', text: 'ü%REQ(X)%' }, info, headers)).to.equal(bytesOf('ü') + bytesOf('日\xff'));
    expect(lineOf({ kind: 'text', text: '%REQ(X)%' }, info, new HeaderMap(['x', '\xff\t']))).to.equal('\xff\t');
  });

  it('no value can break a line', () => {
    const formats: AccessLogConfig['format'][] = [
      { kind: 'text', text: '%REQ(X)% %ROUTE_NAME% %RESP(X)%\n' },
      { kind: 'json', json: { a: '%REQ(X)%', b: 'x %ROUTE_NAME% "' } },
    ];
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'binary-ascii' }),
        fc.constantFrom(...formats),
        (a, b, format) => {
          const text = lineOf(format, { ...info, routeName: b }, new HeaderMap(['x', a]));
          const breaking = Array.from(text.slice(0, -1)).filter((c) => c < ' ' && c !== '\t');
          expect(breaking).to.deep.equal([]);
          expect(text.endsWith('\n')).to.equal(true);
          expect(text).to.match(/^[\0-\xff]*$/);
          if (format?.kind === 'json') expect(() => JSON.parse(Buffer.from(text, 'latin1').toString())).not.to.throw();
        },
      ),
    );
  });

  it('the injection that everybody tries is one line', () => {
    const headers = new HeaderMap(['user-agent', 'x"\r\n[2016] "GET /admin HTTP/1.1" 200']);
    expect(line('%REQ(USER-AGENT)%\n', info, headers)).to.equal('x"\\x0d\\x0a[2016] "GET /admin HTTP/1.1" 200\n');
  });
});

describe('access log format: JSON', () => {
  it('keeps types of single commands, sorts keys, nests, ends with a newline', () => {
    const node = {
      z: '%RESPONSE_CODE%',
      a: { text: 'code %RESPONSE_CODE%', list: ['%PROTOCOL%', 1.5, true, null, 'plain "ü"'] },
      missing: '%REQ(NONE)%',
      mixed: '%REQ(NONE)%/%BYTES_SENT%',
      percent: '100%%',
    };
    expect(json(node)).to.equal(
      '{"a":{"list":["HTTP/1.1",1.5,true,null,"plain \\"ü\\""],"text":"code 503"},"missing":null,"mixed":"-/22","percent":"100%","z":503}\n',
    );
  });

  it('escapes what is no UTF-8, byte by byte', () => {
    const headers = new HeaderMap(['x', 'a\xff"']);
    expect(lineOf({ kind: 'json', json: { x: '%REQ(X)%' } }, info, headers)).to.equal('{"x":"a\\u00ff\\u0022"}\n');
  });
});

describe('access log format: what is refused', () => {
  const cases: [string, RegExp][] = [
    ['%NO_SUCH_THING%', /%NO_SUCH_THING% is no command operator/],
    ['a %', /position 2/],
    ['%lower%', /position 0 .*%%/],
    ['%REQ%', /%REQ% needs parameters/],
    ['%REQ(a?b?c)%', /more than one alternative/],
    ['%REQ(a b)%', /invalid header name "a b"/],
    ['%PROTOCOL(x)%', /takes no parameters/],
    ['%PROTOCOL:3%', /takes no length/],
    ['%START_TIME:3%', /takes no length/],
    ['%START_TIME(%Y%n)%', /newline/],
    ['%PATH(XX)%', /WQ or NQ/],
    ['%COMMON_DURATION(DS_RX_BEG)%', /START:END/],
    ['%COMMON_DURATION(DS_RX_BEG:DS_TX_END:h)%', /ms, us or ns/],
  ];
  for (const [text, message] of cases) {
    it(text, () => {
      const [problem, ...more] = checkFormat({ kind: 'text', text });
      expect(more).to.deep.equal([]);
      expect(problem?.path).to.equal('text_format');
      expect(problem?.message).to.match(message);
    });
  }

  it('names every bad leaf of a JSON format', () => {
    const problems = checkFormat({ kind: 'json', json: { a: [{ b: '%X%' }], c: '%PROTOCOL%', d: '%Y%' } });
    expect(problems.map(({ path }) => path)).to.deep.equal(['json_format.a[0].b', 'json_format.d']);
    expect(checkFormat({ kind: 'json', json: ['%PROTOCOL%'] })).to.have.length(1);
    expect(checkFormat(undefined)).to.deep.equal([]);
  });

  it('never throws, whatever the text', () => {
    const piece = fc.constantFrom('%', '%%', 'REQ', '(', ')', ':', '3', 'START_TIME', '%REQ(A)%', 'x', '\n');
    fc.assert(
      fc.property(
        fc.array(piece).map((parts) => parts.join('')),
        (text) => void checkFormat({ kind: 'text', text }),
      ),
    );
  });
});
