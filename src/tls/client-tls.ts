import { isIP } from 'node:net';
import { type ConnectionOptions, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import type { UpstreamTls } from '../model/tls.js';
import type { StatsStore } from '../stats/store.js';
import { tlsInfo } from './connection-info.js';
import { type ContextMaterial, watchContextSecrets } from './context-secrets.js';
import { compilePeerCheck } from './peer-check.js';
import type { Secrets } from './secrets.js';
import { secureContextOptions } from './secure-context.js';
import { createSslStats, isTlsError } from './ssl-stats.js';
import type { TlsInfo } from './tls-info.js';

/** The client side of TLS for some hosts of one version of a cluster. */
export interface ClientTls {
  /** Secrets that have never come, for people. */
  waitingFor(): readonly string[];
  /** They are not to be waited for any more. */
  readonly overdue: boolean;
  /**
   * For a new connection, as things are now; undefined: secrets are missing.
   *
   * @param hostname the host's own name, '' where it has none
   */
  session(hostname: string): ClientSession | undefined;
  close(): void;
}

/** One connection's TLS. */
export interface ClientSession {
  /** For `tls.connect`. The peer's certificate is not checked by it but by `check`. */
  readonly options: ConnectionOptions;
  /** After the handshake, once: why the server is not who it must be, or what is known of the connection. Nothing may be written before. */
  check(socket: TLSSocket): { readonly problem: string } | { readonly info: TlsInfo };
  /** The handshake failed: what to say of it. */
  explain(error: NodeJS.ErrnoException): string;
}

/** @param stats scoped to the cluster: `ssl.*` and `client_ssl_socket_factory.*` */
export function createClientTls(
  config: UpstreamTls,
  secrets: Secrets,
  stats: StatsStore,
  onChange: () => void,
): ClientTls {
  const ssl = createSslStats(stats);
  const updates = stats.counter('client_ssl_socket_factory.ssl_context_update_by_sds');
  const notReady = stats.counter('client_ssl_socket_factory.upstream_context_secrets_not_ready');
  const { certificate, validation, defaultValidation } = config;
  const material = watchContextSecrets(
    { certificates: certificate ? [certificate] : [], validation, defaultValidation },
    secrets,
    () => {
      updates.value++;
      onChange();
    },
  );
  let made: { readonly material: ContextMaterial; readonly sessionOf: (hostname: string) => ClientSession } | undefined;

  function sessions(current: ContextMaterial): (hostname: string) => ClientSession {
    const secureContext: SecureContext = createSecureContext(secureContextOptions(config, current));
    const check = compilePeerCheck(current.validation, true);
    const alpn = config.alpnProtocols.length > 0 ? { ALPNProtocols: [...config.alpnProtocols] } : {};
    return (hostname) => {
      const sni = (config.sniFromHost && hostname) || config.sni;
      const expectedName = config.sniIsName && sni !== '' ? sni : undefined;
      return {
        options: {
          secureContext,
          rejectUnauthorized: false,
          checkServerIdentity: () => undefined,
          // An IP address is no server name (RFC 6066 section 3).
          ...(sni !== '' && isIP(sni) === 0 && { servername: sni }),
          ...alpn,
        },
        check(socket) {
          const peer = socket.getPeerX509Certificate();
          const chainProblem = socket.authorized ? undefined : String(socket.authorizationError);
          const problem = check({ certificate: peer, chainProblem, expectedName });
          if (problem) {
            ssl[problem.stat].value++;
            return { problem: `TLS_error: ${problem.reason}` };
          }
          ssl.countHandshake(socket, peer !== undefined);
          return { info: tlsInfo(socket, peer, sni || undefined) };
        },
        explain(error) {
          if (!isTlsError(error)) return error.code ?? error.message;
          ssl.connectionError.value++;
          return `TLS_error: ${error.code ?? ''}: ${error.message.replace(/\s+$/, '')}`;
        },
      };
    };
  }

  return {
    waitingFor: () => material.waitingFor(),
    get overdue() {
      return material.overdue;
    },
    session(hostname) {
      const { current } = material;
      if (current === undefined) {
        notReady.value++;
        return undefined;
      }
      if (made?.material !== current) made = { material: current, sessionOf: sessions(current) };
      return made.sessionOf(hostname);
    },
    close: () => material.close(),
  };
}
