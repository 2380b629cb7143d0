import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';

/** Something that the benchmark can do without: a peer that isn't installed, a feature that this version lacks. The message says what to do about it. */
export class Unavailable extends Error {}

/**
 * Runs a program to its end and gives what it printed (stdout, then stderr).
 * @throws Error with the end of its output when it fails
 */
export async function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, { ...options, maxBuffer: 64 * 1024 * 1024 });
    return stdout + stderr;
  } catch (error) {
    const {
      stdout = '',
      stderr = '',
      message,
    } = error as Error & { readonly stdout?: string; readonly stderr?: string };
    const said = (stderr || stdout || message).trim().split('\n').slice(-5).join('\n');
    throw new Error(`${basename(command)} ${args[0] ?? ''}: ${said}`);
  }
}
