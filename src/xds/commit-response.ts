import type { Clock } from '../clock.js';
import type { Verdict } from '../model/verdict.js';
import type { Turns } from '../turns.js';
import type { Interest } from './interest.js';
import type { Judged } from './judge-plan.js';
import type { Plan, Rejection } from './plan-response.js';
import type { ResourceCache } from './resource-cache.js';
import type { AcceptedResource, ResourceUpdate } from './resource-type.js';
import type { ReceivedResponse } from './subscription.js';

export interface Committed<T> {
  readonly update: ResourceUpdate<T>;
  readonly rejections: readonly Rejection[];
  /** Models that nobody wants any more. */
  readonly unwanted: readonly Verdict<T>[];
}

/** So many are confirmed without looking at the clock. */
const atOnce = 64;

/** Takes the verdicts into the cache. From here on they are what we have, and say so to the next stream. */
export async function commitResponse<T>(
  { version }: Pick<ReceivedResponse, 'version'>,
  plan: Plan<T>,
  judged: Judged<T>,
  { cache, interest, clock, turns }: { cache: ResourceCache<T>; interest: Interest; clock: Clock; turns: Turns },
): Promise<Committed<T>> {
  const now = new Date(clock.now());
  // Something may have become of it while others were judged.
  const broken = plan.repetition?.last.holds === false ? plan.repetition.entries : [];
  if (broken.length > 0) plan.repetition = undefined;
  const repeated = plan.repetition?.names ?? [];
  plan.repetition?.confirm(version);
  const rejections = [...plan.rejections];
  const changed: AcceptedResource<T>[] = [];
  const unwanted: Verdict<T>[] = [];
  for (const { candidate, verdict } of judged.verdicts) {
    const pause = turns();
    if (pause) await pause;
    const { name, version, bytes, acceptedAt = now } = candidate;
    if (verdict.kind === 'rejected') {
      const { problems } = verdict;
      rejections.push({ name, label: name, version, bytes, problems, judgedAt: undefined });
    } else if (interest.has(name)) changed.push(cache.accept(name, version, bytes, verdict, acceptedAt));
    else unwanted.push(verdict);
  }
  const unchanged: string[] = [];
  for (const [index, entry] of [...judged.unchanged, ...broken].entries()) {
    const pause = index % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
    if (!entry.accepted) continue;
    cache.confirm(entry, plan.versions.get(entry) ?? version);
    unchanged.push(entry.accepted.name);
  }
  for (const { name, version, bytes, problems, judgedAt = clock.monotonic() } of rejections.filter(isNamed)) {
    const pause = turns();
    if (pause) await pause;
    if (interest.has(name)) cache.reject(name, { version, bytes, problems, judgedAt, lastAttempt: now });
  }
  const removed: string[] = [];
  for (const name of plan.removed) {
    const pause = turns();
    if (pause) await pause;
    if (!interest.has(name)) continue;
    removed.push(name);
    if (interest.names.has(name)) cache.setMissing(name, 'does_not_exist', now);
    else cache.delete(name);
  }
  const update: ResourceUpdate<T> = {
    cause: 'response',
    version,
    changed,
    removed,
    rejected: rejections.filter(isNamed).map(({ name, problems }) => ({ name, problems })),
    unchanged: unchanged.length > 0 ? [...repeated, ...unchanged] : repeated,
  };
  return { update, rejections, unwanted };
}

function isNamed(rejection: Rejection): rejection is Rejection & { readonly name: string } {
  return rejection.name !== undefined && rejection.name !== '';
}
