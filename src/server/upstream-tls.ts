import { createHash, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type PeerCertificate, rootCertificates, type SecureContext } from 'node:tls';
import type { DataSource } from '../model/data-source.js';
import type { CertificateValidation, SanMatch, SecretSource, TlsCertificate, UpstreamTls } from '../model/tls.js';
import { compileStringMatch } from '../routing/matchers.js';
import { secureContextOptions } from '../xds/resources/upstream-tls.js';

/** Reads a value where it is now. Throws an Error that names the file or variable. */
export function readNow(source: DataSource): Buffer {
  switch (source.kind) {
    case 'file':
      return readFileSync(source.path);
    case 'environment': {
      const value = process.env[source.variable];
      if (value === undefined) throw new Error(`the environment variable ${source.variable} does not exist`);
      return Buffer.from(value);
    }
    case 'inline':
      return Buffer.from(source.bytes);
  }
}

/** Secrets in files (SDS from `path_config_source`), read when a connection needs them. */
export interface SecretFiles {
  certificate(path: string, name: string): TlsCertificate;
  validation(path: string, name: string): CertificateValidation;
}

/** What one connection needs: made anew for each, so that rotated files count. */
export interface ClientTls {
  readonly secureContext: SecureContext;
  /** false: any certificate is taken. */
  readonly verify: boolean;
  /** What is wrong with the peer's certificate, whose chain is good. */
  check(certificate: PeerCertificate): Error | undefined;
}

function secretOf<T>(source: SecretSource<T> | undefined, load: (path: string, name: string) => T): T | undefined {
  if (source === undefined) return undefined;
  return source.kind === 'given' ? source.secret : load(source.path, source.name);
}

/** As Envoy merges a validation context from SDS into the default one. */
function merge(
  a: CertificateValidation | undefined,
  b: CertificateValidation | undefined,
): CertificateValidation | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return {
    trustedCa: b.trustedCa ?? a.trustedCa,
    crl: b.crl ?? a.crl,
    sanMatches: [...a.sanMatches, ...b.sanMatches],
    certificateHashes: [...a.certificateHashes, ...b.certificateHashes],
    publicKeyHashes: [...a.publicKeyHashes, ...b.publicKeyHashes],
  };
}

/** @throws Error when a file can't be read or used */
export function clientTls(tls: UpstreamTls, files: SecretFiles): ClientTls {
  const certificate = secretOf(tls.certificate, files.certificate);
  const validation = merge(tls.defaultValidation, secretOf(tls.validation, files.validation));
  const trustedCa = validation?.trustedCa;
  const secureContext = createSecureContext({
    ...secureContextOptions(tls),
    ...(certificate && {
      cert: readNow(certificate.certificateChain),
      key: readNow(certificate.privateKey),
      ...(certificate.password && { passphrase: readNow(certificate.password).toString() }),
    }),
    ...(trustedCa && { ca: trustedCa === 'system' ? [...rootCertificates] : readNow(trustedCa) }),
    ...(validation?.crl && { crl: readNow(validation.crl) }),
  });
  const checks = validation ? certificateChecks(validation) : [];
  return {
    secureContext,
    verify: trustedCa !== undefined,
    check(peer) {
      for (const check of checks) {
        const problem = check(peer);
        if (problem) return new Error(problem);
      }
      return undefined;
    },
  };
}

type Check = (certificate: PeerCertificate) => string | undefined;

function certificateChecks({ sanMatches, certificateHashes, publicKeyHashes }: CertificateValidation): Check[] {
  const checks: Check[] = [];
  if (sanMatches.length > 0) {
    const tests = sanMatches.map(sanTest);
    checks.push(({ subjectaltname = '' }) => {
      const names = parseSans(subjectaltname);
      if (names.some((name) => tests.some((test) => test(name)))) return undefined;
      return `none of the subject alternative names of the certificate (${subjectaltname || 'it has none'}) is one that is configured`;
    });
  }
  if (certificateHashes.length + publicKeyHashes.length > 0)
    checks.push(({ raw }) => {
      const sha256 = (data: Buffer) => createHash('sha256').update(data);
      if (certificateHashes.includes(sha256(raw).digest('hex'))) return undefined;
      const publicKey = new X509Certificate(raw).publicKey.export({ type: 'spki', format: 'der' });
      if (publicKeyHashes.includes(sha256(publicKey).digest('base64'))) return undefined;
      return 'neither the hash of the certificate nor that of its public key is one that is configured';
    });
  return checks;
}

interface San {
  readonly type: SanMatch['type'];
  readonly value: string;
}

const sanTypes: Readonly<Record<string, SanMatch['type']>> = {
  DNS: 'DNS',
  URI: 'URI',
  email: 'EMAIL',
  'IP Address': 'IP_ADDRESS',
};

/** Node's text form; values that hold separators are JSON strings: https://nodejs.org/api/crypto.html#x509subjectaltname */
export function parseSans(text: string): San[] {
  const found: San[] = [];
  for (const [, kind = '', value = ''] of text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    const type = sanTypes[kind];
    if (type) found.push({ type, value: value.startsWith('"') ? String(JSON.parse(value)) : value });
  }
  return found;
}

function sanTest({ type, matcher }: SanMatch): (san: San) => boolean {
  const matches = compileStringMatch(matcher);
  return (san) => {
    if (type !== 'any' && type !== san.type) return false;
    if (matches(san.value)) return true;
    // As Envoy: an exact DNS name is also that of a certificate with a wildcard for its first label.
    if (san.type !== 'DNS' || matcher.kind !== 'exact' || !san.value.startsWith('*.')) return false;
    const dot = matcher.value.indexOf('.');
    return dot > 0 && matcher.value.slice(dot + 1).toLowerCase() === san.value.slice(2).toLowerCase();
  };
}
