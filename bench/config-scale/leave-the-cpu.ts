import { execFileSync } from 'node:child_process';

/**
 * A process that shares a CPU with the client of the load runs only when that has nothing to do: what it needs would be measured as latency.
 * The lowest priority is not enough, because whoever has the CPU keeps it for a slice. Threads and processes that it starts later inherit it.
 * https://man7.org/linux/man-pages/man7/sched.7.html, SCHED_IDLE
 */
export function leaveTheCpu(pid: number): void {
  execFileSync('chrt', ['--idle', '--all-tasks', '--pid', '0', String(pid)], { stdio: 'ignore' });
}
