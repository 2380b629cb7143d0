import { cpus, release, totalmem } from 'node:os';
import type { Machine } from '../results.js';

/** What the figures depend on, and nothing that tells whose machine it is. */
export function describeMachine(): Machine {
  const [first] = cpus();
  // Cloud kernels carry their builder's name behind the version.
  const kernel = /^\d+\.\d+(\.\d+)?/.exec(release())?.[0] ?? release();
  return {
    cpu: first?.model.trim() || process.arch,
    cpus: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `Linux ${kernel}`,
    node: process.version.slice(1),
  };
}
