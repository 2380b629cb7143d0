import { readdirSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** Added to the process's niceness: such a thread has a tenth of the CPU time that the event loop has, where both want it. */
const lessNice = 10;
const leastPriority = 19;

/**
 * Lets the event loop go first, where it has no CPU for itself (a container with one CPU, a worker beside others): the threads in which the engine compiles and
 * marks what is in use have a lower priority from now on. As peers they take turns with it, of some 4 ms each, and with four of them requests wait for 15 ms now
 * and then. Called once per process, at the start: threads that come later are not the engine's, and have the priority of the one that made them.
 *
 * Linux has a priority for each thread; elsewhere this does nothing. https://man7.org/linux/man-pages/man2/setpriority.2.html
 */
export function putEventLoopFirst(): void {
  if (process.platform !== 'linux') return;
  try {
    const priority = Math.min(leastPriority, getPriority(process.pid) + lessNice);
    for (const thread of readdirSync('/proc/self/task').map(Number))
      if (thread !== process.pid) setPriority(thread, priority);
  } catch {
    // Without /proc, or where it is forbidden, they stay as they are: requests only wait longer.
  }
}
