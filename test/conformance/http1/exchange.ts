import { connect } from 'node:net';

/** What the server behind the proxy saw of one request. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export interface SeenResponse {
  readonly status: number;
  readonly statusLine: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** All that came back on one connection for the bytes of one case. */
export interface Observation {
  readonly responses: readonly SeenResponse[];
  /** The proxy closed the connection. */
  readonly closed: boolean;
  /** Bytes that are no response. */
  readonly rest: string;
}

/** Sends `raw` and reads until the proxy closes, or is silent for `quietMs`. */
export function observe(port: number, raw: string, quietMs: number): Promise<Observation> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let received = '';
    let timer: NodeJS.Timeout | undefined;
    const finish = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      const { responses, rest } = parseResponses(received, raw.startsWith('HEAD '));
      resolve({ responses, closed, rest });
    };
    const rearm = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => finish(false), quietMs);
    };
    socket.setEncoding('latin1');
    socket.on('connect', () => {
      socket.write(raw, 'latin1');
      rearm();
    });
    socket.on('data', (data: string) => {
      received += data;
      rearm();
    });
    socket.on('end', () => finish(true));
    socket.on('error', () => finish(true));
  });
}

/** A small HTTP/1.1 response reader that leaves what it does not understand in `rest`. */
export function parseResponses(text: string, firstIsHead: boolean): { responses: SeenResponse[]; rest: string } {
  const responses: SeenResponse[] = [];
  let rest = text;
  let head = firstIsHead;
  while (rest.startsWith('HTTP/1.')) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) break;
    const [statusLine = '', ...lines] = rest.slice(0, end).split('\r\n');
    const headers = new Map<string, string>();
    for (const one of lines)
      headers.set(one.slice(0, one.indexOf(':')).toLowerCase(), one.slice(one.indexOf(':') + 1).trim());
    const status = Number(statusLine.split(' ')[1]);
    const body = readBody(rest.slice(end + 4), headers, status, head);
    if (body === undefined) break;
    responses.push({ status, statusLine, headers, body: body.body });
    rest = body.rest;
    if (status >= 200) head = false;
  }
  return { responses, rest };
}

function readBody(
  text: string,
  headers: ReadonlyMap<string, string>,
  status: number,
  head: boolean,
): { body: string; rest: string } | undefined {
  if (head || status < 200 || status === 204 || status === 304) return { body: '', rest: text };
  if (headers.get('transfer-encoding') === 'chunked') return readChunks(text);
  const length = headers.get('content-length');
  if (length === undefined) return { body: text, rest: '' };
  if (text.length < Number(length)) return undefined;
  return { body: text.slice(0, Number(length)), rest: text.slice(Number(length)) };
}

function readChunks(text: string): { body: string; rest: string } | undefined {
  let body = '';
  let rest = text;
  for (;;) {
    const match = /^([0-9a-f]+)\r\n/.exec(rest);
    if (!match) return undefined;
    const size = Number.parseInt(match[1] as string, 16);
    const start = match[0].length;
    if (rest.slice(start + size, start + size + 2) !== '\r\n') return undefined;
    body += rest.slice(start, start + size);
    rest = rest.slice(start + size + 2);
    if (size === 0) return { body, rest };
  }
}

/** What the server saw, from the JSON that it answers with. */
export function seenRequest(response: SeenResponse): SeenRequest | undefined {
  if (response.status !== 200 || response.body === '') return undefined;
  try {
    return JSON.parse(response.body) as SeenRequest;
  } catch {
    return undefined;
  }
}
