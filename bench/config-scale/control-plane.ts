import { execFileSync } from 'node:child_process';
import { GoControlPlane } from '../../test/support/go-control-plane.js';
import { moveTo } from '../side-by-side/measure/cpus.js';

/**
 * Starts one that keeps off the proxy's CPU, and runs only when the load has nothing to do: a push costs it more than the proxy, and would be measured as
 * latency of the client, whose CPU it shares. https://man7.org/linux/man-pages/man7/sched.7.html SCHED_IDLE
 */
export async function startControlPlane(cpus: string, args: readonly string[] = []): Promise<GoControlPlane> {
  const controlPlane = await GoControlPlane.start(args);
  try {
    moveTo(controlPlane.pid, cpus);
    execFileSync('chrt', ['--all-tasks', '--idle', '--pid', '0', String(controlPlane.pid)]);
    return controlPlane;
  } catch (error) {
    await controlPlane.close();
    throw error;
  }
}
