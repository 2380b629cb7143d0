import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ControlPlane } from './control-plane.js';
import type { RecordedEvent } from './events.js';
import { findKind } from './resource-kind.js';

const maxBodyBytes = 4 * 1024 * 1024;
const maxEventStreams = 32;
/** A reader of events that is so far behind is dropped. */
const maxUnreadBytes = 1024 * 1024;

/** The API answers on loopback only: it has no passwords. */
const loopback = '127.0.0.1';

export interface HttpApi {
  readonly port: number;
  close(): Promise<void>;
}

/** What ends a request with a status and a line of text. */
class HttpError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/**
 * The HTTP API: `GET /snapshot`, `GET /nodes`, `GET /events`, `PUT /resources`, `DELETE /resources`.
 * @throws when the port can't be bound
 */
export async function startHttpApi(controlPlane: ControlPlane, port: number): Promise<HttpApi> {
  const streams = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    answer(controlPlane, streams, request, response).catch((error: unknown) => {
      const status = error instanceof HttpError ? error.status : 500;
      const message = error instanceof Error ? error.message : String(error);
      if (response.headersSent) response.destroy();
      else sendJson(response, status, { error: message });
    });
  });
  server.requestTimeout = 30_000;
  server.maxConnections = 256;
  await listen(server, port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) =>
      reject(new Error(`the HTTP API cannot listen on ${loopback}:${port}: ${error.message}; choose another --http`)),
    );
    server.listen(port, loopback, resolve);
  });
}

async function answer(
  controlPlane: ControlPlane,
  streams: Set<ServerResponse>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  checkHost(request);
  const url = new URL(request.url ?? '/', 'http://localhost');
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /snapshot':
      return sendJson(response, 200, controlPlane.describeSnapshot());
    case 'GET /nodes':
      return sendJson(response, 200, { nodes: controlPlane.nodes() });
    case 'GET /events':
      return sendEvents(controlPlane, streams, url, response);
    case 'PUT /resources':
      return sendJson(response, 200, await putResources(controlPlane, url, request));
    case 'DELETE /resources':
      return sendJson(response, 200, deleteResources(controlPlane, url));
    default:
      throw new HttpError(
        404,
        'there are GET /snapshot, GET /nodes, GET /events, PUT /resources and DELETE /resources',
      );
  }
}

/** A web page whose name was pointed at this address must not reach the API (DNS rebinding). */
function checkHost(request: IncomingMessage): void {
  const name = (request.headers.host ?? '').replace(/:\d+$/, '');
  if (name === loopback || name === 'localhost') return;
  throw new HttpError(403, `only requests to ${loopback} or localhost are answered`);
}

async function putResources(controlPlane: ControlPlane, url: URL, request: IncomingMessage): Promise<unknown> {
  const group = url.searchParams.get('type');
  const kind = group === null ? undefined : findKind(group);
  if (group !== null && !kind) throw new HttpError(400, `unknown type ${JSON.stringify(group)}`);
  const text = await readBody(request);
  return orRefused(() => controlPlane.push(text, url.searchParams.get('name') ?? 'pushed', kind));
}

function deleteResources(controlPlane: ControlPlane, url: URL): unknown {
  const group = url.searchParams.get('type');
  const name = url.searchParams.get('name');
  if (group === null && name === null) return orRefused(() => controlPlane.reset());
  const kind = findKind(group ?? '');
  if (!kind || name === null)
    throw new HttpError(400, 'give both ?type= and ?name=, or neither to go back to the files');
  return orRefused(() => controlPlane.remove({ kind, name }));
}

function orRefused(change: () => unknown): unknown {
  try {
    return change();
  } catch (error) {
    throw new HttpError(422, error instanceof Error ? error.message : String(error));
  }
}

function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxBodyBytes) chunks.push(chunk);
      else if (chunks.length > 0) chunks.length = 0;
    });
    request.on('error', reject);
    request.on('end', () => {
      if (length > maxBodyBytes) reject(new HttpError(413, `a body may have ${maxBodyBytes} bytes at most`));
      else resolve(Buffer.concat(chunks).toString('utf8'));
    });
  });
}

/** One JSON object per line, first those after `?since=`, then each as it happens. */
function sendEvents(
  controlPlane: ControlPlane,
  streams: Set<ServerResponse>,
  url: URL,
  response: ServerResponse,
): void {
  if (streams.size >= maxEventStreams)
    throw new HttpError(503, `${maxEventStreams} readers of events are connected already`);
  const since = Number(url.searchParams.get('since') ?? controlPlane.events.lastSeq);
  if (!Number.isSafeInteger(since)) throw new HttpError(400, 'since is the number of an event');
  response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
  response.flushHeaders();
  const send = (event: RecordedEvent) => {
    response.write(`${JSON.stringify(event)}\n`);
    if (response.writableLength > maxUnreadBytes) response.destroy();
  };
  streams.add(response);
  for (const event of controlPlane.events.since(since)) send(event);
  const stop = controlPlane.events.listen(send);
  response.on('close', () => {
    stop();
    streams.delete(response);
  });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(value, undefined, 2)}\n`);
}
