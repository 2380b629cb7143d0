import { run } from '../tools/commands.js';
import { compile } from '../tools/compile.js';

/** What load/open_loop.c counted, times in microseconds; latencies from when a request was due. */
export interface OpenLoopResult {
  readonly due: number;
  readonly answered: number;
  /** Connections lost, requests never answered, and all that is in `wrong`. */
  readonly failed: number;
  /** Another status, length or body than expected. */
  readonly wrong: number;
  readonly tookUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  /** How late the client itself was. */
  readonly lagP99Us: number;
}

/** Requests at a constant rate, whatever becomes of those before. */
export async function runOpenLoop(
  cpus: string,
  load: {
    readonly port: number;
    readonly connections: number;
    readonly rate: number;
    readonly seconds: number;
    readonly body: number;
  },
): Promise<OpenLoopResult> {
  const { port, connections, rate, seconds, body } = load;
  const program = await compile('load/open_loop.c', 'open_loop');
  const args = [port, connections, rate, seconds, body].map(String);
  const output = await run('taskset', ['-c', cpus, program, ...args]);
  return JSON.parse(output.slice(0, output.indexOf('\n'))) as OpenLoopResult;
}

export function openLoopProblems({ due, answered, failed, wrong }: OpenLoopResult): readonly string[] {
  return [
    ...(failed > 0 ? [`${failed} requests failed, ${wrong} of them with a wrong answer`] : []),
    ...(answered !== due ? [`${answered} answers to ${due} requests`] : []),
  ];
}
