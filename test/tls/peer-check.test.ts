import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import type { SanMatch } from '../../src/model/tls.js';
import type { ValidationMaterial } from '../../src/tls/material.js';
import { compilePeerCheck } from '../../src/tls/peer-check.js';
import { compileSanMatch, parseSans } from '../../src/tls/subject-alt-names.js';
import { createAuthority } from '../support/certificates.js';

const nothing: ValidationMaterial = {
  ca: undefined,
  crl: undefined,
  path: undefined,
  sanMatches: [],
  certificateHashes: [],
  publicKeyHashes: [],
  acceptUntrusted: false,
};

describe('subject alternative names', () => {
  const parsed: [text: string, expected: string[]][] = [
    ['', []],
    ['DNS:a.test, URI:spiffe://mesh/a', ['DNS a.test', 'URI spiffe://mesh/a']],
    ['IP Address:127.0.0.1, email:a@b.test', ['IP_ADDRESS 127.0.0.1', 'EMAIL a@b.test']],
    ['IP Address:2001:DB8:0:0:0:0:0:1', ['IP_ADDRESS 2001:db8::1']],
    // One name that holds what separates names: https://www.cve.org/CVERecord?id=CVE-2021-44532
    ['URI:"http://a/, DNS:b.test", DNS:c.test', ['URI http://a/, DNS:b.test', 'DNS c.test']],
    ['DNS:"a\\"b", othername:<unsupported>', ['DNS a"b']],
  ];
  for (const [text, expected] of parsed)
    it(`are read from ${JSON.stringify(text)}`, () =>
      expect(parseSans(text).map(({ type, value }) => `${type} ${value}`)).to.deep.equal(expected));

  const match = (
    type: SanMatch['type'],
    kind: 'exact' | 'prefix' | 'suffix' | 'contains',
    value: string,
  ): SanMatch => ({
    type,
    matcher: { kind, value, ignoreCase: false },
  });
  const matches: [matcher: SanMatch, text: string, fits: boolean][] = [
    [match('DNS', 'exact', 'a.test'), 'DNS:a.test', true],
    [match('DNS', 'exact', 'A.test'), 'DNS:a.TEST', true],
    [match('DNS', 'exact', 'a.test'), 'URI:a.test', false],
    [match('any', 'exact', 'a.test'), 'URI:a.test', true],
    [match('DNS', 'exact', 'x.a.test'), 'DNS:*.a.test', true],
    [match('DNS', 'exact', 'y.x.a.test'), 'DNS:*.a.test', false],
    [match('DNS', 'exact', 'a.test'), 'DNS:*.a.test', false],
    [match('DNS', 'exact', 'xa.test'), 'DNS:x*.test', false],
    [match('URI', 'exact', 'spiffe://a/x'), 'URI:spiffe://a/*', false],
    [match('DNS', 'prefix', 'a.'), 'DNS:a.test', true],
    [match('DNS', 'suffix', '.test'), 'DNS:a.test', true],
    [match('URI', 'prefix', 'spiffe://mesh/'), 'URI:spiffe://mesh.evil/', false],
    [match('URI', 'contains', '/ns/'), 'URI:spiffe://m/ns/a', true],
    [match('IP_ADDRESS', 'exact', '2001:db8::1'), 'IP Address:2001:DB8:0:0:0:0:0:1', true],
    [match('EMAIL', 'exact', 'a@b.test'), 'email:a@b.test', true],
    [{ type: 'URI', matcher: { kind: 'safe_regex', pattern: 'spiffe://[a-z]+/x' } }, 'URI:spiffe://mesh/x', true],
    [{ type: 'URI', matcher: { kind: 'safe_regex', pattern: 'spiffe://[a-z]+/x' } }, 'URI:spiffe://mesh/xy', false],
  ];
  for (const [matcher, text, fits] of matches)
    it(`${JSON.stringify(matcher)} ${fits ? 'fits' : 'does not fit'} ${text}`, () =>
      expect(parseSans(text).some(compileSanMatch(matcher))).to.equal(fits));
});

describe("the check of a peer's certificate", () => {
  const authority = createAuthority();
  const certificate = new X509Certificate(authority.issue(['a.test']).cert);
  const untrusted = 'UNABLE_TO_VERIFY_LEAF_SIGNATURE';
  const ca = { ...nothing, ca: authority.cert };
  const named = (value: string) => ({
    ...ca,
    sanMatches: [{ type: 'DNS', matcher: { kind: 'exact', value, ignoreCase: false } } as const],
  });
  const cases: [title: string, validation: ValidationMaterial | undefined, chain: string | undefined, stat: unknown][] =
    [
      ['nothing configured', undefined, untrusted, undefined],
      ['no authority', nothing, untrusted, undefined],
      ['a good chain', ca, undefined, undefined],
      ['a bad chain', ca, untrusted, 'failVerifyError'],
      ['a bad chain that is accepted', { ...ca, acceptUntrusted: true }, untrusted, undefined],
      ['a good name', named('a.test'), undefined, undefined],
      ['a bad name', named('b.test'), undefined, 'failVerifySan'],
      ['a good name in a bad chain', named('a.test'), untrusted, 'failVerifyError'],
      ['a bad hash', { ...ca, certificateHashes: ['00'.repeat(32)] }, undefined, 'failVerifyCertHash'],
      [
        'a good hash without an authority',
        { ...nothing, certificateHashes: [certificate.fingerprint256.replaceAll(':', '').toLowerCase()] },
        untrusted,
        undefined,
      ],
    ];
  for (const [title, validation, chainProblem, stat] of cases)
    it(title, () => expect(compilePeerCheck(validation, true)({ certificate, chainProblem })?.stat).to.equal(stat));

  it('asks for a certificate where one is required', () => {
    const facts = { certificate: undefined, chainProblem: untrusted };
    expect(compilePeerCheck(ca, true)(facts)?.stat).to.equal('failVerifyNoCert');
    expect(compilePeerCheck(ca, false)(facts)).to.equal(undefined);
  });

  it('wants the expected name in place of the configured ones', () => {
    const check = compilePeerCheck(named('a.test'), true);
    expect(check({ certificate, chainProblem: undefined, expectedName: 'b.test' })?.stat).to.equal('failVerifySan');
    expect(check({ certificate, chainProblem: undefined, expectedName: 'a.test' })).to.equal(undefined);
  });
});
