import type { Logger } from '../log.js';
import { describeProblems, type VerdictWord, verdictText, verdictWord } from '../model/verdict.js';
import type { AcceptedResource, ResourceUpdate } from '../xds/resource-type.js';

type Counts = Record<VerdictWord, number>;

export interface UpdateLog {
  /** It was said of something that it is wrong: that the same comes again, and is right, is news of it. */
  readonly somethingWrong: boolean;
  tell(update: ResourceUpdate<unknown>): void;
  /** The same, one resource at a time, for whoever lets others have their turn. */
  tellInSteps(update: ResourceUpdate<unknown>): Generator<undefined>;
}

/** Of so many names it is remembered what was said last; with more, an old one may be told of again. */
const mostRemembered = 20_000;

/**
 * Tells what became of resources, once per change, however many watchers hear of it and however often a control plane repeats itself: a
 * summary of each answer that changed something, a warning or an error for each resource that is not as it should be, the others at debug.
 *
 * @param what the kind, as in `cluster`
 * @param summaryLevel `debug` for kinds whose answers come one resource at a time
 */
export function createUpdateLog(log: Logger, what: string, summaryLevel: 'info' | 'debug' = 'info'): UpdateLog {
  /** Versions that were told of. */
  const told = new WeakSet<AcceptedResource<unknown>>();
  /** Name → what was last said to be wrong with it; '' where it was said to be gone. */
  const wrong = new Map<string, string>();

  /** Returns how many of each verdict this is news of. */
  function* logAccepted({ changed, unchanged }: ResourceUpdate<unknown>): Generator<undefined, Counts> {
    const counts: Counts = { active: 0, warned: 0, parked: 0, rejected: 0 };
    for (const resource of changed) {
      yield;
      if (told.has(resource)) continue;
      const { name, version, verdict } = resource;
      told.add(resource);
      wrong.delete(name);
      const word = verdictWord(verdict);
      counts[word]++;
      log[word === 'warned' ? 'warn' : 'debug']({ name, version }, `${what} ${verdictText(verdict)}`);
    }
    for (const name of wrong.size > 0 ? unchanged : []) {
      yield;
      if (wrong.delete(name)) log.info({ name }, `${what}: the control plane is back at the version that runs`);
    }
    return counts;
  }

  /** Returns how many names this is news of. */
  function logWrong(name: string, text: string, tell: () => void): number {
    if (wrong.get(name) === text) return 0;
    // Behind those that were told of before it.
    wrong.delete(name);
    wrong.set(name, text);
    if (wrong.size > mostRemembered) wrong.delete(wrong.keys().next().value as string);
    tell();
    return 1;
  }

  function* tellInSteps(update: ResourceUpdate<unknown>): Generator<undefined> {
    const { cause, version } = update;
    if (cause === 'initial_fetch_timeout') {
      log.warn({ names: update.removed }, `${what}: no answer within initial_fetch_timeout`);
      return;
    }
    // Thousands of endpoints that are sent again are no news.
    if (update.changed.length + update.removed.length + update.rejected.length + wrong.size === 0) return;
    const { active, warned, parked, rejected: others } = yield* logAccepted(update);
    const changed = active + warned + parked + others;
    let rejected = 0;
    for (const { name, problems } of update.rejected) {
      yield;
      const text = describeProblems(problems);
      const tell = () => log.error({ name, version }, `${what} rejected, what ran before goes on: ${text}`);
      rejected += logWrong(name, text, tell);
    }
    const gone = cause === 'ttl' ? `${what} expired` : `${what} removed, or there is none`;
    let removed = 0;
    for (const name of update.removed) {
      yield;
      removed += logWrong(name, '', () => log.debug({ name, version }, gone));
    }
    if (changed + removed + rejected === 0) return;
    log[summaryLevel]({ version, changed, warned, parked, removed, rejected }, `${what} update`);
  }

  return {
    get somethingWrong() {
      return wrong.size > 0;
    },
    tell(update) {
      for (const _ of tellInSteps(update));
    },
    tellInSteps,
  };
}
