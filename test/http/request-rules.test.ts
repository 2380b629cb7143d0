import { expect } from 'chai';
import { HeaderMap } from '../../src/bridge/header-map.js';
import { stripPort, stripTrailingHostDot } from '../../src/http/authority.js';
import { hasToken, removeNominatedHeaders, sanitizeTe } from '../../src/http/connection-header.js';
import { normalizePath } from '../../src/http/path-normalization.js';
import { lastForwardedAddress, localAddress, plainAddress } from '../../src/http/remote-address.js';
import { acceptHead } from '../../src/http/request-head.js';
import { mutateRequestHeaders, setRequestId } from '../../src/http/request-headers.js';
import { parseRequestTarget } from '../../src/http/request-target.js';
import type { HttpConnectionManager } from '../../src/model/listener.js';
import { hcm } from './harness.js';

const pairs = (headers: HeaderMap): string[] => {
  const list: string[] = [];
  headers.forEach((name, value) => {
    list.push(`${name}: ${value}`);
  });
  return list;
};

describe('paths', () => {
  const keep = { normalizePath: false, mergeSlashes: false, pathWithEscapedSlashes: 'KEEP_UNCHANGED' } as const;
  const all = { normalizePath: true, mergeSlashes: true, pathWithEscapedSlashes: 'UNESCAPE_AND_FORWARD' } as const;
  const cases: [string, Parameters<typeof normalizePath>[1], string, ReturnType<typeof normalizePath>][] = [
    ['are left alone by default', keep, '/a/../b//%2F?x=/../y', { kind: 'continue', path: '/a/../b//%2F?x=/../y' }],
    ['have no fragment', keep, '/a#b', { kind: 'reject' }],
    ['lose dot segments', all, '/a/./b/../c', { kind: 'continue', path: '/a/c' }],
    ['lose escaped dot segments', all, '/a/%2e/b/.%2E/c', { kind: 'continue', path: '/a/c' }],
    ['do not leave the root', all, '/../../a', { kind: 'continue', path: '/a' }],
    ['end in a slash after dots', all, '/a/b/..', { kind: 'continue', path: '/a/' }],
    ['keep the query as it is', all, '/a/..?b=/../c//%2f', { kind: 'continue', path: '/?b=/../c//%2f' }],
    ['have no NUL', all, '/a%00', { kind: 'reject' }],
    ['escape what must be', all, '/"<>`{}|^', { kind: 'continue', path: '/%22%3C%3E%60%7B%7D%7C%5E' }],
    ['unescape what need not be', all, '/%41%2d%7e%20', { kind: 'continue', path: '/A-~%20' }],
    ['merge slashes', { ...keep, mergeSlashes: true }, '//a///b//?c=//d', { kind: 'continue', path: '/a/b/?c=//d' }],
    ['reject escaped slashes', { ...keep, pathWithEscapedSlashes: 'REJECT_REQUEST' }, '/a%2fb', { kind: 'reject' }],
    [
      'redirect escaped slashes',
      { ...keep, pathWithEscapedSlashes: 'UNESCAPE_AND_REDIRECT' },
      '/a%2fb%5Cc?d=%2f',
      { kind: 'redirect', path: '/a/b\\c?d=%2f' },
    ],
    [
      'redirect nothing else',
      { ...keep, pathWithEscapedSlashes: 'UNESCAPE_AND_REDIRECT' },
      '/a?b=%2f',
      { kind: 'continue', path: '/a?b=%2f' },
    ],
  ];
  for (const [name, settings, path, expected] of cases) {
    it(name, () => expect(normalizePath(path, settings)).to.deep.equal(expected));
  }
});

describe('hosts', () => {
  for (const [host, port, expected] of [
    ['a:80', undefined, 'a'],
    ['a:80', 80, 'a'],
    ['a:80', 81, 'a:80'],
    ['a', undefined, 'a'],
    ['a:b', undefined, 'a:b'],
    ['a:', undefined, 'a:'],
    ['[::1]:80', undefined, '[::1]'],
    ['[::1]', undefined, '[::1]'],
  ] as const) {
    it(`${host} without port ${port ?? 'whatever'} is ${expected}`, () =>
      expect(stripPort(host, port)).to.equal(expected));
  }
  for (const [host, expected] of [
    ['a.b.', 'a.b'],
    ['a.b.:80', 'a.b:80'],
    ['a.b', 'a.b'],
    ['a.b:80', 'a.b:80'],
    ['a', 'a'],
  ]) {
    it(`${host} without a dot at the end is ${expected}`, () =>
      expect(stripTrailingHostDot(host as string)).to.equal(expected));
  }
});

describe('request targets', () => {
  const cases: [string, string, boolean, ReturnType<typeof parseRequestTarget>][] = [
    ['GET', '/a?b', true, { path: '/a?b', authority: undefined, scheme: undefined }],
    ['GET', 'http://a:80/b?c', true, { path: '/b?c', authority: 'a:80', scheme: 'http' }],
    ['GET', 'HTTPS://a', true, { path: '/', authority: 'a', scheme: 'https' }],
    ['GET', 'http://a/b', false, { path: 'http://a/b', authority: undefined, scheme: undefined }],
    ['GET', 'http://a:65536/', true, 'http1.invalid_url'],
    ['GET', 'http://[::g]/', true, 'http1.invalid_url'],
    ['GET', 'ftp://a/', true, 'http1.invalid_scheme'],
    ['GET', '*', true, 'http1.invalid_url'],
    ['OPTIONS', '*', true, { path: '*', authority: undefined, scheme: undefined }],
    ['CONNECT', 'a:443', true, { path: undefined, authority: 'a:443', scheme: undefined }],
    ['CONNECT', '[::1]:443', true, { path: undefined, authority: '[::1]:443', scheme: undefined }],
    ['CONNECT', 'a', true, 'http1.invalid_url'],
    ['CONNECT', 'u@a:443', true, 'http1.invalid_url'],
  ];
  for (const [method, target, allowed, expected] of cases) {
    it(`${method} ${target}${allowed ? '' : ', absolute-form not allowed'}`, () =>
      expect(parseRequestTarget(method, target, allowed)).to.deep.equal(expected));
  }
});

describe('the Connection header', () => {
  it('is a list of tokens in any case', () => {
    expect(hasToken('a, Close ,b', 'close')).to.equal(true);
    expect(hasToken('closed', 'close')).to.equal(false);
    expect(hasToken(undefined, 'close')).to.equal(false);
  });

  for (const [connection, kept] of [
    ['x-a', ['connection: x-a', 'x-b: 2', 'te: gzip']],
    ['X-A , x-b,close', ['connection: X-A , x-b,close', 'te: gzip']],
    ['x-forwarded-for', undefined],
    ['X-Forwarded-Proto', undefined],
    [':path', undefined],
    ['connection', ['connection: connection', 'x-a: 1', 'x-b: 2', 'te: gzip']],
    ['a,b,c,d,e,f,g,h,i', ['connection: a,b,c,d,e,f,g,h,i', 'x-a: 1', 'x-b: 2', 'te: gzip']],
    ['a,b,c,d,e,f,g,h,i,j', undefined],
  ] as const) {
    it(`"${connection}" takes what it names, or is refused`, () => {
      const headers = new HeaderMap(['connection', connection, 'x-a', '1', 'x-b', '2', 'te', 'gzip']);
      expect(removeNominatedHeaders(headers) ? pairs(headers) : undefined).to.deep.equal(kept);
    });
  }

  for (const [te, expected] of [
    ['trailers', 'trailers'],
    ['gzip, trailers;q=1', undefined],
    ['gzip, trailers', 'trailers'],
    ['gzip', undefined],
  ]) {
    it(`TE: ${te} becomes ${expected ?? 'nothing'}`, () => {
      const headers = new HeaderMap(['te', te as string]);
      sanitizeTe(headers);
      expect(headers.get('te')).to.equal(expected);
    });
  }
});

describe('addresses', () => {
  for (const [list, skip, expected] of [
    ['1.2.3.4', 0, '1.2.3.4'],
    ['1.2.3.4, 5.6.7.8', 0, '5.6.7.8'],
    ['1.2.3.4, 5.6.7.8', 1, '1.2.3.4'],
    ['1.2.3.4', 1, undefined],
    ['::1', 0, '::1'],
    ['1.2.3.4, unknown', 0, undefined],
    ['1.2.3.4:80', 0, undefined],
    ['', 0, undefined],
    [undefined, 0, undefined],
  ] as const) {
    it(`the last of "${list}" after ${skip} is ${expected}`, () =>
      expect(lastForwardedAddress(list, skip)).to.equal(expected));
  }
  it('of IPv4 are IPv4 on an IPv6 socket, too', () => {
    expect(plainAddress('::ffff:1.2.3.4')).to.equal('1.2.3.4');
    expect(plainAddress('::ffff:1')).to.equal('::ffff:1');
  });
  it('of this machine exist', () => expect(localAddress()).to.match(/^[0-9.]+$/));
});

describe('request headers', () => {
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  const mutate = (
    config: Partial<HttpConnectionManager>,
    given: Record<string, string>,
    remoteAddress = '203.0.113.9',
  ): { headers: HeaderMap; client: string | undefined } => {
    const headers = new HeaderMap(Object.entries(given).flat());
    const client = mutateRequestHeaders(headers, hcm(config), { remoteAddress, localAddress: '192.0.2.2' });
    setRequestId(headers, hcm(config));
    return { headers, client };
  };
  const edge = { useRemoteAddress: true };
  type Case = {
    name: string;
    config: Partial<HttpConnectionManager>;
    given: Record<string, string>;
    remote?: string;
    expected: Record<string, string | undefined | RegExp>;
    client?: string;
  };
  const cases: Case[] = [
    {
      name: 'inside: x-forwarded-for is believed, not touched',
      config: {},
      given: { 'x-forwarded-for': '1.2.3.4, 5.6.7.8' },
      expected: { 'x-forwarded-for': '1.2.3.4, 5.6.7.8', 'x-envoy-external-address': undefined },
      client: '5.6.7.8',
    },
    {
      name: 'inside, with one trusted hop',
      config: { xffNumTrustedHops: 1 },
      given: { 'x-forwarded-for': '1.2.3.4, 5.6.7.8' },
      expected: {},
      client: '1.2.3.4',
    },
    {
      name: 'at the edge: the client is added to x-forwarded-for, and named',
      config: edge,
      given: { 'x-forwarded-for': '1.2.3.4' },
      expected: { 'x-forwarded-for': '1.2.3.4,203.0.113.9', 'x-envoy-external-address': '203.0.113.9' },
    },
    {
      name: 'at the edge: a loopback client stands as this machine',
      config: edge,
      given: {},
      remote: '127.0.0.1',
      expected: { 'x-forwarded-for': '192.0.2.2', 'x-envoy-external-address': '127.0.0.1' },
    },
    {
      name: 'at the edge with a trusted hop: its word counts',
      config: { ...edge, xffNumTrustedHops: 1 },
      given: { 'x-forwarded-for': '1.2.3.4', 'x-forwarded-proto': 'https' },
      expected: {
        'x-forwarded-for': '1.2.3.4,203.0.113.9',
        'x-forwarded-proto': 'https',
        'x-envoy-external-address': '1.2.3.4',
        ':scheme': 'https',
      },
      client: '1.2.3.4',
    },
    {
      name: 'skip_xff_append',
      config: { ...edge, skipXffAppend: true },
      given: {},
      expected: { 'x-forwarded-for': undefined },
    },
    {
      name: 'a Unix domain socket has no address',
      config: edge,
      given: {},
      remote: '',
      expected: { 'x-forwarded-for': undefined, 'x-envoy-external-address': undefined },
    },
    {
      name: 'x-forwarded-proto is believed inside',
      config: {},
      given: { 'x-forwarded-proto': 'https' },
      expected: { 'x-forwarded-proto': 'https', ':scheme': 'https' },
    },
    {
      name: 'x-forwarded-proto is not believed at the edge',
      config: edge,
      given: { 'x-forwarded-proto': 'https' },
      expected: { 'x-forwarded-proto': 'http', ':scheme': 'http' },
    },
    {
      name: 'x-forwarded-proto of nonsense makes no scheme',
      config: {},
      given: { 'x-forwarded-proto': 'gopher' },
      expected: { 'x-forwarded-proto': 'gopher', ':scheme': 'http' },
    },
    {
      name: 'x-envoy headers inside',
      config: {},
      given: { 'x-envoy-internal': 'true', 'x-envoy-retry-on': '5xx', 'x-envoy-original-path': '/x' },
      expected: { 'x-envoy-internal': undefined, 'x-envoy-retry-on': undefined, 'x-envoy-original-path': '/x' },
    },
    {
      name: 'x-envoy headers at the edge',
      config: edge,
      given: { 'x-envoy-original-path': '/x', 'x-envoy-decorator-operation': 'x' },
      expected: { 'x-envoy-original-path': undefined, 'x-envoy-decorator-operation': undefined },
    },
    { name: 'a request id is made', config: {}, given: {}, expected: { 'x-request-id': uuid } },
    {
      name: 'no request id is made',
      config: { generateRequestId: false },
      given: {},
      expected: { 'x-request-id': undefined },
    },
    {
      name: 'a request id stays inside',
      config: {},
      given: { 'x-request-id': 'abc' },
      expected: { 'x-request-id': 'abc' },
    },
    {
      name: 'a request id is replaced at the edge',
      config: edge,
      given: { 'x-request-id': 'abc' },
      expected: { 'x-request-id': uuid },
    },
    {
      name: 'preserve_external_request_id, without its tracing decision',
      config: { ...edge, preserveExternalRequestId: true },
      given: { 'x-request-id': '6f1c3f60-5f0e-9d0c-8b4e-1a2b3c4d5e6f' },
      expected: { 'x-request-id': '6f1c3f60-5f0e-4d0c-8b4e-1a2b3c4d5e6f' },
    },
    { name: 'via is added', config: { via: 'b' }, given: { via: 'a' }, expected: { via: 'a, b' } },
    {
      name: 'client certificates are nobody’s to claim',
      config: {},
      given: { 'x-forwarded-client-cert': 'x' },
      expected: { 'x-forwarded-client-cert': undefined },
    },
    { name: 'a good referer', config: {}, given: { referer: 'http://a/b?c' }, expected: { referer: 'http://a/b?c' } },
    { name: 'a relative referer', config: {}, given: { referer: '/b:c' }, expected: { referer: '/b:c' } },
    {
      name: 'a referer with userinfo',
      config: {},
      given: { referer: 'http://u@a/b' },
      expected: { referer: undefined },
    },
    { name: 'a referer with a fragment', config: {}, given: { referer: '/b#c' }, expected: { referer: undefined } },
    {
      name: 'a referer without a host',
      config: {},
      given: { referer: 'about:blank' },
      expected: { referer: undefined },
    },
  ];
  for (const { name, config, given, remote, expected, client } of cases) {
    it(name, () => {
      const result = mutate(config, given, remote);
      for (const [header, value] of Object.entries(expected)) {
        if (value instanceof RegExp) expect(result.headers.get(header), header).to.match(value);
        else expect(result.headers.get(header), header).to.equal(value);
      }
      expect(result.client).to.equal(client);
    });
  }
});

describe('heads that Envoy’s codec refuses', () => {
  const head = { method: 'GET', target: '/', protocol: 'HTTP/1.1' as const, headers: ['host', 'a'], size: 100 };
  // What Node's parser would have refused already must not get past this either: another parser may stand there one day.
  const cases: [string, Partial<typeof head>, Partial<HttpConnectionManager>, number][] = [
    ['an unknown method', { method: 'BREW' }, {}, 400],
    ['two content-lengths', { headers: ['host', 'a', 'content-length', '1', 'content-length', '1'] }, {}, 400],
    ['a content-length that is none', { headers: ['host', 'a', 'content-length', '+1'] }, {}, 400],
    ['content-length and chunked', { headers: ['content-length', '1', 'transfer-encoding', 'chunked'] }, {}, 400],
    ['chunked twice', { headers: ['transfer-encoding', 'chunked', 'transfer-encoding', 'chunked'] }, {}, 501],
    ['a head that is too large', { size: 101 }, { maxRequestHeadersBytes: 100 }, 431],
    ['too many headers', { headers: ['host', 'a', 'b', 'c'] }, { maxHeadersCount: 1 }, 431],
    ['an underscore', { headers: ['host', 'a', 'b_c', 'd'] }, { headersWithUnderscores: 'REJECT_REQUEST' }, 400],
  ];
  for (const [name, changes, config, status] of cases) {
    it(name, () => expect(acceptHead({ ...head, ...changes }, hcm(config))).to.include({ status }));
  }

  it('drops headers with underscores where it is told to', () => {
    const accepted = acceptHead(
      { ...head, headers: ['host', 'a', 'b_c', 'd', 'e', 'f'] },
      hcm({ headersWithUnderscores: 'DROP_HEADER' }),
    );
    if ('status' in accepted) throw new Error('refused');
    expect(pairs(accepted.headers)).to.deep.equal([':method: GET', ':path: /', ':authority: a', 'e: f']);
  });
});
