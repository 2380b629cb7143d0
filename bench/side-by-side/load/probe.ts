import { randomBytes } from 'node:crypto';
import { request } from 'node:http';

/**
 * One request on a connection of its own, whose body must come back as it was.
 *
 * @param echoes false for a server that answers other bytes: then only the length is compared
 * @throws Error when anything else comes back
 */
export function probe(port: number, bodySize: number, echoes = true): Promise<void> {
  const body = randomBytes(bodySize);
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', method: 'POST', agent: false, timeout: 30_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const answer = Buffer.concat(chunks);
        const right = echoes ? answer.equals(body) : answer.length === bodySize;
        if (response.statusCode === 200 && right) resolve();
        else
          reject(
            new Error(
              `answered ${response.statusCode} with ${answer.length} bytes to a body of ${bodySize} bytes: ${answer.toString('latin1', 0, 200)}`,
            ),
          );
      });
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer within 30 s')));
    sent.on('error', reject);
    sent.end(body);
  });
}
