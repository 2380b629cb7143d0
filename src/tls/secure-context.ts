import { rootCertificates, type SecureContextOptions } from 'node:tls';
import type { CommonTls } from '../model/tls.js';
import type { ContextMaterial } from './context-secrets.js';
import { splitLists } from './material.js';

/** Envoy's defaults: https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/transport_sockets/tls/v3/common.proto */
const defaultCiphers = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
].join(':');
const defaultCurves = 'X25519:P-256';
/** They can't be configured in Envoy; a list without any of them would turn TLS 1.3 off here. */
const tls13Ciphers = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

/** What of a configuration needs no secret. */
export function parameterOptions(
  tls: Pick<CommonTls, 'minVersion' | 'maxVersion' | 'ciphers' | 'curves' | 'signatureAlgorithms'>,
): SecureContextOptions {
  return {
    minVersion: tls.minVersion,
    maxVersion: tls.maxVersion,
    ciphers: `${tls13Ciphers}:${tls.ciphers || defaultCiphers}`,
    ecdhCurve: tls.curves || defaultCurves,
    ...(tls.signatureAlgorithms && { sigalgs: tls.signatureAlgorithms }),
    honorCipherOrder: true,
  };
}

/** What Node is told: https://nodejs.org/api/tls.html#tlscreatesecurecontextoptions */
export function secureContextOptions(
  tls: CommonTls,
  { certificates, validation }: ContextMaterial,
): SecureContextOptions & { readonly allowPartialTrustChain: boolean } {
  const { ca, crl } = validation ?? {};
  return {
    ...parameterOptions(tls),
    cert: certificates.map(({ chain }) => chain),
    key: certificates.map(({ key, password }) => ({
      pem: key,
      ...(password !== undefined && { passphrase: password }),
    })),
    // Without any Node would trust those of the system.
    ca: ca === 'system' ? [...rootCertificates] : ca === undefined ? [] : [ca],
    ...(crl !== undefined && { crl: splitLists(crl) }),
    // As Envoy: a trusted certificate need not be a root.
    allowPartialTrustChain: true,
  };
}
