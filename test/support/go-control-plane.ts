import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { skipWithout } from './unavailable.js';

/** Resources by kind, each in Envoy's JSON names. */
export interface Snapshot {
  version: string;
  nodeId: string;
  resources: Partial<Record<'clusters' | 'endpoints' | 'listeners' | 'routes' | 'secrets', readonly object[]>>;
  /** Versions of single kinds, over `version`. */
  versions?: Readonly<Record<string, string>>;
  /** `clusters/NAME` → duration as Go writes it, `2s`. */
  ttls?: Readonly<Record<string, string>>;
}

/** A request as the server received it. */
export interface ReceivedRequest {
  seq: number;
  kind: 'sotw' | 'delta';
  stream_id: number;
  type_url: string;
  version_info?: string;
  nonce?: string;
  /** `subscribe` is Delta's word for all that answers nothing, `initial` SotW's. */
  ack: 'initial' | 'subscribe' | 'ack' | 'nack';
  error_detail?: string;
  error_code?: number;
  resource_names?: string[];
  subscribe?: string[];
  unsubscribe?: string[];
  initial_resource_versions?: Record<string, string>;
  node_id?: string;
  user_agent?: string;
  /** RFC 3339. */
  time: string;
}

/** A stream as the server knows it; times in RFC 3339. */
export interface ServerStream {
  id: number;
  kind: 'sotw' | 'delta';
  node_id: string;
  opened: string;
  closed?: string;
}

const root = fileURLToPath(new URL('../../..', import.meta.url));
const source = join(root, 'test', 'peers', 'go-control-plane');

/**
 * A real go-control-plane in a process of its own, on free ports, with a snapshot cache in ADS mode.
 *
 * ```ts
 * before(async function () {
 *   GoControlPlane.require(this);
 *   controlPlane = await GoControlPlane.start();
 * });
 * after(() => controlPlane?.close());
 * ```
 */
export class GoControlPlane {
  readonly #process: ChildProcess;
  /** Its control API, `http://127.0.0.1:PORT`, for other processes. */
  readonly api: string;
  readonly pid: number;
  /** Where its ADS is, `127.0.0.1:PORT`; the same after a stop and a start. */
  readonly address: string;

  private constructor(process: ChildProcess, address: string, api: string) {
    this.#process = process;
    this.pid = process.pid ?? 0;
    this.address = address;
    this.api = api;
  }

  /**
   * Builds it if its sources changed. Where that is impossible the suite is skipped, with the reason on stderr, unless CI=true: then it
   * fails. Raises the caller's timeout: the first build fetches modules and compiles Envoy's whole API.
   */
  static require(context: Mocha.Context): void {
    requireProgram(context, 'go-control-plane', '.');
  }

  /** Builds it if its sources changed. @throws Error where that is impossible */
  static build(): void {
    build('go-control-plane', '.');
  }

  /** Starts it, after `require` or `build`. `args` go to the program, `-h` lists them. */
  static async start(args: readonly string[] = []): Promise<GoControlPlane> {
    const child = spawn(binaryPath('go-control-plane'), ['-port', '0', '-http', '0', ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const exited = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`go-control-plane ended with ${code}`)));
    });
    exited.catch(() => {});
    const ready = new Promise<RegExpMatchArray>((resolve) => {
      // It logs every message; the lines are read on, so that the pipe never fills.
      createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
        const match = /xDS on (\S+), control API on (\S+),/.exec(line);
        if (match) resolve(match);
      });
    });
    const [, address = '', api = ''] = await Promise.race([ready, exited]);
    return new GoControlPlane(child, address, `http://${api}`);
  }

  /** Serves this to the node from now on. Returns a number for `acks`: what is received later has a higher one. */
  async putSnapshot(snapshot: Snapshot): Promise<number> {
    const { seq } = (await this.#call('PUT', '/snapshot', snapshot)) as { seq: number };
    return seq;
  }

  /** With `-cache linear` (or `mux`, for endpoints): changes single resources. */
  async patch(
    kind: keyof Snapshot['resources'],
    update: readonly object[],
    remove: readonly string[] = [],
  ): Promise<void> {
    await this.#call('PATCH', '/resources', { kind, update, delete: remove });
  }

  async clearSnapshot(nodeId: string): Promise<void> {
    await this.#call('DELETE', `/snapshot?nodeId=${encodeURIComponent(nodeId)}`);
  }

  /** Requests received after number `since`, oldest first. */
  async acks(since = 0): Promise<ReceivedRequest[]> {
    return (await this.#call('GET', `/acks?since=${since}`)) as ReceivedRequest[];
  }

  /** Forgets the requests that were received so far; their numbers go on. */
  async forgetAcks(): Promise<void> {
    await this.#call('DELETE', '/acks');
  }

  /** All streams that there were, oldest first. */
  async streams(): Promise<ServerStream[]> {
    return (await this.#call('GET', '/streams')) as ServerStream[];
  }

  /** Waits for a request of which the condition holds. */
  async waitForRequest(
    condition: (request: ReceivedRequest) => boolean,
    since = 0,
    timeoutMs = 10_000,
  ): Promise<ReceivedRequest> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const requests = await this.acks(since);
      const found = requests.find(condition);
      if (found) return found;
      if (Date.now() > end) throw new Error(`no such request within ${timeoutMs} ms, but ${JSON.stringify(requests)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Drops every stream and stops listening for xDS. Snapshots can still be set. */
  async stopGrpc(): Promise<void> {
    await this.#call('POST', '/grpc/stop');
  }

  async startGrpc(): Promise<void> {
    await this.#call('POST', '/grpc/start');
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await gone;
  }

  async #call(method: string, path: string, body?: object): Promise<unknown> {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await fetch(`${this.api}${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }
}

/**
 * Builds one of the folder's programs if its sources changed. Where that is impossible the suite is skipped, with the reason on stderr,
 * unless CI=true: then it fails. Raises the caller's timeout.
 *
 * @param pack its package, from the module's folder on
 */
export function requireProgram(context: Mocha.Context, name: string, pack: string): void {
  context.timeout(600_000);
  try {
    build(name, pack);
  } catch (error) {
    skipWithout(context, `${name} cannot be built`, error);
  }
}

/** Kept beside the dependencies, under a name that follows the sources. */
export function binaryPath(name: string): string {
  const hash = createHash('sha256');
  for (const file of sources(source)) hash.update(file.slice(source.length)).update(readFileSync(file));
  return join(root, 'node_modules', '.cache', 'pontoon', `${name}-${hash.digest('hex').slice(0, 16)}`);
}

function sources(folder: string): string[] {
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .flatMap((path) =>
      statSync(path).isDirectory() ? sources(path) : /\.go$|go\.(mod|sum)$/.test(path) ? [path] : [],
    );
}

/** Builds it if its sources changed. @throws Error where that is impossible */
export const buildGoControlPlane = (): void => build('go-control-plane', '.');

function build(name: string, pack: string): void {
  const binary = binaryPath(name);
  if (existsSync(binary)) return;
  console.error(`    building ${name} (once; it takes some minutes where no module was fetched yet) …`);
  mkdirSync(dirname(binary), { recursive: true });
  // Built aside and renamed: a second test process never sees half a file.
  const draft = `${binary}.${process.pid}`;
  execFileSync('go', ['build', '-o', draft, pack], {
    cwd: source,
    env: { ...process.env, CGO_ENABLED: '0' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  renameSync(draft, binary);
}
