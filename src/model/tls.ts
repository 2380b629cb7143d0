import type { DataSource } from './data-source.js';
import type { StringMatch } from './route.js';

/** A subject alternative name that a peer's certificate may have. `any`: of whatever kind. */
export interface SanMatch {
  readonly type: 'DNS' | 'URI' | 'EMAIL' | 'IP_ADDRESS' | 'any';
  readonly matcher: StringMatch;
}

/** envoy.extensions.transport_sockets.tls.v3.TlsCertificate: PEM. */
export interface TlsCertificate {
  readonly certificateChain: DataSource;
  readonly privateKey: DataSource;
  readonly password: DataSource | undefined;
}

/** envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext: what a peer's certificate has to be. */
export interface CertificateValidation {
  /** undefined: nothing is checked. */
  readonly trustedCa: DataSource | 'system' | undefined;
  readonly crl: DataSource | undefined;
  /** One of them has to fit, if there are any. */
  readonly sanMatches: readonly SanMatch[];
  /** SHA-256 of the certificate, lower-case hexadecimal; of its public key, base64. One of either has to fit, if there are any. */
  readonly certificateHashes: readonly string[];
  readonly publicKeyHashes: readonly string[];
}

/** A secret that is told where it is used, or that a file has (SDS from `path_config_source`). */
export type SecretSource<T> =
  | { readonly kind: 'given'; readonly secret: T }
  | { readonly kind: 'file'; readonly name: string; readonly path: string };

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext. */
export interface UpstreamTls {
  /** '' : the authority is sent. */
  readonly sni: string;
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** In OpenSSL's words, joined by colons; '' : the defaults. */
  readonly ciphers: string;
  readonly curves: string;
  readonly signatureAlgorithms: string;
  readonly certificate: SecretSource<TlsCertificate> | undefined;
  readonly validation: SecretSource<CertificateValidation> | undefined;
  /** What applies besides a validation that comes from elsewhere (combined_validation_context). */
  readonly defaultValidation: CertificateValidation | undefined;
}
