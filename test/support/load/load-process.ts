/** Keep-alive clients and the TCP servers behind the proxy, in a process of their own: `startLoad` in load.ts starts it. */
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createTlsServer } from 'node:tls';
import { createRandom } from '../random.js';
import { ClientConnection, type ClientResponse } from './client-connection.js';
import type { LoadCommand, LoadMessage, LoadReport, Sighting } from './protocol.js';

const serverCount = 12;
let random = createRandom(0);

/** Open connections, by server. */
const open: number[] = [];

/** Answers each request with its own number and the stamps that came: in one to three lines, late and in pieces at times. */
function serve(index: number, socket: Socket): void {
  let rest = '';
  let stamps = new Set<string>();
  let bytes = 0;
  (open[index] as number)++;
  socket.on('close', () => (open[index] as number)--);
  socket.on('error', () => undefined);
  socket.on('data', async (data: Buffer) => {
    const lines = (rest + data.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const piece = JSON.parse(line) as { stamp: string; bytes: number; end: boolean };
      stamps.add(piece.stamp);
      bytes += piece.bytes;
      if (!piece.end) continue;
      const answer = { server: index, stamps: [...stamps], bytes };
      stamps = new Set();
      bytes = 0;
      await respond(socket, answer);
    }
  });
}

async function respond(socket: Socket, answer: object): Promise<void> {
  const count = 1 + Math.floor(random() * 3);
  const text = Array.from(
    { length: count },
    (_, i) => `${JSON.stringify({ ...answer, last: i === count - 1 })}\n`,
  ).join('');
  if (random() < 0.5) {
    socket.write(text);
    return;
  }
  await sleep(random() * 60);
  const cut = Math.floor(random() * text.length);
  socket.write(text.slice(0, cut));
  await sleep(random() * 60);
  socket.write(text.slice(cut));
}

interface Line {
  readonly server: number;
  readonly stamps: readonly string[];
  readonly bytes: number;
  readonly last: boolean;
  readonly by: string;
  readonly parse: string;
}

/** The one configuration that served this response. Throws where it shows more than one, or none. */
function inspect(path: string, { status, headers, body }: ClientResponse, sent: number): Sighting & { parse: string } {
  const text = body.toString();
  if (status !== 200) throw new Error(`${status} ${text}`);
  const stamp = headers.get('x-stamp') ?? 'none';
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  const server = lines[0]?.server ?? -1;
  const parse = lines[0]?.parse ?? 'none';
  for (const [index, line] of lines.entries()) {
    const whole =
      line.server === server &&
      line.by === stamp &&
      line.parse === parse &&
      line.stamps.length === 1 &&
      line.stamps[0] === stamp &&
      line.bytes === sent &&
      line.last === (index === lines.length - 1);
    if (!whole) throw new Error(`not whole from one version: x-stamp ${stamp}, ${sent} bytes sent: ${text}`);
  }
  return { path, stamp, server, parse };
}

/** A request in one piece, or with its body a moment later, so that versions change within requests. */
function makeRequest(path: string): { readonly pieces: readonly string[]; readonly bytes: number } {
  const body = 'x'.repeat(2 + Math.floor(random() * 2_000));
  const head = `POST ${path} HTTP/1.1\r\nhost: load\r\n`;
  const half = Math.floor(body.length / 2);
  const [first, second] = [body.slice(0, half), body.slice(half)];
  const chunk = (piece: string) => `${piece.length.toString(16)}\r\n${piece}\r\n`;
  const shape = random();
  if (shape < 0.4) return { pieces: [`${head}content-length: ${body.length}\r\n\r\n${body}`], bytes: body.length };
  if (shape < 0.7) {
    return { pieces: [`${head}content-length: ${body.length}\r\n\r\n${first}`, second], bytes: body.length };
  }
  return {
    pieces: [`${head}transfer-encoding: chunked\r\n\r\n`, chunk(first), `${chunk(second)}0\r\n\r\n`],
    bytes: body.length,
  };
}

type Start = Extract<LoadCommand, { kind: 'start' }>;

class Load {
  readonly #options: Start;
  readonly #done: Promise<unknown>;
  #stopping = false;
  #exchanges = 0;
  #failures = 0;
  #announcedCloses = 0;
  #slowestMs = 0;
  readonly #examples: string[] = [];
  readonly #perConnection: number[];
  readonly #sequences: Sighting[][];
  readonly #seen = new Map<string, Sighting & { readonly at: number; readonly parses: Set<string> }>();

  constructor(options: Start) {
    this.#options = options;
    random = createRandom(options.seed);
    this.#perConnection = Array.from({ length: options.connections }, () => 0);
    this.#sequences = this.#perConnection.map(() => []);
    this.#done = Promise.all(this.#perConnection.map((_, index) => this.#run(index)));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  report(): LoadReport {
    return {
      exchanges: this.#exchanges,
      failures: this.#failures,
      examples: this.#examples,
      announcedCloses: this.#announcedCloses,
      perConnection: this.#perConnection,
      slowestMs: this.#slowestMs,
      serverConnections: open,
      sequences: this.#sequences,
      seen: [...this.#seen.values()].map((one) => ({ ...one, parses: [...one.parses] })),
    };
  }

  async #run(index: number): Promise<void> {
    const { paths, pauseMs, exchangesPerConnection = Number.POSITIVE_INFINITY } = this.#options;
    let connection = this.#connect(index);
    let left = exchangesPerConnection;
    const renew = () => {
      connection.close();
      connection = this.#connect(index);
      left = exchangesPerConnection;
    };
    for (let turn = index; !this.#stopping; turn++) {
      const path = paths[turn % paths.length] as string;
      try {
        await this.#exchange(index, connection, path);
      } catch (error) {
        this.#fail(`connection ${index}, ${path}: ${error instanceof Error ? error.message : String(error)}`);
        renew();
      }
      if (connection.closing) this.#announcedCloses++;
      if (connection.closing || --left <= 0) renew();
      await sleep(random() * 2 * pauseMs);
    }
    connection.close();
  }

  #connect(index: number): ClientConnection {
    const { host, port, tls } = this.#options;
    const options = tls && { ca: tls.ca, cert: tls.cert, key: tls.key, servername: tls.serverName };
    return new ClientConnection({ host, port, tls: options }, (error) => {
      // The next exchange on it would fail as well, and be counted: this says what happened first.
      if (!this.#stopping) this.#fail(`connection ${index}, between requests: ${error.message}`);
    });
  }

  async #exchange(index: number, connection: ClientConnection, path: string): Promise<void> {
    const started = performance.now();
    try {
      const { pieces, bytes } = makeRequest(path);
      const response = await connection.exchange(pieces, () => sleep(random() * 40));
      this.#record(index, inspect(path, response, bytes));
    } finally {
      this.#exchanges++;
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - started);
    }
  }

  #record(index: number, { parse, ...sighting }: Sighting & { readonly parse: string }): void {
    (this.#perConnection[index] as number)++;
    const { path, stamp, server } = sighting;
    const sequence = this.#sequences[index] as Sighting[];
    if (this.#options.onlyLatest) {
      const at = sequence.findIndex((one) => one.path === path);
      sequence[at < 0 ? sequence.length : at] = sighting;
      return;
    }
    const key = `${path} ${stamp} ${server}`;
    const known = this.#seen.get(key);
    if (known) known.parses.add(parse);
    else this.#seen.set(key, { ...sighting, at: Date.now(), parses: new Set([parse]) });
    const last = sequence.findLast((one) => one.path === path);
    if (last?.stamp !== stamp || last.server !== server) sequence.push(sighting);
  }

  #fail(example: string): void {
    this.#failures++;
    if (this.#examples.length < 20) this.#examples.push(example);
  }
}

function send(message: LoadMessage): void {
  process.send?.(message);
}

/** Starts as many servers as `create` is asked for, and says where. */
async function listen(count: number, create: (onSocket: (socket: Socket) => void) => Server): Promise<void> {
  const ports = await Promise.all(
    Array.from({ length: count }, () => {
      const index = open.push(0) - 1;
      const server = create((socket) => serve(index, socket));
      return new Promise<number>((resolve) => {
        server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
      });
    }),
  );
  send({ kind: 'servers', ports });
}

let load: Load | undefined;
process.on('message', async (command: LoadCommand) => {
  if (command.kind === 'start') load = new Load(command);
  else if (command.kind === 'listenTls') {
    const options = { ...command.identity, requestCert: true, rejectUnauthorized: true };
    await listen(command.count, (onSocket) =>
      createTlsServer(options, onSocket).on('tlsClientError', (error: NodeJS.ErrnoException) => {
        // A proxy may give up a connection before it was ever used.
        if (error.code !== 'ECONNRESET') console.error(`load server: ${error}`);
      }),
    );
  } else {
    if (command.kind === 'stop') await load?.stop();
    if (load) send({ kind: 'report', report: load.report() });
  }
});
process.on('disconnect', () => process.exit());

await listen(serverCount, (onSocket) => createServer({ noDelay: true }, onSocket));
