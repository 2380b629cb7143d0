import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { serveAsWorker, type WorkerLink, type WorkerTasks } from '../../src/workers/worker-link.js';

/** What a test tells a worker as configuration. */
export type TestMessage =
  | { readonly kind: 'note'; readonly value: unknown }
  | { readonly kind: 'throw' }
  | { readonly kind: 'wait'; readonly ms: number }
  /** Keeps the event loop busy. */
  | { readonly kind: 'work'; readonly ms: number }
  | { readonly kind: 'report'; readonly value: unknown }
  /** Writes the call mark. */
  | { readonly kind: 'mark'; readonly number: number }
  /** The process with that id opens files until it can't any more. */
  | { readonly kind: 'open_files'; readonly pid: number }
  | { readonly kind: 'hang' }
  | { readonly kind: 'exit'; readonly code: number; readonly words: string }
  /** How long it takes to drain; when it has connections it takes until they have ended anyhow. */
  | { readonly kind: 'drain_ms'; readonly ms: number };

export interface TestAnswer {
  readonly pid: number;
  /** Values of the notes so far. */
  readonly notes: readonly unknown[];
  readonly connections: number;
  /** How many times the event loop went round while configuration was carried out. */
  readonly turns: number;
}

/** In the file that is its argument, so that it can change between workers. */
export interface TestSettings {
  /** Ends as soon as its program runs, or when it is sent a connection, before it can say so. */
  readonly exitAt?: 'start' | 'connection';
  /** Says nothing after its start for so long, milliseconds. */
  readonly startMs?: number;
}

const settings = JSON.parse(readFileSync(process.argv[2] as string, 'utf8')) as TestSettings;
if (settings.exitAt === 'start') process.exit(9);
if (settings.exitAt === 'connection') {
  process.on('message', (message: { readonly type: string }) => {
    if (message.type === 'connection') process.exit(10);
  });
}
busy(settings.startMs ?? 0);

const notes: unknown[] = [];
const sockets = new Set<Socket>();
let turns = 0;
let drainMs = 0;
(function turn() {
  turns += 1;
  setImmediate(turn).unref();
})();

function busy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/**
 * One command per line; each is answered by a line. At the end of input: the number of bytes, their hash and the target, and the
 * connection is closed.
 */
function serve(socket: Socket, target: unknown): void {
  sockets.add(socket);
  const hash = createHash('sha1');
  let line = '';
  let bytes = 0;
  socket.on('error', () => undefined);
  socket.on('close', () => sockets.delete(socket));
  socket.on('data', (data: Buffer) => {
    hash.update(data);
    bytes += data.length;
    line += data.toString('latin1');
    for (let end = line.indexOf('\n'); end >= 0; end = line.indexOf('\n')) {
      command(socket, line.slice(0, end));
      line = line.slice(end + 1);
    }
    // What has no line ends is only counted.
    line = line.slice(-1_000);
  });
  // Later, which a socket that does not allow half-open connections would refuse.
  socket.on('end', () =>
    setTimeout(() => finish(socket, { pid: process.pid, bytes, hash: hash.digest('hex'), target }), 10),
  );
  socket.resume();
}

function finish(socket: Socket, received: unknown): void {
  socket.end(`${JSON.stringify(received)}\n`);
}

function command(socket: Socket, text: string): void {
  if (text === 'exit') process.exit(11);
  socket.write(`${process.pid} ${text}\n`);
  // That was written at once: who has read it knows that it hangs.
  if (text === 'hang') for (;;);
}

const link: WorkerLink = serveAsWorker({
  apply(value) {
    const message = value as TestMessage;
    switch (message.kind) {
      case 'note':
        notes.push(message.value);
        break;
      case 'throw':
        throw new Error('as told');
      case 'wait':
        return new Promise<void>((resolve) => setTimeout(resolve, message.ms));
      case 'work':
        busy(message.ms);
        break;
      case 'report':
        link.report(message.value);
        break;
      case 'mark':
        mark(message.number);
        break;
      case 'open_files':
        if (message.pid === process.pid) openFiles();
        break;
      case 'hang':
        for (;;);
      case 'exit':
        process.stderr.write(message.words);
        process.exit(message.code);
        break;
      case 'drain_ms':
        drainMs = message.ms;
    }
    return undefined;
  },
  answer(question) {
    if (question === 'throw') throw new Error('as asked');
    const answer: TestAnswer = { pid: process.pid, notes, connections: sockets.size, turns };
    return answer;
  },
  onConnection: serve,
  async drain(drainTimeMs) {
    const deadline = performance.now() + drainTimeMs;
    await new Promise((resolve) => setTimeout(resolve, drainMs));
    while (sockets.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
    link.report('drained');
  },
  connections: () => sockets.size,
} satisfies WorkerTasks);

function openFiles(): void {
  try {
    for (;;) openSync('/dev/null', 'r');
  } catch {
    // None left.
  }
}

/** As the native host does in mapped memory. */
function mark(number: number): void {
  const file = openSync(link.markFile, 'r+');
  writeSync(file, new Uint8Array(Uint32Array.of(number).buffer), 0, 4, 0);
  closeSync(file);
}
