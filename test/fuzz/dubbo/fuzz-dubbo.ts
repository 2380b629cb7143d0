import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parseSettings } from '../../../plugins/dubbo/config.js';
import { FrameError } from '../../../plugins/dubbo/frame.js';
import { HessianReader } from '../../../plugins/dubbo/hessian/reader.js';
import { multiplexing } from '../../../plugins/dubbo/multiplexing.js';
import { exchange } from '../../plugins/dubbo/support.js';
import { createRandom } from '../../support/random.js';
import { below, clientRequest, type Random, serverBytes } from './generator.js';

export interface FuzzOptions {
  readonly cases: number;
  /** Of the first case; each next one has the next number. */
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}

export interface FuzzSummary {
  readonly cases: number;
  readonly findings: readonly { readonly seed: number; readonly difference: string; readonly input: string }[];
  /** What the cases came to, for people. */
  readonly outcome: string;
}

const settings = parseSettings({
  types: { 'a.Known': { fields: { count: 'int' } }, 'a.Color': { enum: ['RED'] } },
  routes: [
    {
      path: '/orders/{id}',
      interface: 'a.B',
      method: 'm',
      parameters: [
        { name: 'id', type: 'long' },
        { name: 'full', type: 'boolean', from: 'query' },
      ],
    },
  ],
  limits: { max_response_frame: 65_536, max_depth: 64 },
  json: { max_length: 262_144 },
});
const call = { path: '/a.Service/method', headers: { 'content-type': 'application/json' }, body: '[1]' };
const shared = multiplexing(settings);

/** No case may take longer. */
const maxMs = 1000;
/** What the memory in use may differ without a leak. */
const noiseBytes = 8 * 1024 * 1024;

/**
 * Feeds the plugin what servers and clients might send, whole and in pieces: whatever it is, there is one clear answer, soon, and nothing of it stays.
 * A finding is anything else.
 */
export function fuzzDubbo({ cases, seed, onProgress }: FuzzOptions): FuzzSummary {
  const findings: FuzzSummary['findings'][number][] = [];
  const statuses = new Map<string, number>();
  let heap = 0;
  for (let done = 0; done < cases; done++) {
    const caseSeed = seed + done;
    const random = createRandom(caseSeed);
    const started = performance.now();
    const { input, run } = random() < 0.7 ? serverCase(random) : clientCase(random);
    try {
      const outcome = run();
      statuses.set(outcome, (statuses.get(outcome) ?? 0) + 1);
    } catch (error) {
      findings.push({ seed: caseSeed, difference: String((error as Error).stack ?? error), input });
    }
    const ms = performance.now() - started;
    if (ms > maxMs) findings.push({ seed: caseSeed, difference: `it took ${ms.toFixed(0)} ms`, input });
    if (done === Math.floor(cases / 10)) heap = heapInUse();
    if ((done + 1) % 100_000 === 0) onProgress?.(done + 1);
  }
  const growth = heapInUse() - heap;
  if (growth > noiseBytes) findings.push({ seed, difference: `the heap grew by ${growth} bytes`, input: '' });
  const outcome = [...statuses].sort(([, a], [, b]) => b - a).map(([status, count]) => `${count} × ${status}`);
  return { cases, findings, outcome: outcome.join(', ') };
}

interface FuzzCase {
  readonly input: string;
  /** What it came to; throws when that must not be. */
  run(): string;
}

function serverCase(random: Random): FuzzCase {
  const made = exchange(settings, call);
  const bytes = serverBytes(random, made.id);
  return {
    input: bytes.toString('hex'),
    run() {
      checkSharing(bytes);
      for (let at = 0; at < bytes.length && made.answer === undefined; ) {
        const end = random() < 0.5 ? bytes.length : at + 1 + below(random, 40);
        made.receive(bytes.subarray(at, end));
        at = end;
      }
      if (made.answer === undefined) made.receive(Buffer.alloc(0), true);
      if (made.answer === undefined)
        return bytes.length === 0 || made.unread === 0 ? 'nothing' : fail('no answer at the end');
      const [, local = '', status = ''] = /^(local )?(\d{3}) /.exec(made.answer) ?? [];
      const text = made.answer.slice(local.length + 4);
      JSON.parse(text);
      return `${local}${status}`;
    },
  };
}

/** The functions that a shared connection asks: they answer, or say that it is none of their frames. */
function checkSharing(bytes: Buffer): void {
  try {
    const length = shared?.frameLength(bytes);
    if (length === undefined || bytes.length < length) return;
    if (shared?.isStrayFrame?.(bytes) === true) shared.onStrayFrame?.(bytes.subarray(0, length));
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
  }
}

function clientCase(random: Random): FuzzCase {
  const request = clientRequest(random);
  return {
    input: JSON.stringify({ ...request, body: request.body.toString('latin1') }),
    run() {
      const { sent, answer } = exchange(settings, request);
      if (sent === undefined) {
        const status = /^local (4\d\d) \{"error":/.exec(answer ?? '')?.[1];
        return status === undefined ? fail(`refused with ${answer}`) : `refused ${status}`;
      }
      // What is sent must be whole, and Hessian.
      if (sent.readUInt32BE(12) !== sent.length - 16) fail('a wrong length');
      const reader = new HessianReader(sent.subarray(16), settings.limits);
      while (reader.remaining > 0) reader.value();
      return 'sent';
    },
  };
}

function fail(what: string): never {
  throw new Error(what);
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapInUse(): number {
  collect();
  return process.memoryUsage().heapUsed;
}
