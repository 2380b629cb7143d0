import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { createSecureContext, createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls';
import type { DownstreamTls } from '../model/tls.js';
import type { StatsStore } from '../stats/store.js';
import { tlsInfo } from './connection-info.js';
import { type ContextMaterial, watchContextSecrets } from './context-secrets.js';
import { type CertificateMaterial, parseCertificates } from './material.js';
import { compilePeerCheck, type PeerProblem } from './peer-check.js';
import type { Secrets } from './secrets.js';
import { secureContextOptions } from './secure-context.js';
import { createSslStats, isTlsError } from './ssl-stats.js';
import { isDnsName, parseSans } from './subject-alt-names.js';
import type { TlsInfo } from './tls-info.js';

/** Who waits for a handshake. One of them is called, once. */
export interface HandshakeCallbacks {
  /** The socket is encrypted, and its peer is who it must be. */
  onSecure(socket: TLSSocket, info: TlsInfo): void;
  /** It is over. */
  onFailure(reason: string, timedOut: boolean): void;
}

/** The server side of TLS of one version of a listener. */
export interface ServerTls {
  /** Secrets that have never come, for people. */
  waitingFor(): readonly string[];
  /** They are not to be waited for any more. */
  readonly overdue: boolean;
  /** Shakes hands on a connection of which nothing was read. What changes later is for later connections. */
  accept(socket: Socket, callbacks: HandshakeCallbacks): void;
  close(): void;
}

/**
 * @param stats scoped to the listener: `ssl.*` and `server_ssl_socket_factory.*`
 * @param onChange a secret came, changed, or is overdue
 */
export function createServerTls(
  config: DownstreamTls,
  secrets: Secrets,
  stats: StatsStore,
  onChange: () => void,
): ServerTls {
  const ssl = createSslStats(stats);
  const updates = stats.counter('server_ssl_socket_factory.ssl_context_update_by_sds');
  const notReady = stats.counter('server_ssl_socket_factory.downstream_context_secrets_not_ready');
  let acceptor: { readonly material: ContextMaterial; readonly server: Server } | undefined;
  const handshakes = new WeakMap<Socket, HandshakeCallbacks>();
  const material = watchContextSecrets(config, secrets, () => {
    updates.value++;
    onChange();
  });

  function acceptorOf(current: ContextMaterial): Server {
    if (acceptor?.material !== current) acceptor = { material: current, server: makeServer(current) };
    return acceptor.server;
  }

  function makeServer(current: ContextMaterial): Server {
    const { validation } = current;
    const asksFor = config.requireClientCertificate || validation !== undefined;
    const hashes = (validation?.certificateHashes.length ?? 0) + (validation?.publicKeyHashes.length ?? 0);
    const names = validation?.sanMatches.length ?? 0;
    // As Envoy: who is to have a certain name or hash has to have a certificate.
    const required = config.requireClientCertificate || (hashes + names > 0 && !validation?.acceptUntrusted);
    const check = compilePeerCheck(validation, required);
    const server = createServer({
      ...secureContextOptions(config, { ...current, certificates: firstOfEachKind(current.certificates) }),
      ...(current.certificates.length > 1 && { SNICallback: chooseByName(config, current) }),
      ...(config.alpnProtocols.length > 0 && { ALPNProtocols: [...config.alpnProtocols] }),
      ...(!config.sessionTickets && { secureOptions: constants.SSL_OP_NO_TICKET }),
      requestCert: asksFor,
      // TLS then tells the client what is missing; everything else is checked below.
      rejectUnauthorized: required && validation?.ca !== undefined && !validation.acceptUntrusted,
      handshakeTimeout: config.handshakeTimeoutMs,
    });
    server.on('secureConnection', (socket) => {
      const callbacks = take(socket);
      if (callbacks === undefined) return void socket.destroy();
      socket.allowHalfOpen = true;
      const certificate = socket.getPeerX509Certificate();
      const chainProblem = socket.authorized ? undefined : String(socket.authorizationError);
      const problem = check({ certificate, chainProblem });
      if (problem) return refuse(socket, callbacks, problem);
      ssl.countHandshake(socket, certificate !== undefined);
      const { servername } = socket as TLSSocket & { readonly servername?: string | false };
      callbacks.onSecure(socket, tlsInfo(socket, certificate, servername || undefined));
    });
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const callbacks = take(socket);
      socket.destroy();
      if (callbacks === undefined) return;
      const problem = problemOf(error, socket);
      if (problem) return refuse(socket, callbacks, problem);
      if (isTlsError(error)) ssl.connectionError.value++;
      callbacks.onFailure(`TLS_error: ${error.message}`, error.code === 'ERR_TLS_HANDSHAKE_TIMEOUT');
    });
    return server;
  }

  function take(socket: TLSSocket): HandshakeCallbacks | undefined {
    const raw = underlying(socket);
    const callbacks = raw && handshakes.get(raw);
    if (raw) handshakes.delete(raw);
    return callbacks;
  }

  function refuse(socket: TLSSocket, callbacks: HandshakeCallbacks, { stat, reason }: PeerProblem): void {
    ssl[stat].value++;
    socket.destroy();
    callbacks.onFailure(`TLS_error: ${reason}`, false);
  }

  return {
    waitingFor: () => material.waitingFor(),
    get overdue() {
      return material.overdue;
    },
    accept(socket, callbacks) {
      const { current } = material;
      if (current === undefined) {
        notReady.value++;
        socket.destroy();
        callbacks.onFailure('TLS_error: secrets are not ready', false);
        return;
      }
      handshakes.set(socket, callbacks);
      // Until the handshake is over nobody would notice the end of a client's half: it ends the whole. The encrypted socket inherits this.
      socket.allowHalfOpen = false;
      // What goes wrong is told by the encrypted socket.
      socket.on('error', () => undefined);
      // https://nodejs.org/api/tls.html#event-connection: injects a connection into the server.
      acceptorOf(current).emit('connection', socket);
    },
    close: () => material.close(),
  };
}

/** Node's server tells the encrypted socket only, and it alone knows what it was made of. Should it not, the connection is refused. */
function underlying(socket: TLSSocket): Socket | undefined {
  return (socket as TLSSocket & { readonly _parent?: Socket })._parent;
}

/** What TLS itself has refused a client's certificate for. */
function problemOf(error: NodeJS.ErrnoException, { authorizationError }: TLSSocket): PeerProblem | undefined {
  if (error.code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE')
    return { stat: 'failVerifyNoCert', reason: 'the peer has no certificate' };
  const problem = authorizationError as unknown as string | undefined | null;
  return problem ? { stat: 'failVerifyError', reason: `CERTIFICATE_VERIFY_FAILED: ${problem}` } : undefined;
}

const keyKindOf = ({ chain }: CertificateMaterial): string =>
  parseCertificates(chain)[0]?.publicKey.asymmetricKeyType ?? '';

/** A context holds one certificate for each kind of key; of several the first counts. */
function firstOfEachKind(certificates: readonly CertificateMaterial[]): CertificateMaterial[] {
  const byKind = new Map<string, CertificateMaterial>();
  for (const certificate of certificates) {
    const kind = keyKindOf(certificate);
    if (!byKind.has(kind)) byKind.set(kind, certificate);
  }
  return [...byKind.values()];
}

type SniCallback = (name: string, callback: (error: Error | null, context?: SecureContext) => void) => void;

/**
 * Chooses by the name that the client asks for: the certificates that have it, else the first ones.
 * https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/security/ssl#certificate-selection
 */
function chooseByName(config: DownstreamTls, material: ContextMaterial): SniCallback {
  const named = material.certificates.map((certificate) => ({
    certificate,
    names: parseSans(parseCertificates(certificate.chain)[0]?.subjectAltName ?? '').filter(
      ({ type }) => type === 'DNS',
    ),
  }));
  /** By the certificates that they hold: there are few, however many names clients think of. */
  const contexts = new Map<string, SecureContext>();
  return (name, callback) => {
    const fitting = named.filter(({ names }) => names.some(({ value }) => isDnsName(value, name)));
    if (fitting.length === 0) return callback(null);
    const key = fitting.map((each) => named.indexOf(each)).join();
    let context = contexts.get(key);
    if (context === undefined) {
      const certificates = firstOfEachKind(fitting.map(({ certificate }) => certificate));
      context = createSecureContext(secureContextOptions(config, { ...material, certificates }));
      contexts.set(key, context);
    }
    callback(null, context);
  };
}
