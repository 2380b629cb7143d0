import { expect } from 'chai';
import { HeaderMap } from '../../src/bridge/header-map.js';
import { forwardClientCert } from '../../src/http/client-cert-header.js';
import type { ForwardClientCert } from '../../src/model/listener.js';
import type { CertificateInfo, TlsInfo } from '../../src/tls/tls-info.js';

const certificate = (changes: Partial<CertificateInfo> = {}): CertificateInfo => ({
  subject: 'CN=client,O=mesh',
  issuer: 'CN=CA',
  serial: '01',
  sha1: 'aa',
  sha256: 'ab',
  encodedPem: 'PEM%0A',
  validFrom: new Date(0),
  validTo: new Date(1),
  uriSans: ['spiffe://mesh/client'],
  dnsSans: [],
  ipSans: [],
  emailSans: [],
  ...changes,
});
const mutual = (peer: Partial<CertificateInfo> = {}): TlsInfo => ({
  version: 'TLSv1.3',
  cipher: 'c',
  group: '',
  sessionId: '',
  serverName: undefined,
  peer: certificate(peer),
  local: certificate({ uriSans: ['spiffe://mesh/us'] }),
  peerChain: [certificate({ encodedPem: 'A' }), certificate({ encodedPem: 'B' })],
});
const plain = undefined;
const anonymous: TlsInfo = { ...mutual(), peer: undefined };

describe('x-forwarded-client-cert', () => {
  const given = 'Hash=given';
  const made = 'By=spiffe://mesh/us;Hash=ab';
  const cases: [
    mode: ForwardClientCert['mode'],
    tls: TlsInfo | undefined,
    before: string | undefined,
    after: unknown,
  ][] = [
    ['SANITIZE', mutual(), given, undefined],
    ['FORWARD_ONLY', mutual(), given, given],
    ['FORWARD_ONLY', anonymous, given, undefined],
    ['FORWARD_ONLY', plain, given, undefined],
    ['APPEND_FORWARD', mutual(), given, `${given},${made}`],
    ['APPEND_FORWARD', mutual(), undefined, made],
    ['APPEND_FORWARD', anonymous, given, undefined],
    ['SANITIZE_SET', mutual(), given, made],
    ['SANITIZE_SET', anonymous, given, undefined],
    ['ALWAYS_FORWARD_ONLY', plain, given, given],
  ];
  for (const [mode, tls, before, after] of cases)
    it(`${mode}, ${tls === plain ? 'plain text' : tls.peer ? 'mutual TLS' : 'TLS'}, from ${before}`, () => {
      const headers = new HeaderMap(before === undefined ? [] : ['x-forwarded-client-cert', before]);
      forwardClientCert(headers, { mode, details: [] }, tls);
      expect(headers.get('x-forwarded-client-cert')).to.equal(after);
    });

  const set = (peer: Partial<CertificateInfo>, ...details: ForwardClientCert['details']) => {
    const headers = new HeaderMap([]);
    forwardClientCert(headers, { mode: 'SANITIZE_SET', details }, mutual(peer));
    return headers.get('x-forwarded-client-cert')?.slice(made.length + 1);
  };
  it('has the details that are asked for', () => {
    expect(set({}, 'cert', 'chain', 'subject', 'uri', 'dns')).to.equal(
      'Cert="PEM%0A";Chain="AB";Subject="CN=client,O=mesh";URI=spiffe://mesh/client',
    );
    expect(set({ uriSans: [], dnsSans: ['a.test', 'b.test'] }, 'uri', 'dns')).to.equal('URI=;DNS=a.test;DNS=b.test');
  });

  it('is not broken by names that were made to', () => {
    expect(set({ uriSans: ['a;By=x,Hash=y"z'] }, 'uri')).to.equal('URI="a;By=x,Hash=y\\"z"');
    expect(set({ uriSans: ['a\r\nx-admin: 1'] }, 'uri')).to.equal('URI=ax-admin: 1');
    expect(set({ subject: 'CN=\u00e9' }, 'subject')).to.equal('Subject="CN=\u00c3\u00a9"');
  });
});
