import { request } from 'node:http';

/** Asks an admin interface without leaving a connection behind. */
export function askAdmin(url: string, method: 'GET' | 'POST' = 'GET'): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method, agent: false, headers: { connection: 'close' } }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('close', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end();
  });
}
