import { join } from 'node:path';
import { run } from '../tools/commands.js';
import type { Tool } from '../tools/debian.js';
import { benchRoot } from '../tools/paths.js';

/** What wrk counted, times in microseconds. */
export interface WrkResult {
  readonly requests: number;
  readonly durationUs: number;
  /** Of heads and bodies, those of answers that were cut off at the end included. */
  readonly bytes: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
  readonly errors: Readonly<Record<'connect' | 'read' | 'write' | 'status' | 'timeout', number>>;
}

/** Reads the line that load/post.lua prints. @throws Error when it is not there */
export function parseWrk(output: string): WrkResult {
  const line = /^WRK (\{.*\})$/m.exec(output)?.[1];
  if (line === undefined) throw new Error(`wrk did not print its result:\n${output.slice(-2_000)}`);
  return JSON.parse(line) as WrkResult;
}

/** Of a run against a server that is gone. */
const nothing = (connections: number): WrkResult => ({
  requests: 0,
  durationUs: 1,
  bytes: 0,
  p50Us: 0,
  p99Us: 0,
  p999Us: 0,
  maxUs: 0,
  errors: { connect: connections, read: 0, write: 0, status: 0, timeout: 0 },
});

/** As many requests as the connections carry, one after the other on each, for whole seconds. */
export async function runWrk(
  wrk: Tool,
  cpus: string,
  load: {
    readonly port: number;
    readonly connections: number;
    readonly body: number;
    readonly seconds: number;
    /** The body is a text of that length in JSON. */
    readonly json?: boolean;
    /** Each request has a header that none before had, as with the traces of a mesh; all are the same otherwise. */
    readonly headsDiffer?: boolean;
  },
): Promise<WrkResult> {
  const { port, connections, body, seconds, json = false, headsDiffer = false } = load;
  const flags = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency'];
  const script = ['-s', join(benchRoot, 'load', 'post.lua'), `http://127.0.0.1:${port}/`];
  try {
    const env = {
      ...process.env,
      ...wrk.env,
      BODY: String(body),
      JSON: json ? '1' : '',
      HEADS: headsDiffer ? 'differ' : '',
    };
    return parseWrk(await run('taskset', ['-c', cpus, wrk.command, ...flags, ...script], { env }));
  } catch (error) {
    if ((error as Error).message.includes('unable to connect')) return nothing(connections);
    throw error;
  }
}

/** The largest head of an answer that any peer sends. */
const largestHead = 1024;

/** What is wrong with a run, from what wrk and the server behind the proxy counted; nothing of this may be. */
export function problemsOf(
  result: WrkResult,
  expected: {
    readonly body: number;
    readonly connections: number;
    readonly served: { readonly answers: number; readonly bytes: number };
    readonly others: number;
  },
): readonly string[] {
  const { body, connections, served, others } = expected;
  const problems = Object.entries(result.errors)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind} errors`);
  if (result.requests === 0) problems.push('no answer at all');
  const most = (result.requests + connections) * (body + largestHead);
  if (result.bytes < result.requests * body || result.bytes > most)
    problems.push(`${result.bytes} bytes in ${result.requests} answers with a body of ${body} bytes each`);
  // Requests under way at the end reach the server too.
  if (served.answers < result.requests || served.answers > result.requests + connections + others)
    problems.push(`${result.requests} answers, but the server gave ${served.answers}`);
  if (others === 0 && served.bytes !== served.answers * body)
    problems.push(`the server got ${served.bytes} bytes in ${served.answers} bodies of ${body} bytes`);
  return problems;
}
