import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { until } from '../../../test/support/until.js';
import { projectRoot } from './paths.js';

/** A program that runs on some CPUs only, in the project's folder unless told otherwise. */
export interface Launched {
  readonly pid: number;
  /** All that it wrote to stdout. */
  stdout(): string;
  /** The end of what it wrote to stderr. */
  stderr(): string;
  hasEnded(): boolean;
  /** Waits for a match in stdout from position `from` on; fails when the program ends before. */
  outputs(pattern: RegExp, from?: number): Promise<RegExpExecArray>;
  /** Resolves with the exit code, null after a signal. */
  readonly ended: Promise<number | null>;
  /** SIGTERM, SIGKILL after 5 s. */
  stop(): Promise<void>;
}

export interface LaunchOptions {
  /** As for taskset, which replaces itself by the program: the process id is the program's. */
  readonly cpus: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** @throws Error when taskset (util-linux) is missing */
export function launch(
  command: string,
  args: readonly string[],
  { cpus, env, cwd = projectRoot }: LaunchOptions,
): Launched {
  const child = spawn('taskset', ['-c', cpus, command, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.on('error', () => {}); // told by the missing pid
  if (child.pid === undefined) throw new Error(`${command}: taskset (package util-linux) is needed to start it`);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk).slice(-10_000);
  });
  // Not 'close': a child of the program that outlives it may hold its output open.
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid,
    stdout: () => stdout,
    stderr: () => stderr,
    hasEnded,
    ended,
    outputs: (pattern, from = 0) =>
      until(
        `${command}: output ${pattern}`,
        () => {
          const found = pattern.exec(stdout.slice(from));
          if (!found && hasEnded()) throw new Error(`${command} ended without ${pattern}:\n${stdout}${stderr}`);
          return found ?? undefined;
        },
        30_000,
      ),
    async stop() {
      if (!hasEnded()) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
    },
  };
}
