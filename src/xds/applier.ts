import type { Clock } from '../clock.js';
import type { Verdict } from '../model/verdict.js';
import { createTurns, type Turns } from '../turns.js';
import type { ApplyHold } from './apply-hold.js';
import { type Committed, commitResponse } from './commit-response.js';
import type { Interest } from './interest.js';
import { type Judged, judgePlan } from './judge-plan.js';
import type { Plan } from './plan-response.js';
import type { ResourceCache } from './resource-cache.js';
import type { ResourceType, ResourceUpdate } from './resource-type.js';
import type { ReceivedResponse } from './subscription.js';
import type { TypeStats } from './type-stats.js';
import type { Delivery, WatchMap } from './watch-map.js';

export interface ApplierOptions<T> {
  readonly type: ResourceType<T>;
  readonly clock: Clock;
  readonly stats: TypeStats;
  readonly hold: ApplyHold;
  readonly cache: ResourceCache<T>;
  readonly interest: Interest;
  readonly watches: WatchMap<T>;
  /** Everything ended, maybe while something was judged. */
  readonly isClosed: () => boolean;
}

/** The way of what was sorted into the cache and to its watchers, wherever it came from. Models that go nowhere are dropped. */
export class Applier<T> {
  readonly #options: ApplierOptions<T>;

  constructor(options: ApplierOptions<T>) {
    this.#options = options;
  }

  /** Whoever takes turns is not waiting for anything. */
  turns(): Turns {
    const { clock, hold } = this.#options;
    const turns = createTurns(clock);
    return () => {
      const pause = turns();
      if (pause) hold.progress();
      return pause;
    };
  }

  /** undefined: everything ended meanwhile, and what was made is dropped. */
  async judge(
    response: Pick<ReceivedResponse, 'version'>,
    plan: Plan<T>,
    turns: Turns,
  ): Promise<Judged<T> | undefined> {
    const { type, stats, isClosed } = this.#options;
    const judged = await judgePlan(type, response, plan, turns);
    stats.judged(judged.verdicts.length);
    if (!isClosed()) return judged;
    this.#discard(judged.verdicts.map(({ verdict }) => verdict));
    return undefined;
  }

  /** As `judge`. */
  async commit(
    response: Pick<ReceivedResponse, 'version'>,
    plan: Plan<T>,
    judged: Judged<T>,
    turns: Turns,
  ): Promise<Committed<T> | undefined> {
    const { cache, interest, clock, isClosed } = this.#options;
    const committed = await commitResponse(response, plan, judged, { cache, interest, clock, turns });
    this.#discard(committed.unwanted);
    if (!isClosed()) return committed;
    this.#discard(committed.update.changed.map(({ verdict }) => verdict));
    return undefined;
  }

  async apply(update: ResourceUpdate<T>, turns: Turns): Promise<Delivery> {
    const { hold, watches } = this.#options;
    hold.begin();
    try {
      return await watches.deliver(update, turns);
    } finally {
      hold.end();
    }
  }

  #discard(verdicts: readonly Verdict<T>[]): void {
    for (const verdict of verdicts) {
      if (verdict.kind !== 'rejected' && verdict.model !== undefined) this.#options.type.discard?.(verdict.model);
    }
  }
}
