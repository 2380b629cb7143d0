import type { ConfigSource } from './config-source.js';
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
  /** Where a change means that the files are to be read again; undefined: the folder of each file. */
  readonly watchedDirectory: string | undefined;
}

/** envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext: what a peer's certificate has to be. */
export interface CertificateValidation {
  /** undefined: no chain is checked. */
  readonly trustedCa: DataSource | 'system' | undefined;
  readonly crl: DataSource | undefined;
  readonly watchedDirectory: string | undefined;
  /** One of them has to fit, if there are any. */
  readonly sanMatches: readonly SanMatch[];
  /** SHA-256 of the certificate, lower-case hexadecimal; of its public key, base64. One of either has to fit, if there are any. */
  readonly certificateHashes: readonly string[];
  readonly publicKeyHashes: readonly string[];
  /** ACCEPT_UNTRUSTED: certificates are asked for and shown, and none is refused. */
  readonly acceptUntrusted: boolean;
}

/** A secret that is told where it is used, or that SDS brings. */
export type SecretSource<T> =
  | { readonly kind: 'given'; readonly secret: T }
  | { readonly kind: 'sds'; readonly name: string; readonly source: ConfigSource };

/** envoy.extensions.transport_sockets.tls.v3.Secret, of the kinds that are used here. */
export type Secret =
  | { readonly kind: 'certificate'; readonly name: string; readonly secret: TlsCertificate }
  | { readonly kind: 'validation'; readonly name: string; readonly secret: CertificateValidation };

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';

/** What both sides of TLS have: parts of envoy.extensions.transport_sockets.tls.v3.CommonTlsContext. */
export interface CommonTls {
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** In OpenSSL's words, joined by colons; '' : the defaults. */
  readonly ciphers: string;
  readonly curves: string;
  readonly signatureAlgorithms: string;
  readonly alpnProtocols: readonly string[];
  readonly validation: SecretSource<CertificateValidation> | undefined;
  /** What applies besides a validation that comes from elsewhere (combined_validation_context). */
  readonly defaultValidation: CertificateValidation | undefined;
}

/** envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext. */
export interface UpstreamTls extends CommonTls {
  /** '' : none is sent. */
  readonly sni: string;
  /** A host that has a name is asked for by it, and not by `sni` (auto_host_sni). */
  readonly sniFromHost: boolean;
  /** The server's certificate has to have the server name that was sent (auto_sni_san_validation), in place of `sanMatches`. */
  readonly sniIsName: boolean;
  readonly certificate: SecretSource<TlsCertificate> | undefined;
}

/** envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext. */
export interface DownstreamTls extends CommonTls {
  /** At least one. */
  readonly certificates: readonly SecretSource<TlsCertificate>[];
  readonly requireClientCertificate: boolean;
  /** Session tickets are given out. */
  readonly sessionTickets: boolean;
  /** How long a handshake may take (transport_socket_connect_timeout), milliseconds. */
  readonly handshakeTimeoutMs: number;
}

/** The secrets that SDS brings to one side of TLS. */
export function sdsSecrets(
  tls: UpstreamTls | DownstreamTls,
): readonly Extract<SecretSource<unknown>, { readonly kind: 'sds' }>[] {
  const certificates = 'certificates' in tls ? tls.certificates : [tls.certificate];
  return [...certificates, tls.validation].filter((secret) => secret?.kind === 'sds');
}
