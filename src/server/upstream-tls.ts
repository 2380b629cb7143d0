import { X509Certificate } from 'node:crypto';
import { createSecureContext, type PeerCertificate, type SecureContext } from 'node:tls';
import type { CertificateValidation, SecretSource, TlsCertificate, UpstreamTls } from '../model/tls.js';
import { certificateMaterial, mergeValidation, validationMaterial } from '../tls/material.js';
import { compilePeerCheck } from '../tls/peer-check.js';
import { secureContextOptions } from '../tls/secure-context.js';

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
  if (source.kind === 'given') return source.secret;
  if (source.source.kind === 'path') return load(source.source.path, source.name);
  throw new Error(`secret ${source.name}: a control plane's own connection has secrets of its own or from files`);
}

/**
 * @param serverName what the control plane is asked for by
 * @throws Error when a file can't be read or used
 */
export function clientTls(tls: UpstreamTls, serverName: string, files: SecretFiles): ClientTls {
  const certificate = secretOf(tls.certificate, files.certificate);
  const own = secretOf(tls.validation, files.validation);
  const validation = mergeValidation(
    tls.defaultValidation && validationMaterial(tls.defaultValidation),
    own && validationMaterial(own),
  );
  const certificates = certificate ? [certificateMaterial(certificate)] : [];
  const verify = validation?.ca !== undefined && !validation.acceptUntrusted;
  const { sanMatches = [], certificateHashes = [], publicKeyHashes = [] } = validation ?? {};
  // gRPC looks at a certificate only where its chain is checked.
  if (validation?.ca === undefined && sanMatches.length + certificateHashes.length + publicKeyHashes.length > 0)
    throw new Error('checks of the certificate need trusted_ca: without it anybody passes them');
  const check = compilePeerCheck(validation, true);
  const expectedName = tls.sniIsName ? serverName : undefined;
  return {
    secureContext: createSecureContext(secureContextOptions(tls, { certificates, validation })),
    verify,
    check({ raw }) {
      const problem = check({ certificate: new X509Certificate(raw), chainProblem: undefined, expectedName });
      return problem && new Error(problem.reason);
    },
  };
}
