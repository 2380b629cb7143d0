import { randomBytes } from 'node:crypto';
import { request } from 'node:http';

/** What comes back: the same bytes; the same text in JSON, which is sent so, too; other bytes, as many. */
export type Echo = 'bytes' | 'json' | 'length';

/**
 * One request on a connection of its own, whose body must come back as it was.
 *
 * @throws Error when anything else comes back
 */
export function probe(port: number, bodySize: number, echo: Echo = 'bytes'): Promise<void> {
  const random = randomBytes(bodySize);
  const body = echo === 'json' ? Buffer.from(JSON.stringify(random.toString('base64').slice(0, bodySize))) : random;
  const headers = echo === 'json' ? { 'content-type': 'application/json' } : {};
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, host: '127.0.0.1', method: 'POST', agent: false, timeout: 30_000, headers },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const answer = Buffer.concat(chunks);
          const right = echo === 'length' ? answer.length === bodySize : withoutNewline(answer, echo).equals(body);
          if (response.statusCode === 200 && right) resolve();
          else
            reject(
              new Error(
                `answered ${response.statusCode} with ${answer.length} bytes to a body of ${bodySize} bytes: ${answer.toString('latin1', 0, 200)}`,
              ),
            );
        });
      },
    );
    sent.on('timeout', () => sent.destroy(new Error('no answer within 30 s')));
    sent.on('error', reject);
    sent.end(body);
  });
}

const withoutNewline = (answer: Buffer, echo: Echo): Buffer =>
  echo === 'json' && answer.at(-1) === 10 ? answer.subarray(0, -1) : answer;
