import { type ChildProcess, spawn } from 'node:child_process';
import { projectRoot } from './pontoon.js';
import { until } from './until.js';

/** A child process and what it writes. */
export interface Child {
  readonly process: ChildProcess;
  /** What it wrote so far. */
  stdout(): string;
  stderr(): string;
  /** Waits for a match in stdout from position `from` on; fails when the process ends before. */
  outputs(pattern: RegExp, from?: number): Promise<RegExpExecArray>;
  /** Resolves with the exit code, null after a signal, when all output has come. */
  readonly closed: Promise<number | null>;
}

/** Processes take long to start on a machine that has other work, milliseconds. */
const startLimit = 60_000;

/** Starts a program in the project's folder, with its stdin closed. */
export function startChild(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
  const child = spawn(command, args, {
    cwd: projectRoot,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  let isClosed = false;
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      isClosed = true;
      resolve(code);
    });
  });
  return {
    process: child,
    stdout: () => stdout,
    stderr: () => stderr,
    outputs: (pattern, from = 0) =>
      until(
        `output ${pattern}`,
        () => {
          const found = pattern.exec(stdout.slice(from));
          if (!found && isClosed) throw new Error(`it ended without ${pattern}:\n${stdout}${stderr}`);
          return found ?? undefined;
        },
        startLimit,
      ),
    closed,
  };
}

/** Runs a program to its end. */
export async function runChild(
  command: string,
  args: readonly string[],
  env?: NodeJS.ProcessEnv,
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const child = startChild(command, args, env);
  const code = await child.closed;
  return { code, stdout: child.stdout(), stderr: child.stderr() };
}
