import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../clock.js';
import type { Verdict } from '../model/verdict.js';
import type { Candidate, Plan } from './plan-response.js';
import type { AcceptedResource, ResourceType } from './resource-type.js';

/** Resources of one response that are judged side by side: a judge may wait for a child process. */
const parallelJudges = 16;
/** After this long without a pause requests get their turn. */
const longestTurnMs = 5;

export interface Judged<T> {
  readonly verdicts: readonly {
    readonly candidate: Candidate;
    readonly verdict: Verdict<T>;
  }[];
  readonly unchanged: readonly Candidate[];
}

/** Judges what is new, and again what is stale. Results keep the order of the response. Never rejects. */
export async function judgePlan<T>(type: ResourceType<T>, plan: Plan<T>, clock: Clock): Promise<Judged<T>> {
  const turn = createTurn(clock);
  const stale = await staleOnes(type, plan.unchanged, turn);
  const candidates = [...plan.candidates, ...stale];
  const verdicts = await mapInOrder(candidates, async (candidate) => {
    await turn();
    return { candidate, verdict: await judgeOne(type, candidate) };
  });
  const again = new Set(stale);
  return {
    verdicts,
    unchanged: plan.unchanged.map(({ candidate }) => candidate).filter((one) => !again.has(one)),
  };
}

async function judgeOne<T>(type: ResourceType<T>, candidate: Candidate): Promise<Verdict<T>> {
  const problem = candidate.ownName ? undefined : nameProblem(type, candidate);
  if (problem !== undefined) return rejected(problem);
  try {
    return await type.judge(candidate);
  } catch (error) {
    return rejected(`could not be judged: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function nameProblem<T>(type: ResourceType<T>, { name, bytes }: Candidate): string | undefined {
  try {
    const own = type.nameOf(bytes);
    return own === name ? undefined : `its own name is '${own}', which is not the name that it was sent under`;
  } catch (error) {
    return `cannot be decoded as ${type.typeUrl}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function rejected(message: string): Verdict<never> {
  return { kind: 'rejected', problems: [{ path: '', message }] };
}

async function staleOnes<T>(
  type: ResourceType<T>,
  unchanged: readonly {
    readonly candidate: Candidate;
    readonly held: AcceptedResource<T>;
  }[],
  turn: () => Promise<void>,
): Promise<Candidate[]> {
  const isStale = type.staleCheck?.();
  if (!isStale || unchanged.length === 0) return [];
  const flags = await mapInOrder(unchanged, async ({ held }) => {
    await turn();
    const model = held.verdict.kind === 'rejected' ? undefined : held.verdict.model;
    try {
      return model !== undefined && (await isStale(model));
    } catch {
      return true;
    }
  });
  return unchanged.filter((_, index) => flags[index]).map(({ candidate }) => candidate);
}

function createTurn(clock: Clock): () => Promise<void> {
  let began = clock.monotonic();
  let pause: Promise<void> | undefined;
  return async () => {
    while (clock.monotonic() - began >= longestTurnMs) {
      // One for all that wait: they go on side by side, so that what they ask for together (see limited-calls.ts) is done together.
      pause ??= setImmediate().then(() => {
        pause = undefined;
        began = clock.monotonic();
      });
      await pause;
    }
  };
}

async function mapInOrder<A, B>(items: readonly A[], work: (item: A) => Promise<B>): Promise<B[]> {
  const results: B[] = new Array(items.length);
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await work(items[index] as A);
  };
  await Promise.all(Array.from({ length: Math.min(parallelJudges, items.length) }, worker));
  return results;
}
