import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LoadCommand, LoadIdentity, LoadMessage, LoadReport } from './protocol.js';

type Start = Omit<Extract<LoadCommand, { kind: 'start' }>, 'kind'>;

/**
 * Clients on keep-alive connections and twelve TCP servers that tell who they are, in a process of their own, so that the test process stays
 * free to push and to measure. The servers speak the protocol of test/fixtures/plugins/stamp.ts.
 */
export class Load {
  readonly #child: ChildProcess;
  readonly ports: readonly number[];

  private constructor(child: ChildProcess, ports: readonly number[]) {
    this.#child = child;
    this.ports = ports;
  }

  /** The servers listen; no client yet. */
  static async open(): Promise<Load> {
    const child = fork(fileURLToPath(new URL('load-process.js', import.meta.url)), { execArgv: [] });
    const message = await nextMessage(child);
    if (message.kind !== 'servers') throw new Error(`the load process began with ${message.kind}`);
    return new Load(child, message.ports);
  }

  /** Ports of more servers, which speak TLS. */
  async listenTls(count: number, identity: LoadIdentity): Promise<readonly number[]> {
    const message = await this.#ask({ kind: 'listenTls', count, identity });
    if (message.kind !== 'servers') throw new Error(`the load process answered with ${message.kind}`);
    return message.ports;
  }

  start(options: Start): void {
    this.#send({ kind: 'start', ...options });
  }

  /** What happened so far. */
  async report(): Promise<LoadReport> {
    return await this.#report({ kind: 'report' });
  }

  /** Lets the running exchanges end; the servers stay. */
  async stop(): Promise<LoadReport> {
    return await this.#report({ kind: 'stop' });
  }

  close(): void {
    if (this.#child.connected) this.#child.disconnect();
  }

  #ask(command: LoadCommand): Promise<LoadMessage> {
    const answer = nextMessage(this.#child);
    this.#send(command);
    return answer;
  }

  async #report(command: LoadCommand): Promise<LoadReport> {
    const message = await this.#ask(command);
    if (message.kind !== 'report') throw new Error(`the load process answered with ${message.kind}`);
    return message.report;
  }

  #send(command: LoadCommand): void {
    this.#child.send(command);
  }
}

function nextMessage(child: ChildProcess): Promise<LoadMessage> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`the load process ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message as LoadMessage);
    });
  });
}
