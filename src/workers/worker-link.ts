import { writeSync } from 'node:fs';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { deserialize } from 'node:v8';
import { type FromWorker, type ToWorker, type WorkerSettings, workerVariable } from './protocol.js';
import { SerialQueue } from './serial-queue.js';

/** What the main process tells a worker, as the worker's composition implements it. */
export interface WorkerTasks {
  /**
   * Carries out one piece of configuration; the next one waits until it is done. Also called while it drains. Must not reject: what
   * goes wrong is reported by the task itself.
   */
  apply(message: unknown): void | Promise<void>;
  /** Answers a question at once: it does not wait for what `apply` has still to do. */
  answer(question: unknown): unknown;
  /**
   * A connection that was accepted for it; `target` is what the main process said of it. Nothing was read of it, and it is as if
   * accepted by a server with `allowHalfOpen`, `noDelay` and `pauseOnConnect`: `resume` starts it.
   */
  onConnection(socket: Socket, target: unknown): void;
  /** Called once: no more connections come. Resolves when nothing is left to serve, at the latest after `drainTimeMs`; the process ends then. */
  drain(drainTimeMs: number): Promise<void>;
  /** For the main process's choice of who gets the next connection. */
  connections(): number;
}

/** A worker's end of the line to the main process. */
export interface WorkerLink {
  /** Tells the main process something, in order. It must be what `v8.serialize` can write. */
  report(message: unknown): void;
  /** To be mapped as shared memory: the first four bytes are the number of a CallMark, which the main process reads when this process has ended. */
  readonly markFile: string;
}

/** How a handle comes out of the channel, before there is a socket. */
type Handle = NonNullable<unknown> & { close(): void };

/**
 * Makes this process a worker: from now on it does what the main process says, gives signs of life, and ends when the main process is
 * gone. Signals that reach all processes of a terminal are left to the main process.
 * @throws Error when the process was not started by a fleet
 */
export function serveAsWorker(tasks: WorkerTasks): WorkerLink {
  const { markFile, signMs } = readSettings();
  ignoreSignals();
  const queue = new SerialQueue();
  /** Connections that are ours as soon as the main process knows it. */
  let arriving = 0;

  const connections = (): number => tasks.connections() + arriving;
  const sign = (): void => send({ type: 'alive', connections: connections() });

  function take(number: number, target: unknown, handle: Handle): void {
    arriving += 1;
    // Not read before the main process can know it: after that no other worker may get this connection.
    send({ type: 'taken', number, connections: connections() }, (error) => {
      arriving -= 1;
      if (error) handle.close();
      else tasks.onConnection(socketOf(handle), target);
    });
  }

  function drain(drainTimeMs: number): void {
    tasks
      .drain(drainTimeMs)
      .catch((error: unknown) => complain('draining failed', error))
      .finally(() => send({ type: 'drained' }, () => process.exit(0)));
  }

  process.on('message', (message: ToWorker, handle: unknown) => {
    switch (message.type) {
      case 'apply':
        return queue.add(() => carryOut(tasks, message.body));
      case 'replayed':
        return queue.add(() => send({ type: 'ready' }));
      case 'barrier':
        return queue.add(() => send({ type: 'passed', number: message.number }));
      case 'question':
        return answer(tasks, message.number, message.question);
      case 'connection':
        return take(message.number, message.target, handle as Handle);
      case 'given':
        return send({ type: 'taken_up_to', number: message.upTo });
      case 'drain':
        return drain(message.drainTimeMs);
    }
  });
  process.on('disconnect', () => {
    writeLine('the main process is gone: this worker ends');
    process.exit(1);
  });
  setInterval(sign, signMs);
  sign();
  return { markFile, report: (report) => send({ type: 'report', report }) };
}

function readSettings(): WorkerSettings {
  const settings = process.env[workerVariable];
  if (settings === undefined || !process.send) {
    throw new Error(
      `this program is a worker: it is started by its main process, with ${workerVariable} and a channel`,
    );
  }
  // Processes that this one starts are not workers.
  delete process.env[workerVariable];
  return JSON.parse(settings) as WorkerSettings;
}

/** SIGUSR1 would open a debugger. */
function ignoreSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) process.on(signal, () => undefined);
}

function send(message: FromWorker, done: (error: Error | null) => void = () => undefined): void {
  // When that fails the main process is gone, and `disconnect` says so.
  process.send?.(message, undefined, {}, done);
}

async function carryOut(tasks: WorkerTasks, body: Uint8Array): Promise<void> {
  try {
    await tasks.apply(deserialize(body));
  } catch (error) {
    complain('a piece of configuration was not carried out', error);
  }
}

function answer(tasks: WorkerTasks, number: number, question: unknown): void {
  try {
    send({ type: 'answer', number, answer: tasks.answer(question) });
  } catch (error) {
    send({ type: 'unanswered', number, problem: describe(error) });
  }
}

/** As `net.Server` does for what it accepts: these two options of Node are not in its documentation. */
function socketOf(handle: Handle): Socket {
  const options: SocketConstructorOpts & {
    readonly handle: Handle;
    readonly pauseOnCreate: true;
    readonly noDelay: true;
  } = {
    handle,
    pauseOnCreate: true,
    // Set on the connection by who accepted it; said here so that it is not set again.
    noDelay: true,
    allowHalfOpen: true,
    readable: true,
    writable: true,
  };
  return new Socket(options);
}

function complain(what: string, error: unknown): void {
  writeLine(`${what}: ${describe(error)}`);
}

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

function writeLine(line: string): void {
  try {
    writeSync(2, `worker ${process.pid}: ${line}\n`);
  } catch {
    // Nobody reads it any more.
  }
}
