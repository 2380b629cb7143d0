import { type ChildProcess, fork, type SendHandle } from 'node:child_process';
import type { Clock, Timer } from '../clock.js';
import { LastWords } from './last-words.js';
import { createMarkFile, readMark, removeMarkFile } from './mark-file.js';
import { type FromWorker, type ToWorker, type WorkerSettings, workerVariable } from './protocol.js';

/** How a worker ended, or why it was ended. */
export interface WorkerEnd {
  readonly worker: number;
  readonly cause: /** The process ended by itself: `detail` has its exit code or signal, and the last that it wrote to stderr. */
    | 'crashed'
    /** No sign of life for `silenceMs`: it was killed. */
    | 'hung'
    /** It was replaced, or the fleet was closed: it had drained, or its drain time was over. */
    | 'retired';
  readonly detail: string;
  /** The number that was in the worker's call mark (see CallMark in bridge/) when it ended: whose code was on the stack. 0: nobody's. */
  readonly mark: number;
}

/**
 * - starting: the process has not given its first sign of life.
 * - replaying: it carries out what a new worker must know.
 * - serving: it takes connections.
 * - draining: it takes no more, and ends when those that it has are done.
 * - ending: it was killed, or its process has ended and the rest of what it said is still being read.
 * - ended: `onEnd` was called.
 */
export type WorkerState = 'starting' | 'replaying' | 'serving' | 'draining' | 'ending' | 'ended';

export interface WorkerProcessOptions {
  readonly program: string;
  readonly programArguments: readonly string[];
  readonly markFile: string;
  /** How often it gives a sign of life, milliseconds. */
  readonly signMs: number;
  readonly clock: Clock;
  onMessage(worker: WorkerProcess, message: FromWorker): void;
  /** Once, after its last message. */
  onEnd(worker: WorkerProcess, end: WorkerEnd): void;
}

/** An ended process's pipes close with it, unless a process that it started keeps them open: then this is how long they are read, milliseconds. */
const lastWordsMs = 1_000;
/** After its drain time a worker has this long to end by itself, milliseconds. */
const endingMs = 1_000;

/**
 * Threads beside the main one in which the engine compiles and collects. There are as many workers as processors, so one each is enough; and each of the four
 * that Node starts otherwise has a heap of the C library, some 2 MB together. Who starts this process may say otherwise: what `execArgv` has comes later.
 */
const engineThreads = '--v8-pool-size=1';
const namesEngineThreads = /--v8[-_]pool[-_]size/;

/** Node's arguments of a worker: those of this process. */
function nodeArguments(): string[] {
  // A debugger's port can't be opened twice.
  const own = process.execArgv.filter((argument) => !argument.startsWith('--inspect'));
  return namesEngineThreads.test(process.env.NODE_OPTIONS ?? '') ? own : [engineThreads, ...own];
}

/** One worker's process, seen from the main process. */
export class WorkerProcess {
  readonly number: number;
  readonly startedAt: number;
  /** As it said last. */
  connections = 0;
  /** Checks in a row that found no sign of life. */
  silentChecks = 0;
  #state: WorkerState = 'starting';
  readonly #options: WorkerProcessOptions;
  readonly #child: ChildProcess | undefined;
  readonly #lastWords = new LastWords((text) => process.stderr.write(text));
  /** What it is ended for; undefined when that is its own doing. */
  #killed: { readonly cause: 'hung' | 'retired'; readonly detail: string; readonly mark: number } | undefined;
  #drained = false;
  #exit: string | undefined;
  readonly #timers: Timer[] = [];

  constructor(number: number, options: WorkerProcessOptions) {
    this.number = number;
    this.#options = options;
    this.startedAt = options.clock.monotonic();
    try {
      this.#child = this.#fork();
    } catch (error) {
      const { message } = error as Error;
      // Whoever made it hears of its end when it knows it.
      setImmediate(() => this.#couldNotStart(message));
    }
  }

  get state(): WorkerState {
    return this.#state;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  send(message: ToWorker, handle?: SendHandle): void {
    // When that fails the process is ending, and its end says more.
    if (this.#child?.connected) this.#child.send(message, handle, {}, () => undefined);
  }

  /** It takes no more connections, and ends. */
  drain(drainTimeMs: number): void {
    if (this.#state !== 'serving') {
      this.retire('it had not begun to serve');
      return;
    }
    this.#state = 'draining';
    this.send({ type: 'drain', drainTimeMs });
    this.limitDrain(drainTimeMs);
  }

  /** Ends it when it still drains then. */
  limitDrain(drainTimeMs: number): void {
    this.#after(drainTimeMs + endingMs, () => this.retire('its drain time was over'));
  }

  retire(detail: string): void {
    this.#kill('retired', detail);
  }

  hung(detail: string): void {
    this.#kill('hung', detail);
  }

  #kill(cause: 'hung' | 'retired', detail: string): void {
    if (this.#state === 'ending' || this.#state === 'ended') return;
    this.#state = 'ending';
    // While it hangs: whose code it is in.
    this.#killed = { cause, detail, mark: readMark(this.#options.markFile) };
    this.#child?.kill('SIGKILL');
  }

  #fork(): ChildProcess {
    const { program, programArguments, markFile, signMs } = this.#options;
    createMarkFile(markFile);
    const settings: WorkerSettings = { markFile, signMs };
    const child = fork(program, programArguments, {
      execArgv: nodeArguments(),
      env: { ...process.env, [workerVariable]: JSON.stringify(settings) },
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    child.stderr?.on('data', (chunk: Buffer) => this.#lastWords.write(chunk));
    child.on('message', (message) => this.#onMessage(message as FromWorker));
    child.on('error', ({ message }) => {
      if (child.pid === undefined) this.#couldNotStart(message);
    });
    child.once('exit', (code, signal) => this.#onExit(code, signal));
    // Comes when the process has ended and all that it wrote was read.
    child.once('close', (code, signal) => {
      this.#onExit(code, signal);
      this.#finish();
    });
    return child;
  }

  #onMessage(message: FromWorker): void {
    if (this.#state === 'ended') return;
    this.silentChecks = 0;
    if (this.#state === 'starting') this.#state = 'replaying';
    if (message.type === 'ready' && this.#state === 'replaying') this.#state = 'serving';
    if (message.type === 'alive' || message.type === 'taken') this.connections = message.connections;
    if (message.type === 'drained') this.#drained = true;
    this.#options.onMessage(this, message);
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#exit !== undefined || this.#state === 'ended') return;
    this.#exit = signal === null ? `exit code ${code}` : `killed by ${signal}`;
    this.#state = 'ending';
    this.#after(lastWordsMs, () => this.#finish());
  }

  #couldNotStart(message: string): void {
    this.#exit = `its process could not be started: ${message}`;
    this.#finish();
  }

  #finish(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    for (const timer of this.#timers) timer.cancel();
    this.#lastWords.end();
    this.#child?.stderr?.destroy();
    if (this.#child?.connected) this.#child.disconnect();
    const end = this.#describeEnd();
    removeMarkFile(this.#options.markFile);
    this.#options.onEnd(this, end);
  }

  #describeEnd(): WorkerEnd {
    const worker = this.number;
    if (this.#killed) return { worker, ...this.#killed };
    if (this.#drained) return { worker, cause: 'retired', detail: 'it had drained', mark: 0 };
    const words = this.#lastWords.summary;
    const detail = words === '' ? `${this.#exit}` : `${this.#exit}; the last that it wrote to stderr:\n${words}`;
    return { worker, cause: 'crashed', detail, mark: readMark(this.#options.markFile) };
  }

  #after(ms: number, callback: () => void): void {
    this.#timers.push(this.#options.clock.setTimeout(callback, ms));
  }
}
