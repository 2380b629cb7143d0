import type { Verdict } from '../model/verdict.js';
import type { Turns } from '../turns.js';
import type { Candidate, Plan, Unchanged } from './plan-response.js';
import type { ResourceType } from './resource-type.js';

/** Resources of one response that are judged side by side: a judge may wait for a child process, and what plugins are asked for at one time is cheaper. */
const parallelJudges = 64;

export interface Judged<T> {
  readonly verdicts: readonly {
    readonly candidate: Candidate;
    readonly verdict: Verdict<T>;
  }[];
  readonly unchanged: readonly Unchanged<T>[];
}

/** Judges what is new, and again what is stale. Results keep the order of the response. Never rejects. */
export async function judgePlan<T>(type: ResourceType<T>, plan: Plan<T>, turns: Turns): Promise<Judged<T>> {
  const stale = await staleOnes(type, plan.unchanged, turns);
  // They have the name that they were accepted with.
  const again = stale.map(({ held: { name, bytes }, version }) => ({ name, version, bytes, ownName: true }));
  const candidates = [...plan.candidates, ...again];
  const judge = async (candidate: Candidate) => ({ candidate, verdict: await judgeOne(type, candidate) });
  const verdicts = await mapInOrder(candidates, turns, judge);
  if (stale.length === 0) return { verdicts, unchanged: plan.unchanged };
  const without = new Set(stale);
  return { verdicts, unchanged: plan.unchanged.filter((one) => !without.has(one)) };
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
  unchanged: readonly Unchanged<T>[],
  turns: Turns,
): Promise<Unchanged<T>[]> {
  const isStale = type.staleCheck?.();
  if (!isStale) return [];
  const stale = new Set<Unchanged<T>>();
  const check = (one: Unchanged<T>): void | Promise<void> => {
    const { verdict } = one.held;
    const model = verdict.kind === 'rejected' ? undefined : verdict.model;
    if (model === undefined) return;
    const take = (flag: boolean) => {
      if (flag) stale.add(one);
    };
    try {
      const flag = isStale(model);
      if (typeof flag === 'boolean') take(flag);
      else return flag.then(take, () => take(true));
    } catch {
      take(true);
    }
  };
  await mapInOrder(unchanged, turns, check);
  return stale.size === 0 ? [] : unchanged.filter((one) => stale.has(one));
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
