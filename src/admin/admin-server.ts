import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../clock.js';
import type { Logger } from '../log.js';
import type { SocketAddress } from '../model/endpoint.js';
import { createTurns } from '../turns.js';
import type { AdminEndpoint, AdminResponse } from './endpoint.js';
import { text } from './endpoint.js';

export interface AdminServer {
  /** What is really bound; port 0 became a number. */
  readonly address: SocketAddress;
  close(): Promise<void>;
}

/** Small pieces are written together. */
const chunkSize = 16 * 1024;

/** How large a request's body may be; no endpoint reads one. */
const maxBodyBytes = 64 * 1024;

function help(endpoints: readonly AdminEndpoint[]): string {
  const lines = ['admin commands are:'];
  for (const endpoint of [...endpoints].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    lines.push(`  ${endpoint.path}${endpoint.method === 'POST' ? ' (POST)' : ''}: ${endpoint.help}`);
    for (const [name, meaning] of Object.entries(endpoint.parameters ?? {})) lines.push(`      ${name}: ${meaning}`);
  }
  return `${lines.join('\n')}\n`;
}

async function answer({ endpoints, collect }: AdminServerOptions, method: string, url: URL): Promise<AdminResponse> {
  if (url.pathname === '/help' || url.pathname === '/') return text(help(endpoints));
  const endpoint = endpoints.find((candidate) => candidate.path === url.pathname);
  if (!endpoint) return text(`invalid path. ${help(endpoints)}`, 404);
  if (endpoint.method === 'POST' && method !== 'POST') return text(`Method ${method} not allowed, POST required.`, 405);
  if (endpoint.needsNumbers && collect) await collect();
  return endpoint.handle({
    method,
    path: url.pathname,
    query: url.searchParams,
  });
}

/** Writes piece by piece and waits for a slow reader, so that a large dump neither blocks the process nor fills its memory. */
async function send(response: ServerResponse, { status, contentType, body }: AdminResponse): Promise<void> {
  response.writeHead(status, {
    'content-type': contentType,
    'cache-control': 'no-cache, max-age=0',
    'x-content-type-options': 'nosniff',
    server: 'envoy',
  });
  const turns = createTurns(systemClock);
  let buffered = '';
  for (const piece of typeof body === 'string' ? [body] : body) {
    if (response.destroyed) return;
    buffered += piece;
    const pause = turns();
    if (buffered.length >= chunkSize) {
      const room = response.write(buffered);
      buffered = '';
      if (!room) await drained(response);
    }
    if (pause) await pause;
  }
  response.end(buffered);
}

/** The reader has taken what was written, or has gone. */
async function drained(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

async function respond(
  options: AdminServerOptions,
  { method, url }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let reply: AdminResponse;
  try {
    reply = await answer(options, method ?? 'GET', new URL(url ?? '/', 'http://admin'));
  } catch (error) {
    options.log.error({ err: error, url }, 'admin request failed');
    reply = text(`error: ${error instanceof Error ? error.message : String(error)}\n`, 500);
  }
  await send(response, reply);
}

function serve(options: AdminServerOptions, request: IncomingMessage, response: ServerResponse): void {
  let received = 0;
  request.on('data', (chunk: Buffer) => {
    received += chunk.length;
    if (received > maxBodyBytes) request.destroy();
  });
  request.on('end', () => {
    respond(options, request, response).catch((error: unknown) => {
      options.log.error({ err: error, url: request.url }, 'admin answer failed');
      response.destroy();
    });
  });
  request.on('error', () => response.destroy());
}

export interface AdminServerOptions {
  readonly address: SocketAddress;
  readonly endpoints: readonly AdminEndpoint[];
  readonly log: Logger;
  /** Sees every request before it is answered. */
  readonly onRequest?: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * Brings what other processes have counted so far; endpoints that need it wait for it, so it must end in time. A rejection is answered
   * with 500. Called once per request, also while an earlier call is under way.
   */
  readonly collect?: () => Promise<void>;
}

/** Listens for operators. Rejects when the address can't be bound. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const { address, log, onRequest } = options;
  const server = createServer((request, response) => {
    onRequest?.(request, response);
    serve(options, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if (address.kind === 'pipe') server.listen(address.path, resolve);
    else server.listen(address.port, address.address, resolve);
  });
  server.on('error', (error) => log.error({ err: error }, 'admin server'));
  const bound = server.address() as AddressInfo | string;
  return {
    address:
      typeof bound === 'string'
        ? { kind: 'pipe', path: bound }
        : { kind: 'tcp', address: bound.address, port: bound.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
