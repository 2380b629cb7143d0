import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AccessLogger } from '../access-log/access-logger.js';
import { HeaderMap } from '../bridge/header-map.js';
import type { Clock } from '../clock.js';
import { newStreamInfo } from '../http/new-stream-info.js';
import { formatAddress } from '../model/endpoint.js';

const addressOf = (address = '', port = 0): string => formatAddress({ kind: 'tcp', address, port });

/** One line per request to the admin interface (`admin.access_log`), written when its response ended. */
export function createAdminAccessLog(
  logger: AccessLogger,
  clock: Clock,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    const { remoteAddress = '', remotePort, localAddress, localPort = 0 } = request.socket;
    const remote = addressOf(remoteAddress, remotePort);
    const local = addressOf(localAddress, localPort);
    const sent = request.socket.bytesWritten;
    const info = newStreamInfo(clock.monotonic(), clock.now(), {
      id: 0,
      addresses: { remoteAddress, remote, local, localPort },
      tls: undefined,
    });
    info.protocol = request.httpVersion === '1.0' ? 'HTTP/1.0' : 'HTTP/1.1';
    const pairs = [
      ':method',
      request.method ?? '',
      ':path',
      request.url ?? '',
      ':authority',
      request.headers.host ?? '',
    ];
    for (const [name, value] of Object.entries(request.headers)) pairs.push(name, String(value));
    request.on('data', (chunk: Buffer) => {
      info.requestBytes += chunk.length;
    });
    response.once('close', () => {
      info.responseCode = response.statusCode;
      info.responseBytes = Math.max(0, request.socket.bytesWritten - sent);
      info.lastDownstreamTxByte = clock.monotonic();
      logger.log(info, new HeaderMap(pairs), new HeaderMap());
    });
  };
}
