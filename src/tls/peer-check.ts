import { createHash, type X509Certificate } from 'node:crypto';
import type { ValidationMaterial } from './material.js';
import { compileSanMatch, isDnsName, parseSans, type San } from './subject-alt-names.js';

/** Why a peer's certificate was refused; `stat` is the counter under `ssl.`. */
export interface PeerProblem {
  readonly stat: 'failVerifyNoCert' | 'failVerifyError' | 'failVerifySan' | 'failVerifyCertHash';
  readonly reason: string;
}

/** What TLS itself has found out. */
export interface PeerFacts {
  readonly certificate: X509Certificate | undefined;
  /** Why the chain does not lead to a trusted certificate; undefined: it does. */
  readonly chainProblem: string | undefined;
  /** A DNS name that has to be among the certificate's, in place of the configured ones. */
  readonly expectedName?: string | undefined;
}

const sha256 = (data: Uint8Array) => createHash('sha256').update(data);

/**
 * What Envoy's default validator does with a peer's certificate: chain, names, hashes, in this order.
 *
 * @param required a peer without a certificate is refused
 */
export function compilePeerCheck(
  validation: ValidationMaterial | undefined,
  required: boolean,
): (facts: PeerFacts) => PeerProblem | undefined {
  const { ca, sanMatches = [], certificateHashes = [], publicKeyHashes = [] } = validation ?? {};
  const tests = sanMatches.map(compileSanMatch);
  const hashes = new Set([...certificateHashes, ...publicKeyHashes]);

  function checkNames(sans: readonly San[], expectedName: string | undefined): boolean {
    if (expectedName !== undefined)
      return sans.some(({ type, value }) => type === 'DNS' && isDnsName(value, expectedName));
    return tests.length === 0 || sans.some((san) => tests.some((test) => test(san)));
  }
  function checkHashes(certificate: X509Certificate): boolean {
    if (hashes.size === 0 || hashes.has(sha256(certificate.raw).digest('hex'))) return true;
    return hashes.has(sha256(certificate.publicKey.export({ type: 'spki', format: 'der' })).digest('base64'));
  }
  return ({ certificate, chainProblem, expectedName }) => {
    if (certificate === undefined) {
      if (!required) return undefined;
      return { stat: 'failVerifyNoCert', reason: 'the peer has no certificate' };
    }
    if (validation === undefined || validation.acceptUntrusted) return undefined;
    if (ca !== undefined && chainProblem !== undefined)
      return { stat: 'failVerifyError', reason: `CERTIFICATE_VERIFY_FAILED: ${chainProblem}` };
    const text = certificate.subjectAltName ?? '';
    if (!checkNames(parseSans(text), expectedName)) {
      const reason = `CERTIFICATE_VERIFY_FAILED: none of the subject alternative names of the certificate (${text || 'it has none'}) is one that is configured`;
      return { stat: 'failVerifySan', reason };
    }
    if (!checkHashes(certificate))
      return {
        stat: 'failVerifyCertHash',
        reason:
          'CERTIFICATE_VERIFY_FAILED: neither the hash of the certificate nor that of its public key is one that is configured',
      };
    return undefined;
  };
}
