import type { Verdict } from '../model/verdict.js';
import type { Turns } from '../turns.js';
import { type Candidate, lookAtEach, type Plan } from './plan-response.js';
import type { Entry } from './resource-cache.js';
import type { ResourceType } from './resource-type.js';
import type { ReceivedResponse } from './subscription.js';

/** Resources of one response that are judged side by side: a judge may wait for a child process, and what plugins are asked for at one time is cheaper. */
const parallelJudges = 64;

export interface Judged<T> {
  readonly verdicts: readonly {
    readonly candidate: Candidate;
    readonly verdict: Verdict<T>;
  }[];
  readonly unchanged: readonly Entry<T>[];
}

/** So many are asked for staleness without looking at the clock. */
const atOnce = 64;

/** Judges what is new, and again what is stale. Results keep the order of the response. Never rejects. */
export async function judgePlan<T>(
  type: ResourceType<T>,
  { version }: Pick<ReceivedResponse, 'version'>,
  plan: Plan<T>,
  turns: Turns,
): Promise<Judged<T>> {
  const { repetition } = plan;
  if (repetition && (await repetition.last.isStale(type))) lookAtEach(plan);
  const stale = await staleOnes(type, plan.unchanged, turns);
  // They have the name that they were accepted with.
  const again = [...stale].flatMap((entry) => {
    const { accepted } = entry;
    if (!accepted) return [];
    const { name, bytes } = accepted;
    return [{ name, version: plan.versions.get(entry) ?? version, bytes, ownName: true }];
  });
  const candidates = [...plan.candidates, ...again];
  const judge = async (candidate: Candidate) => ({ candidate, verdict: await judgeOne(type, candidate) });
  const verdicts = await mapInOrder(candidates, turns, judge);
  if (stale.size === 0) return { verdicts, unchanged: plan.unchanged };
  return { verdicts, unchanged: plan.unchanged.filter((entry) => !stale.has(entry)) };
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
  unchanged: readonly Entry<T>[],
  turns: Turns,
): Promise<ReadonlySet<Entry<T>>> {
  const stale = new Set<Entry<T>>();
  const isStale = type.staleCheck?.();
  if (!isStale) return stale;
  let asking: Promise<void>[] = [];
  for (const [index, entry] of unchanged.entries()) {
    const pause = index % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
    const verdict = entry.accepted?.verdict;
    const model = verdict === undefined || verdict.kind === 'rejected' ? undefined : verdict.model;
    if (model === undefined) continue;
    const take = (flag: boolean) => void (flag && stale.add(entry));
    try {
      const flag = isStale(model);
      if (typeof flag === 'boolean') take(flag);
      else asking.push(flag.then(take, () => take(true)));
    } catch {
      take(true);
    }
    if (asking.length < parallelJudges) continue;
    await Promise.all(asking);
    asking = [];
  }
  await Promise.all(asking);
  return stale;
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
