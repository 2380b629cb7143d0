import { createHash, type X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { parseSans, type San } from './subject-alt-names.js';
import type { CertificateInfo, TlsInfo } from './tls-info.js';

/** RFC 2253: the most specific part first. Node's lines are escaped by its rules already. */
const nameOf = (lines: string | undefined): string => (lines ?? '').split('\n').reverse().join(',');

function memo<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** What is asked of a certificate is worked out then: most connections are never asked. */
function certificateInfo(certificate: X509Certificate): CertificateInfo {
  const sans = memo(() => parseSans(certificate.subjectAltName ?? ''));
  const valuesOf = (type: San['type']) => sans().flatMap((san) => (san.type === type ? [san.value] : []));
  const hash = (algorithm: string) => memo(() => createHash(algorithm).update(certificate.raw).digest('hex'));
  const sha1 = hash('sha1');
  const sha256 = hash('sha256');
  const pem = memo(() => encodeURIComponent(certificate.toString()));
  return {
    get subject() {
      return nameOf(certificate.subject);
    },
    get issuer() {
      return nameOf(certificate.issuer);
    },
    get serial() {
      return certificate.serialNumber.toLowerCase();
    },
    get sha1() {
      return sha1();
    },
    get sha256() {
      return sha256();
    },
    get encodedPem() {
      return pem();
    },
    get validFrom() {
      return new Date(certificate.validFrom);
    },
    get validTo() {
      return new Date(certificate.validTo);
    },
    get uriSans() {
      return valuesOf('URI');
    },
    get dnsSans() {
      return valuesOf('DNS');
    },
    get ipSans() {
      return valuesOf('IP_ADDRESS');
    },
    get emailSans() {
      return valuesOf('EMAIL');
    },
  };
}

/** The peer's certificates as it sent them, its own first. */
function chainOf(first: X509Certificate): CertificateInfo[] {
  const chain: X509Certificate[] = [];
  let next: X509Certificate | undefined = first;
  while (next !== undefined && !chain.some(({ fingerprint256 }) => fingerprint256 === next?.fingerprint256)) {
    chain.push(next);
    next = next.issuerCertificate;
  }
  return chain.map(certificateInfo);
}

/** OpenSSL's names of curves that have others (RFC 8422). */
const groupNames: Readonly<Record<string, string>> = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };

/** Node tells clients only: https://nodejs.org/api/tls.html#tlssocketgetephemeralkeyinfo */
function groupOf(socket: TLSSocket): string {
  const { name = '' } = (socket.getEphemeralKeyInfo() ?? {}) as { readonly name?: string };
  return groupNames[name] ?? name;
}

/**
 * What is known of one side's TLS connection after its handshake.
 *
 * @param peerCertificate what `getPeerX509Certificate` has given. Node takes it out of the session with the first call, and the chain with it: a second
 * one gives nothing, or another certificate.
 */
export function tlsInfo(
  socket: TLSSocket,
  peerCertificate: X509Certificate | undefined,
  serverName: string | undefined,
): TlsInfo {
  const localCertificate = socket.getX509Certificate();
  const session = memo(() => sessionIdOf(socket));
  const chain = memo(() => (peerCertificate ? chainOf(peerCertificate) : []));
  return {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher()?.name ?? '',
    group: groupOf(socket),
    serverName,
    peer: peerCertificate && certificateInfo(peerCertificate),
    local: localCertificate && certificateInfo(localCertificate),
    get sessionId() {
      return session();
    },
    get peerChain() {
      return chain();
    },
  };
}

/** TLS 1.3 has none: what stands in its place is made up (RFC 8446 section 4.1.3). In the serialized session: SEQUENCE { version, protocol, cipher, session id, … } (RFC 3280's DER). */
function sessionIdOf(socket: TLSSocket): string {
  const session = socket.getProtocol() === 'TLSv1.3' ? undefined : socket.getSession();
  if (session === undefined) return '';
  let at = lengthOf(session, 1).next;
  for (let field = 0; field < 3; field++) {
    const { next, length } = lengthOf(session, at + 1);
    at = next + length;
  }
  const { next, length } = lengthOf(session, at + 1);
  return session.subarray(next, next + length).toString('hex');
}

function lengthOf(der: Buffer, at: number): { readonly length: number; readonly next: number } {
  const first = der[at] ?? 0;
  if (first < 0x80) return { length: first, next: at + 1 };
  const bytes = first & 0x7f;
  return { length: bytes === 0 ? 0 : der.readUIntBE(at + 1, bytes), next: at + 1 + bytes };
}
