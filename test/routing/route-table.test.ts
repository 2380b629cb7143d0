import { expect } from 'chai';
import fc from 'fast-check';
import { HeaderMap } from '../../src/bridge/header-map.js';
import type { HeaderMatch, PathMatch, QueryParameterMatch, RouteMatch } from '../../src/model/route.js';
import { compileRouteTable } from '../../src/routing/route-table.js';
import { requestHeaders, route, routeConfig, routeMatch, routes, virtualHost } from './support.js';

const never = (): number => {
  throw new Error('no route has a fraction');
};

function hostOf(domains: readonly (readonly string[])[], authority: string, ignorePortInHostMatching = false) {
  const virtualHosts = domains.map((list, index) => virtualHost({ name: `v${index}`, domains: list }));
  const match = compileRouteTable(routeConfig({ virtualHosts, ignorePortInHostMatching })).match(
    requestHeaders({ ':authority': authority }),
    never,
  );
  return match?.kind === 'route' ? match.route.virtualHost.name : undefined;
}

function matches(match: RouteMatch, headers: Record<string, string>): boolean {
  return compileRouteTable(routes(route({ match }))).match(requestHeaders(headers), never) !== undefined;
}

describe('route table: virtual hosts', () => {
  const domains = [['*'], ['a.com', 'a.com:81'], ['*.a.com'], ['*.b.a.com'], ['pre.*'], ['pre.fix.*'], ['*-x.a.com']];
  const cases: [string, string][] = [
    ['a.com', 'v1'],
    ['A.Com', 'v1'],
    ['a.com:81', 'v1'],
    ['a.com:82', 'v0'],
    ['www.a.com', 'v2'],
    ['.a.com', 'v0'],
    ['www.b.a.com', 'v3'],
    ['q-x.a.com', 'v6'],
    ['pre.a.com', 'v2'],
    ['pre.com', 'v4'],
    ['pre.', 'v0'],
    ['pre.fix.com', 'v5'],
    ['other', 'v0'],
  ];
  for (const [authority, wanted] of cases) {
    it(`${authority} is ${wanted}`, () => expect(hostOf(domains, authority)).to.equal(wanted));
  }

  it('has none where no domain fits', () => expect(hostOf([['a.com']], 'b.com')).to.equal(undefined));

  it('leaves out the port when told so, also behind an IPv6 address', () => {
    expect(hostOf([['a.com']], 'a.com:8080')).to.equal(undefined);
    expect(hostOf([['a.com']], 'a.com:8080', true)).to.equal('v0');
    expect(hostOf([['[::1]']], '[::1]:80', true)).to.equal('v0');
    expect(hostOf([['[::1]']], '[::1]', true)).to.equal('v0');
  });

  it('refuses a domain twice, whatever its case', () => {
    for (const twice of ['*', 'a.com', '*.a.com', 'a.*']) {
      const virtualHosts = [
        virtualHost({ domains: [twice] }),
        virtualHost({ name: 'second', domains: [twice.toUpperCase()] }),
      ];
      expect(() => compileRouteTable(routeConfig({ virtualHosts }))).to.throw(/second.*twice/);
    }
  });

  it('finds one of 20,000 exact hosts without looking at the others', () => {
    const virtualHosts = Array.from({ length: 20_000 }, (_, i) =>
      virtualHost({ name: `v${i}`, domains: [`h${i}.com`] }),
    );
    const table = compileRouteTable(routeConfig({ virtualHosts }));
    const headers = requestHeaders({ ':authority': 'h19999.com' });
    const start = process.cpuUsage().user;
    for (let i = 0; i < 1000; i++) table.match(headers, never);
    expect((process.cpuUsage().user - start) / 1_000, 'milliseconds').to.be.below(500);
  });
});

describe('route table: paths', () => {
  const path = (kind: 'prefix' | 'path' | 'path_separated_prefix', value: string, caseSensitive = true): PathMatch => ({
    kind,
    value,
    caseSensitive,
  });
  const regex = (pattern: string): PathMatch => ({ kind: 'safe_regex', pattern });
  const cases: [PathMatch, string, boolean][] = [
    [path('prefix', '/a'), '/abc', true],
    [path('prefix', '/a'), '/A', false],
    [path('prefix', '/a', false), '/ABC', true],
    [path('prefix', '/a?x'), '/a?x', false],
    [path('path', '/a'), '/a', true],
    [path('path', '/a'), '/a?x=1', true],
    [path('path', '/a'), '/a#f', true],
    [path('path', '/a'), '/a/', false],
    [path('path', '/a', false), '/A?q', true],
    [path('path_separated_prefix', '/a'), '/a', true],
    [path('path_separated_prefix', '/a'), '/a/b', true],
    [path('path_separated_prefix', '/a'), '/a?b', true],
    [path('path_separated_prefix', '/a'), '/ab', false],
    [path('path_separated_prefix', '/a', false), '/A/b', true],
    [regex('/a+'), '/aaa?x', true],
    [regex('/a+'), '/aaab', false],
    [regex('/a|/b'), '/b', true],
    [regex('a'), '/a', false],
  ];
  for (const [match, target, wanted] of cases) {
    it(`${match.kind} ${'value' in match ? match.value : 'pattern' in match ? match.pattern : ''} and ${target}: ${wanted}`, () =>
      expect(matches(routeMatch({ path: match }), { ':path': target })).to.equal(wanted));
  }

  it('CONNECT is matched by connect_matcher only, when it has no path', () => {
    const headers = new HeaderMap([':method', 'CONNECT', ':authority', 'a:1']);
    const table = (match: PathMatch) => compileRouteTable(routes(route({ match: routeMatch({ path: match }) })));
    expect(table({ kind: 'connect' }).match(headers, never)).not.to.equal(undefined);
    expect(table(path('prefix', '/')).match(headers, never)).to.equal(undefined);
    expect(table({ kind: 'connect' }).match(requestHeaders({}), never)).to.equal(undefined);
  });

  it('names the route whose regular expression is bad', () => {
    const bad = routes(route(), route({ match: routeMatch({ path: regex('(') }) }));
    expect(() => compileRouteTable(bad)).to.throw(/^virtual_hosts\[0\]\.routes\[1\]: /);
  });

  it('a pattern that would take for ever elsewhere takes no time', () => {
    const match = routeMatch({ path: regex('/(a+)+') });
    const start = process.cpuUsage().user;
    expect(matches(match, { ':path': `/${'a'.repeat(4000)}!` })).to.equal(false);
    expect((process.cpuUsage().user - start) / 1_000, 'milliseconds').to.be.below(2_000);
  });
});

describe('route table: headers', () => {
  const header = (test: HeaderMatch['test'], fields: Partial<HeaderMatch> = {}): HeaderMatch => ({
    name: 'X-H',
    test,
    invert: false,
    treatMissingAsEmpty: false,
    ...fields,
  });
  const text = (
    kind: 'exact' | 'prefix' | 'suffix' | 'contains',
    value: string,
    ignoreCase = false,
  ): HeaderMatch['test'] => ({
    kind: 'string',
    match: { kind, value, ignoreCase },
  });
  const range: HeaderMatch['test'] = { kind: 'range', start: -3n, end: 5n };
  const present = (wanted: boolean): HeaderMatch['test'] => ({ kind: 'present', present: wanted });
  const invert = { invert: true };
  const asEmpty = { treatMissingAsEmpty: true };
  // The header's value, undefined: missing; then whether the route matches.
  const cases: [string, HeaderMatch, string | undefined, boolean][] = [
    ['exact', header(text('exact', 'a')), 'a', true],
    ['exact', header(text('exact', 'a')), 'A', false],
    ['exact ignoring case', header(text('exact', 'a', true)), 'A', true],
    ['prefix', header(text('prefix', 'a')), 'ab', true],
    ['suffix', header(text('suffix', 'b')), 'ab', true],
    ['contains', header(text('contains', 'b')), 'abc', true],
    ['regex', header({ kind: 'string', match: { kind: 'safe_regex', pattern: 'a.c' } }), 'abc', true],
    ['regex, whole value', header({ kind: 'string', match: { kind: 'safe_regex', pattern: 'a.c' } }), 'abcd', false],
    ['inverted', header(text('exact', 'a'), invert), 'b', true],
    ['inverted and missing', header(text('exact', 'a'), invert), undefined, false],
    ['inverted, missing as empty', header(text('exact', 'a'), { ...invert, ...asEmpty }), undefined, true],
    ['missing as empty', header(text('exact', ''), asEmpty), undefined, true],
    ['range start', header(range), '-3', true],
    ['range end', header(range), '5', false],
    ['range, no number', header(range), '1x', false],
    ['range, spaces and sign', header(range), ' +4 ', true],
    ['range, beyond 64 bits', header(range), '99999999999999999999', false],
    ['range missing', header(range), undefined, false],
    ['present', header(present(true)), '', true],
    ['present missing', header(present(true)), undefined, false],
    ['not present', header(present(false)), undefined, true],
    ['not present, but is', header(present(false)), 'x', false],
    ['present inverted', header(present(true), invert), undefined, true],
    ['present, missing as empty', header(present(true), asEmpty), undefined, true],
  ];
  for (const [name, match, value, wanted] of cases) {
    it(`${name}: ${value ?? 'missing'} → ${wanted}`, () =>
      expect(matches(routeMatch({ headers: [match] }), value === undefined ? {} : { 'x-h': value })).to.equal(wanted));
  }

  it('joins several values with a comma', () => {
    const headers = requestHeaders();
    headers.add('x-h', 'a');
    headers.add('x-h', 'b');
    const table = compileRouteTable(routes(route({ match: routeMatch({ headers: [header(text('exact', 'a,b'))] }) })));
    expect(table.match(headers, never)).not.to.equal(undefined);
  });

  it('host is :authority', () => {
    const match = header(text('exact', 'example.com'), { name: 'Host' });
    expect(matches(routeMatch({ headers: [match] }), {})).to.equal(true);
  });
});

describe('route table: query parameters and fractions', () => {
  const query = (test: QueryParameterMatch['test']): RouteMatch =>
    routeMatch({ queryParameters: [{ name: 'q', test }] });
  const exact = (value: string): QueryParameterMatch['test'] => ({
    kind: 'string',
    match: { kind: 'exact', value, ignoreCase: false },
  });
  const cases: [string, RouteMatch, string, boolean][] = [
    ['present', query({ kind: 'present', present: true }), '/?q', true],
    ['present', query({ kind: 'present', present: true }), '/?p=q', false],
    ['absent', query({ kind: 'present', present: false }), '/?p', true],
    ['exact', query(exact('1')), '/?a=b&q=1', true],
    ['the first of a name', query(exact('2')), '/?q=1&q=2', false],
    ['not decoded', query(exact('a b')), '/?q=a%20b', false],
    ['a value with =', query(exact('a=b')), '/?q=a=b', true],
    ['empty', query(exact('')), '/?q=', true],
    ['no query', query(exact('')), '/', false],
  ];
  for (const [name, match, target, wanted] of cases) {
    it(`${name}: ${target} → ${wanted}`, () => expect(matches(match, { ':path': target })).to.equal(wanted));
  }

  it('one draw decides over all fractions', () => {
    const part = (name: string, numerator: number) =>
      route({ name, match: routeMatch({ fraction: { numerator, denominator: 100 } }) });
    const table = compileRouteTable(routes(part('first', 30), part('second', 60), route({ name: 'rest' })));
    const chosen = (random: number): string | undefined => {
      let draws = 0;
      const match = table.match(requestHeaders(), () => {
        draws++;
        return random;
      });
      expect(draws).to.equal(1);
      return match?.kind === 'route' ? match.route.route.name : undefined;
    };
    expect([0, 0.299, 0.3, 0.599, 0.6, 0.999].map(chosen)).to.deep.equal([
      'first',
      'first',
      'second',
      'second',
      'rest',
      'rest',
    ]);
  });
});

describe('route table: require_tls', () => {
  const kindOf = (requireTls: 'ALL' | 'EXTERNAL_ONLY', headers: Record<string, string>): string | undefined =>
    compileRouteTable(routeConfig({ virtualHosts: [virtualHost({ requireTls })] })).match(
      requestHeaders(headers),
      never,
    )?.kind;

  it('asks for TLS from all, or from outside only', () => {
    expect(kindOf('ALL', {})).to.equal('require_tls');
    expect(kindOf('ALL', { 'x-forwarded-proto': 'https' })).to.equal('route');
    expect(kindOf('ALL', { 'x-envoy-internal': 'true' })).to.equal('require_tls');
    expect(kindOf('EXTERNAL_ONLY', {})).to.equal('require_tls');
    expect(kindOf('EXTERNAL_ONLY', { 'x-envoy-internal': 'true' })).to.equal('route');
  });
});

describe('route table: order', () => {
  const segment = fc.constantFrom('/a', '/b', '/ab', '/a/b', '/');
  const pathMatch: fc.Arbitrary<PathMatch> = fc.record({
    kind: fc.constantFrom('prefix' as const, 'path' as const, 'path_separated_prefix' as const),
    value: segment,
    caseSensitive: fc.boolean(),
  });
  const headerMatch: fc.Arbitrary<HeaderMatch> = fc.record({
    name: fc.constantFrom('x-a', 'x-b'),
    test: fc.constantFrom(
      { kind: 'present' as const, present: true },
      { kind: 'string' as const, match: { kind: 'exact' as const, value: '1', ignoreCase: false } },
    ),
    invert: fc.boolean(),
    treatMissingAsEmpty: fc.boolean(),
  });
  const anyMatch = fc.record({ path: pathMatch, headers: fc.array(headerMatch, { maxLength: 2 }) });
  const anyHeaders = fc.dictionary(fc.constantFrom('x-a', 'x-b'), fc.constantFrom('1', '2'));
  const anyPath = fc.tuple(segment, fc.constantFrom('', '/b', 'b', '?x'), fc.boolean()).map(([head, tail, upper]) => {
    const path = head + tail;
    return upper ? path.toUpperCase() : path;
  });

  /** The rules once more, as plain as they can be said. */
  function naive(
    { path, headers }: { path: PathMatch; headers: HeaderMatch[] },
    target: string,
    given: Record<string, string>,
  ): boolean {
    if (!('value' in path)) return false;
    const bare = target.split('?')[0] as string;
    const [value, actual] = path.caseSensitive ? [path.value, bare] : [path.value.toLowerCase(), bare.toLowerCase()];
    const rest = actual.slice(value.length);
    const pathFits =
      actual.startsWith(value) &&
      { prefix: true, path: rest === '', path_separated_prefix: rest === '' || rest[0] === '/' }[path.kind];
    return (
      pathFits &&
      headers.every(({ name, test, invert, treatMissingAsEmpty }) => {
        const header = given[name] ?? (treatMissingAsEmpty ? '' : undefined);
        if (test.kind === 'present') return (header !== undefined) !== invert;
        return header !== undefined && (header === '1') !== invert;
      })
    );
  }

  it('the first route that matches wins, and matches as the plain rules say', () => {
    fc.assert(
      fc.property(fc.array(anyMatch, { maxLength: 6 }), anyPath, anyHeaders, (list, target, given) => {
        const table = compileRouteTable(
          routes(...list.map((m, i) => route({ name: String(i), match: routeMatch(m) }))),
        );
        const match = table.match(requestHeaders({ ...given, ':path': target }), never);
        const wanted = list.findIndex((m) => naive(m, target, given));
        expect(match?.kind === 'route' ? Number(match.route.route.name) : -1).to.equal(wanted);
      }),
      { numRuns: 500 },
    );
  });
});
