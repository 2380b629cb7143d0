import { execFileSync } from 'node:child_process';
import { cpus } from 'node:os';

/** Which CPUs do what, as lists for taskset. */
export interface CpuPlan {
  /** The proxy under test, alone. */
  readonly proxy: string;
  /** A proxy of several processes. */
  readonly proxies: string;
  /** What sends the load, and this program. */
  readonly load: string;
  /** The server behind the proxy. */
  readonly upstream: string;
}

/** With two CPUs load and server share one; with one there is nothing to plan. */
export function planCpus(count = cpus().length): CpuPlan {
  if (count === 1) return { proxy: '0', proxies: '0', load: '0', upstream: '0' };
  if (count < 4) return { proxy: '0', proxies: '0,1', load: '1', upstream: count === 2 ? '1' : '2' };
  return { proxy: '0', proxies: '0,1', load: '2', upstream: '3' };
}

/** Moves a running process with all its threads. */
export function moveTo(pid: number, list: string): void {
  execFileSync('taskset', ['-a', '-c', '-p', list, String(pid)], { stdio: 'ignore' });
}
