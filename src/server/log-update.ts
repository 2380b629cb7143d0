import type { Logger } from '../log.js';
import { describeProblems, type VerdictWord, verdictText, verdictWord } from '../model/verdict.js';
import type { AcceptedResource, ResourceUpdate } from '../xds/resource-type.js';

/**
 * Tells what became of resources, once per change, however many watchers hear of it and however often a control plane repeats itself: a
 * summary of each answer that changed something, a warning or an error for each resource that is not as it should be, the others at debug.
 *
 * @param what the kind, as in `cluster`
 * @param summaryLevel `debug` for kinds whose answers come one resource at a time
 */
export function createUpdateLog(
  log: Logger,
  what: string,
  summaryLevel: 'info' | 'debug' = 'info',
): (update: ResourceUpdate<unknown>) => void {
  /** Versions that were told of. */
  const told = new WeakSet<AcceptedResource<unknown>>();
  /** Name → what was last said to be wrong with it; '' where it was said to be gone. */
  const wrong = new Map<string, string>();

  function logAccepted({ changed, unchanged }: ResourceUpdate<unknown>): readonly AcceptedResource<unknown>[] {
    const news = changed.filter((resource) => !told.has(resource));
    for (const resource of news) {
      const { name, version, verdict } = resource;
      told.add(resource);
      wrong.delete(name);
      const level = verdictWord(verdict) === 'warned' ? 'warn' : 'debug';
      log[level]({ name, version }, `${what} ${verdictText(verdict)}`);
    }
    for (const name of unchanged) {
      if (wrong.delete(name)) log.info({ name }, `${what}: the control plane is back at the version that runs`);
    }
    return news;
  }
  /** Returns how many names this is news of. */
  function logWrong(name: string, text: string, tell: () => void): number {
    if (wrong.get(name) === text) return 0;
    wrong.set(name, text);
    tell();
    return 1;
  }
  const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);

  return (update) => {
    const { cause, version } = update;
    if (cause === 'initial_fetch_timeout') {
      log.warn({ names: update.removed }, `${what}: no answer within initial_fetch_timeout`);
      return;
    }
    // Thousands of endpoints that are sent again are no news.
    if (update.changed.length + update.removed.length + update.rejected.length + wrong.size === 0) return;
    const changed = logAccepted(update);
    const rejected = sum(
      update.rejected.map(({ name, problems }) => {
        const text = describeProblems(problems);
        const tell = () => log.error({ name, version }, `${what} rejected, what ran before goes on: ${text}`);
        return logWrong(name, text, tell);
      }),
    );
    const gone = cause === 'ttl' ? `${what} expired` : `${what} removed, or there is none`;
    const removed = sum(update.removed.map((name) => logWrong(name, '', () => log.debug({ name, version }, gone))));
    if (changed.length + removed + rejected === 0) return;
    const count = (word: VerdictWord) => changed.filter(({ verdict }) => verdictWord(verdict) === word).length;
    const [warned, parked] = [count('warned'), count('parked')];
    log[summaryLevel]({ version, changed: changed.length, warned, parked, removed, rejected }, `${what} update`);
  };
}
