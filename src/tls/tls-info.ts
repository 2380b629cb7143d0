/** What is told of a certificate. Names are as in RFC 2253, hashes and the serial number in lower-case hexadecimal. */
export interface CertificateInfo {
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly sha1: string;
  readonly sha256: string;
  /** PEM, encoded as a part of a URL. */
  readonly encodedPem: string;
  readonly validFrom: Date;
  readonly validTo: Date;
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  readonly ipSans: readonly string[];
  readonly emailSans: readonly string[];
}

/** What is told of a connection's encryption. */
export interface TlsInfo {
  /** As in `TLSv1.3`. */
  readonly version: string;
  /** Of the key exchange, as in `X25519` or `P-256`; '' where it is not known: on the side of a server. */
  readonly group: string;
  /** As OpenSSL calls it: `TLS_AES_128_GCM_SHA256`, `ECDHE-RSA-AES128-GCM-SHA256`. */
  readonly cipher: string;
  readonly sessionId: string;
  /** What the client asked for (SNI). */
  readonly serverName: string | undefined;
  /** undefined: the peer has sent none. */
  readonly peer: CertificateInfo | undefined;
  readonly local: CertificateInfo | undefined;
  /** The peer's own certificate first; of a resumed session only that. */
  readonly peerChain: readonly CertificateInfo[];
}
