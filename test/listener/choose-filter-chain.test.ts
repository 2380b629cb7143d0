import { expect } from 'chai';
import fc from 'fast-check';
import { type ConnectionFacts, compileFilterChains } from '../../src/listener/choose-filter-chain.js';
import { addressBits, type Cidr, cidrContains, cidrOf } from '../../src/model/cidr.js';
import { matchesAll as any, type FilterChainMatch, findOverlap } from '../../src/model/filter-chain-match.js';

const cidr = (text: string): Cidr => {
  const [address = '', length] = text.split('/');
  return cidrOf(address, Number(length)) as Cidr;
};
const facts = (more: Partial<ConnectionFacts> = {}): ConnectionFacts => ({
  localAddress: '10.0.0.1',
  localPort: 443,
  remoteAddress: '192.0.2.7',
  remotePort: 5000,
  transportProtocol: 'raw_buffer',
  serverName: '',
  applicationProtocols: [],
  ...more,
});

describe('address ranges', () => {
  const cases: readonly (readonly [range: string, address: string, inside: boolean])[] = [
    ['10.1.2.3/8', '10.255.0.1', true],
    ['10.1.2.3/8', '11.0.0.1', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['0.0.0.0/0', '::1', false],
    ['192.0.2.7/40', '192.0.2.7', true],
    ['192.0.2.7/40', '192.0.2.8', false],
    ['2001:db8::/32', '2001:0db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['::ffff:1.2.3.4/128', '::ffff:102:304', true],
    ['fe80::/10', 'fe80::1%eth0', true],
  ];
  for (const [range, address, inside] of cases)
    it(`${address} is ${inside ? '' : 'not '}in ${range}`, () => {
      const bits = addressBits(address);
      expect(bits && cidrContains(cidr(range), bits)).to.equal(inside);
    });
  it('are none where the address is none', () => {
    expect(cidrOf('a', 8)).to.equal(undefined);
    expect(addressBits('1.2.3')).to.equal(undefined);
  });
});

describe('the choice of a filter chain', () => {
  const choose = (matches: readonly Partial<FilterChainMatch>[], more: Partial<ConnectionFacts> = {}) =>
    compileFilterChains(matches.map((match) => ({ ...any, ...match })))(facts(more));

  // What needs a real peer of another machine, or another port; the rest is compared with Envoy in e2e/filter-chains.
  it('knows clients from elsewhere', () => {
    const kinds = [{ sourceType: 'SAME_IP_OR_LOOPBACK' }, { sourceType: 'EXTERNAL' }] as const;
    expect(choose(kinds)).to.equal(1);
    expect(choose(kinds, { remoteAddress: '10.0.0.1' })).to.equal(0);
    expect(choose(kinds, { remoteAddress: '::1' })).to.equal(0);
    expect(choose(kinds, { remoteAddress: '', localAddress: '' })).to.equal(0);
    expect(choose([kinds[0]])).to.equal(undefined);
    expect(choose([kinds[0], {}])).to.equal(1);
  });

  it('knows ports of clients', () => {
    expect(choose([{ sourcePorts: [1, 5000] }, {}])).to.equal(0);
    expect(choose([{ sourcePorts: [1] }, {}])).to.equal(1);
    expect(choose([{ sourcePorts: [1] }])).to.equal(undefined);
  });

  it('knows ranges of both families', () => {
    const ranges = [{ sourcePrefixRanges: [cidr('2001:db8::/32'), cidr('192.0.2.0/24')] }, {}];
    expect(choose(ranges)).to.equal(0);
    expect(choose(ranges, { remoteAddress: '2001:db8::5' })).to.equal(0);
    expect(choose(ranges, { remoteAddress: '2001:db9::5' })).to.equal(1);
  });

  it('takes a socket in the file system for an address that is in no network', () => {
    const pipe = { localAddress: '', remoteAddress: '', localPort: 0, remotePort: 0 };
    expect(choose([{ prefixRanges: [cidr('10.0.0.0/8')] }, {}], pipe)).to.equal(1);
    expect(choose([{ prefixRanges: [cidr('0.0.0.0/0')] }], pipe)).to.equal(0);
  });

  it('finds for what fits one chain alone that chain', () => {
    const name = fc.constantFrom('', 'a', 'b.a', 'c.b.a');
    const match = fc.record({
      serverNames: fc.subarray(['a', 'b.a', '*.a', '*.b.a']),
      transportProtocol: fc.constantFrom('', 'tls', 'raw_buffer'),
      applicationProtocols: fc.subarray(['x', 'y']),
      sourcePorts: fc.subarray([1, 2]),
    });
    const connection = fc.record({
      serverName: name,
      transportProtocol: fc.constantFrom('tls' as const, 'raw_buffer' as const),
      applicationProtocols: fc.subarray(['x', 'y', 'z']),
      remotePort: fc.constantFrom(1, 2, 3),
    });
    const fits = (one: Partial<FilterChainMatch>, { serverName, ...rest }: Partial<ConnectionFacts>): boolean => {
      const { serverNames = [], transportProtocol = '', applicationProtocols = [], sourcePorts = [] } = one;
      const names = (pattern: string) =>
        pattern.startsWith('*') ? serverName?.endsWith(pattern.slice(1)) : pattern === serverName;
      return (
        (serverNames.length === 0 || serverNames.some(names)) &&
        (transportProtocol === '' || transportProtocol === rest.transportProtocol) &&
        (applicationProtocols.length === 0 ||
          applicationProtocols.some((each) => rest.applicationProtocols?.includes(each))) &&
        (sourcePorts.length === 0 || sourcePorts.includes(rest.remotePort ?? 0))
      );
    };
    fc.assert(
      fc.property(fc.array(match, { maxLength: 5 }), connection, (matches, from) => {
        const found = choose(matches, from);
        // Whatever it is, it fits; and one chain alone is found by all that it fits.
        if (found !== undefined) expect(fits(matches[found] ?? {}, from)).to.equal(true);
        for (const one of matches) expect(choose([one], from)).to.equal(fits(one, from) ? 0 : undefined);
      }),
      { numRuns: 500 },
    );
  });
});

describe('filter chains for the same connections', () => {
  const overlap = (...matches: Partial<FilterChainMatch>[]) =>
    findOverlap(matches.map((match) => ({ ...any, ...match })));

  it('are found', () => {
    expect(overlap({}, {})).to.deep.equal([0, 1]);
    expect(overlap({ serverNames: ['a'] }, { serverNames: ['b', 'c'] }, { serverNames: ['d', 'b'] })).to.deep.equal([
      1, 2,
    ]);
    expect(overlap({ prefixRanges: [cidr('10.0.0.0/8')] }, { prefixRanges: [cidr('10.9.9.9/8')] })).to.deep.equal([
      0, 1,
    ]);
  });
  it('differ in one criterion at least', () => {
    expect(overlap({}, { transportProtocol: 'tls' }, { sourcePorts: [1] }, { sourceType: 'EXTERNAL' })).to.equal(
      undefined,
    );
    expect(overlap({ serverNames: ['*.a'] }, { serverNames: ['a'] })).to.equal(undefined);
    expect(overlap({ serverNames: ['a', 'b'], sourcePorts: [1] }, { serverNames: ['b'], sourcePorts: [2] })).to.equal(
      undefined,
    );
  });
  it('are not looked for for ever', () => {
    const many = Array.from({ length: 500 }, (_, index) => String(index));
    const ports = many.map(Number);
    const one = { serverNames: many, applicationProtocols: many };
    expect(() =>
      overlap({ ...one, sourcePorts: ports }, { ...one, sourcePorts: ports.map((port) => port + 1_000) }),
    ).to.throw('too many criteria in common');
  });
});
