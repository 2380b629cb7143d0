import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Real Dubbo: providers and a consumer in Java, from test/peers/dubbo. */
const root = fileURLToPath(new URL('../../../', import.meta.url));
const source = join(root, 'test', 'peers', 'dubbo');
const cache = join(root, 'node_modules', '.cache', 'pontoon');

export const echoService = 'pontoon.peer.EchoService';

let built: Promise<string> | undefined;

/**
 * Builds the peers with Maven, if they changed since. Where that is impossible the suite is skipped, with the reason on stderr, unless CI=true: then it fails.
 * Raises the caller's timeout: the first build fetches Dubbo. Without a context, it fails.
 */
export async function requireDubbo(context?: Mocha.Context): Promise<void> {
  context?.timeout(600_000);
  try {
    built ??= build();
    await built;
  } catch (error) {
    const reason = `Dubbo's peers cannot be built: ${error instanceof Error ? error.message : String(error)}`;
    if (context === undefined || process.env.CI === 'true') throw new Error(reason);
    console.error(`    skipped: ${reason}`);
    context.skip();
  }
}

/** The folder with `classes` and `lib`; its name follows the sources. */
async function build(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' }).sort()) {
    if (/\.(java|xml)$/.test(file)) hash.update(file).update(readFileSync(join(source, file)));
  }
  const folder = join(cache, `dubbo-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  console.error('    building the Dubbo peers (once; Maven fetches Dubbo where it is not there yet) …');
  mkdirSync(cache, { recursive: true });
  // Built aside and renamed: a second test process never sees half a folder.
  const draft = `${folder}.${process.pid}`;
  const args = ['-B', '-q', '-f', join(source, 'pom.xml'), 'compiler:compile', 'dependency:copy-dependencies'];
  try {
    await promisify(execFile)('mvn', [
      ...args,
      `-Dbuild.folder=${draft}`,
      '-DincludeScope=runtime',
      `-DoutputDirectory=${join(draft, 'lib')}`,
    ]);
    renameSync(draft, folder);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!existsSync(folder)) throw error;
  }
  return folder;
}

async function java(main: string, args: readonly string[], flags: readonly string[] = []): Promise<ChildProcess> {
  const folder = await (built ?? Promise.reject(new Error('requireDubbo comes first')));
  const classPath = [join(folder, 'classes'), join(folder, 'lib', '*')].join(delimiter);
  const jvm = ['-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', ...flags, '-cp', classPath];
  return spawn('java', [...jvm, main, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
}

export interface EchoCounts {
  readonly answers: number;
  /** Of all texts, in characters. */
  readonly bytes: number;
}

export interface Provider {
  readonly port: number;
  readonly process: ChildProcess;
  log(): string;
  /** Of `echoString`, since its start. */
  counts(): Promise<EchoCounts>;
  /** At once, as a crash would. */
  kill(): Promise<void>;
  /** As an operator would: it says good-bye to its connections. */
  stop(): Promise<void>;
}

/** Starts a provider of `EchoService` and waits until it serves. Port 0: a free one. */
export async function startProvider(name: string, port = 0, flags: readonly string[] = []): Promise<Provider> {
  const child = await java('pontoon.peer.Provider', [name, String(port)], flags);
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    log = (log + chunk).slice(-200_000);
  });
  const exited = once(child, 'exit');
  const asked: ((counts: EchoCounts) => void)[] = [];
  const ready = new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      const [, word, value] = /^(ready|counts) (.+)$/.exec(line) ?? [];
      if (word === 'ready') resolve(Number(value));
      if (word === 'counts') asked.shift()?.(JSON.parse(value as string) as EchoCounts);
    });
    exited.then(([code]) => reject(new Error(`the provider ended with ${code}:\n${log.slice(-4000)}`)), reject);
  });
  const end = (signal: NodeJS.Signals) => async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
  };
  const counts = () =>
    new Promise<EchoCounts>((resolve, reject) => {
      asked.push(resolve);
      exited.then(() => reject(new Error('the provider has ended')), reject);
      child.stdin?.write('\n');
    });
  return { port: await ready, process: child, log: () => log, counts, kill: end('SIGKILL'), stop: end('SIGTERM') };
}

/** A Java consumer with a generic service and a direct one, as other teams call the same provider. */
export interface Consumer {
  /**
   * Calls and gives the result as the README's table has it in JSON, written by Java.
   * `args`: see Consumer.java.
   */
  call(mode: string, method: string, types: readonly string[], args: string): Promise<string>;
  close(): Promise<void>;
}

export async function startConsumer(port: number): Promise<Consumer> {
  const child = await java('pontoon.peer.Consumer', [String(port)]);
  let log = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    log = (log + chunk).slice(-200_000);
  });
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`the consumer ended:\n${log.slice(-4000)}`);
      if (value.startsWith('> ')) return value.slice(2);
    }
  };
  await next();
  return {
    async call(mode, method, types, args) {
      child.stdin?.write(`${mode}\t${method}\t${types.join(',')}\t${args}\n`);
      return next();
    },
    async close() {
      const exited = once(child, 'exit');
      child.stdin?.end();
      await exited;
    },
  };
}
