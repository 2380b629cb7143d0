import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SeenRequest } from './exchange.js';

/** An HTTP server that answers with what it saw, as JSON. */
export async function startEchoServer(): Promise<{ port: number; close(): Promise<void> }> {
  const answer: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const headers: [string, string][] = [];
      for (let i = 0; i < request.rawHeaders.length; i += 2) {
        headers.push([(request.rawHeaders[i] as string).toLowerCase(), request.rawHeaders[i + 1] as string]);
      }
      const seen: SeenRequest = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers,
        body: Buffer.concat(chunks).toString('latin1'),
      };
      const body = JSON.stringify(seen);
      response.writeHead(200, { 'content-length': Buffer.byteLength(body), 'content-type': 'application/json' });
      response.end(body);
    });
  };
  const server = createServer({ maxHeaderSize: 1024 * 1024, requireHostHeader: false }, answer);
  server.on('checkExpectation', answer);
  server.maxHeadersCount = 0;
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
