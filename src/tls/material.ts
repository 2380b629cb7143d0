import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { CertificateValidation, TlsCertificate } from '../model/tls.js';
import { fileOf, readNow } from './data-source.js';

/** A certificate with its key, read and found good. Plain data: it goes to the processes that serve. */
export interface CertificateMaterial {
  /** PEM, the own certificate first. */
  readonly chain: string;
  readonly key: string;
  readonly password: string | undefined;
  /** Where the chain was read, for `/certs`. */
  readonly path: string | undefined;
}

/** What a peer's certificate has to be, read and found good. */
export interface ValidationMaterial
  extends Pick<CertificateValidation, 'sanMatches' | 'certificateHashes' | 'publicKeyHashes' | 'acceptUntrusted'> {
  /** PEM. undefined: no chain is checked. */
  readonly ca: string | 'system' | undefined;
  readonly crl: string | undefined;
  readonly path: string | undefined;
}

const certificateBlocks = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED )?CERTIFICATE-----/g;
const revocationBlocks = /-----BEGIN X509 CRL-----[\s\S]*?-----END X509 CRL-----/g;

/** The certificates of a PEM text. Throws when one of them is none. */
export function parseCertificates(pem: string): X509Certificate[] {
  return (pem.match(certificateBlocks) ?? []).map((block) => new X509Certificate(block));
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function attempt<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${what}: ${reasonOf(error)}`);
  }
}

/**
 * Reads a certificate and its key, and tries whether they can be used together.
 *
 * @throws Error that names the field, and never shows what is in it
 */
export function certificateMaterial(secret: TlsCertificate): CertificateMaterial {
  const chain = attempt('certificate_chain', () => readNow(secret.certificateChain)).toString('latin1');
  const key = attempt('private_key', () => readNow(secret.privateKey)).toString('latin1');
  const { password: source } = secret;
  const password = source && attempt('password', () => readNow(source)).toString('utf8');
  const [own] = attempt('certificate_chain', () => parseCertificates(chain));
  if (own === undefined) throw new Error('certificate_chain: there is no certificate (PEM) in it');
  const privateKey = attempt('private_key', () =>
    createPrivateKey({ key, ...(password !== undefined && { passphrase: password }) }),
  );
  if (!own.checkPrivateKey(privateKey)) throw new Error('private_key: it is not that of the certificate');
  attempt('certificate_chain', () =>
    createSecureContext({ ca: [], cert: chain, key: [{ pem: key, passphrase: password ?? '' }] }),
  );
  return { chain, key, password, path: fileOf(secret.certificateChain) };
}

/**
 * Reads what peers are checked against, and tries whether it can be used.
 *
 * @throws Error that names the field
 */
export function validationMaterial(secret: CertificateValidation): ValidationMaterial {
  const { trustedCa, crl: lists, sanMatches, certificateHashes, publicKeyHashes, acceptUntrusted } = secret;
  let ca: ValidationMaterial['ca'];
  let revoked = '';
  if (trustedCa === 'system') ca = 'system';
  else if (trustedCa !== undefined) {
    const text = attempt('trusted_ca', () => readNow(trustedCa)).toString('latin1');
    if (attempt('trusted_ca', () => parseCertificates(text)).length === 0)
      throw new Error('trusted_ca: there is no certificate (PEM) in it');
    ca = (text.match(certificateBlocks) ?? []).join('\n');
    // As Envoy: lists of revoked certificates among the trusted ones count.
    revoked = (text.match(revocationBlocks) ?? []).join('\n');
  }
  if (lists !== undefined) {
    const found = attempt('crl', () => readNow(lists))
      .toString('latin1')
      .match(revocationBlocks);
    if (found === null) throw new Error('crl: there is no list of revoked certificates (PEM) in it');
    revoked = [revoked, ...found].join('\n').trim();
  }
  const crl = revoked === '' ? undefined : revoked;
  attempt(crl === undefined ? 'trusted_ca' : 'crl', () =>
    createSecureContext({
      ca: ca === undefined || ca === 'system' ? [] : ca,
      ...(crl !== undefined && { crl: splitLists(crl) }),
    }),
  );
  const path = trustedCa === 'system' ? undefined : fileOf(trustedCa);
  return { ca, crl, path, sanMatches, certificateHashes, publicKeyHashes, acceptUntrusted };
}

/** One text per list: of several in one OpenSSL takes the first only. */
export const splitLists = (crl: string): string[] => crl.match(revocationBlocks) ?? [];

/** As Envoy merges the validation context of a secret into the default one: lists grow, what is set replaces. */
export function mergeValidation(
  base: ValidationMaterial | undefined,
  over: ValidationMaterial | undefined,
): ValidationMaterial | undefined {
  if (base === undefined || over === undefined) return base ?? over;
  return {
    ca: over.ca ?? base.ca,
    crl: over.crl ?? base.crl,
    path: over.ca === undefined ? base.path : over.path,
    sanMatches: [...base.sanMatches, ...over.sanMatches],
    certificateHashes: [...base.certificateHashes, ...over.certificateHashes],
    publicKeyHashes: [...base.publicKeyHashes, ...over.publicKeyHashes],
    acceptUntrusted: over.acceptUntrusted || base.acceptUntrusted,
  };
}
