import { join } from 'node:path';
import { runChild } from './child.js';
import { projectRoot } from './pontoon.js';

/** Runs a program of bench/ to its end. */
export function runBench(name: string, args: readonly string[]): ReturnType<typeof runChild> {
  return runChild(process.execPath, [join(projectRoot, 'dist', 'bench', `${name}.js`), ...args]);
}
