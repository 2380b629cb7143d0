import { type ClientHttp2Session, connect, createSecureServer, type ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { status } from '@grpc/grpc-js';
import type { Certificate } from './certificates.js';

/** What the gateway shows, and wants of its clients. */
export interface GatewayCredentials {
  readonly certificate: Certificate;
  /** PEM of the authorities of clients. */
  readonly clientCa: string;
  /** The `authorization` that streams need; undefined: none. */
  readonly authorization: string | undefined;
}

/** TLS with client certificates, and tokens, in front of a control plane that speaks plain text. */
export interface SecureGateway {
  readonly port: number;
  /** Serial numbers of the client certificates of streams that were let in, in lower case. */
  readonly serials: readonly string[];
  readonly authorizations: readonly (string | undefined)[];
  /** What it wants from now on. All that is connected is dropped. */
  rotate(credentials: GatewayCredentials): void;
  close(): Promise<void>;
}

/** @param target where the control plane is, `HOST:PORT` */
export async function startSecureGateway(target: string, first: GatewayCredentials): Promise<SecureGateway> {
  let current = first;
  const serials: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const inner = new Set<ClientHttp2Session>();
  const optionsOf = ({ certificate, clientCa }: GatewayCredentials) => ({ ...certificate, ca: clientCa });
  const server = createSecureServer({ ...optionsOf(first), requestCert: true, rejectUnauthorized: true });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => undefined);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    const { authorization } = headers;
    if (authorization !== current.authorization) {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': status.UNAUTHENTICATED },
        { endStream: true },
      );
      return;
    }
    const socket = stream.session?.socket as TLSSocket | undefined;
    serials.push((socket?.getPeerX509Certificate()?.serialNumber ?? '').toLowerCase());
    authorizations.push(authorization);
    const session = connect(`http://${target}`);
    inner.add(session);
    session.on('error', () => undefined);
    const request = session.request({ ...headers, ':scheme': 'http' });
    request.on('error', () => stream.destroy());
    stream.on('close', () => {
      session.destroy();
      inner.delete(session);
    });
    let trailers: Record<string, unknown> = {};
    request.on('trailers', (received) => {
      trailers = received;
    });
    request.on('response', (answer) => {
      stream.respond(answer, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers(trailers as Record<string, string>));
      request.pipe(stream);
    });
    stream.pipe(request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const drop = (): void => {
    for (const session of sessions) session.destroy();
  };
  return {
    port,
    serials,
    authorizations,
    rotate(next) {
      current = next;
      server.setSecureContext(optionsOf(next));
      drop();
    },
    async close() {
      drop();
      for (const session of inner) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
