import type { Verdict } from '../model/verdict.js';
import type { Turns } from '../turns.js';
import type { Candidate, Plan } from './plan-response.js';
import type { AcceptedResource, ResourceType } from './resource-type.js';

/** Resources of one response that are judged side by side: a judge may wait for a child process, and what plugins are asked for at one time is cheaper. */
const parallelJudges = 64;

export interface Judged<T> {
  readonly verdicts: readonly {
    readonly candidate: Candidate;
    readonly verdict: Verdict<T>;
  }[];
  readonly unchanged: readonly Candidate[];
}

/** Judges what is new, and again what is stale. Results keep the order of the response. Never rejects. */
export async function judgePlan<T>(type: ResourceType<T>, plan: Plan<T>, turns: Turns): Promise<Judged<T>> {
  const stale = await staleOnes(type, plan.unchanged, turns);
  const candidates = [...plan.candidates, ...stale];
  const judge = async (candidate: Candidate) => ({ candidate, verdict: await judgeOne(type, candidate) });
  const verdicts = await mapInOrder(candidates, turns, judge);
  const again = new Set(stale);
  const unchanged = plan.unchanged.map(({ candidate }) => candidate);
  return { verdicts, unchanged: again.size === 0 ? unchanged : unchanged.filter((one) => !again.has(one)) };
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
  turns: Turns,
): Promise<Candidate[]> {
  const isStale = type.staleCheck?.();
  if (!isStale || unchanged.length === 0) return [];
  const flags = await mapInOrder(unchanged, turns, ({ held }) => {
    const model = held.verdict.kind === 'rejected' ? undefined : held.verdict.model;
    if (model === undefined) return false;
    try {
      const stale = isStale(model);
      return typeof stale === 'boolean' ? stale : stale.catch(() => true);
    } catch {
      return true;
    }
  });
  return unchanged.filter((_, index) => flags[index]).map(({ candidate }) => candidate);
}

async function mapInOrder<A, B>(items: readonly A[], turns: Turns, work: (item: A) => B | Promise<B>): Promise<B[]> {
  const results: B[] = new Array(items.length);
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < items.length; index = next++) {
      // The others may have used up the turn that the pause was for.
      for (let pause = turns(); pause; pause = turns()) await pause;
      const result = work(items[index] as A);
      results[index] = result instanceof Promise ? await result : result;
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallelJudges, items.length) }, worker));
  return results;
}
