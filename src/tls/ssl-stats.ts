import type { TLSSocket } from 'node:tls';
import type { StatsStore } from '../stats/store.js';

/**
 * `ssl.*` of a listener or cluster, under Envoy's names.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/stats#tls-statistics
 */
export type SslStats = ReturnType<typeof createSslStats>;

export function createSslStats(stats: StatsStore) {
  const counter = (name: string) => stats.counter(`ssl.${name}`);
  return {
    handshake: counter('handshake'),
    connectionError: counter('connection_error'),
    sessionReused: counter('session_reused'),
    noCertificate: counter('no_certificate'),
    failVerifyNoCert: counter('fail_verify_no_cert'),
    failVerifyError: counter('fail_verify_error'),
    failVerifySan: counter('fail_verify_san'),
    failVerifyCertHash: counter('fail_verify_cert_hash'),
    /** After a good handshake. */
    countHandshake(socket: TLSSocket, hasPeerCertificate: boolean): void {
      this.handshake.value++;
      if (socket.isSessionReused()) this.sessionReused.value++;
      if (!hasPeerCertificate) this.noCertificate.value++;
      stats.counter(`ssl.versions.${socket.getProtocol() ?? 'unknown'}`).value++;
      stats.counter(`ssl.ciphers.${socket.getCipher()?.name ?? 'unknown'}`).value++;
    },
  };
}

/** Whether TLS itself failed, and not the connection under it. */
export function isTlsError({ code = '' }: NodeJS.ErrnoException): boolean {
  return code.startsWith('ERR_SSL_') || code === 'EPROTO';
}
