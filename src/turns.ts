import { setImmediate } from 'node:timers/promises';
import type { Clock } from './clock.js';
import { collectYoungInParts } from './young-generation.js';

/** After this long without a pause everything else gets its turn: requests must not wait for a large configuration. */
const longestTurnMs = 2;

/** Says when to pause: `const pause = turns(); if (pause) await pause;` between two pieces of work. A pause is given as few times as needed. */
export type Turns = () => Promise<void> | undefined;

/** Work that can be left after each of its short steps. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Does all that is left of it now. */
export function allSteps<T>(steps: Steps<T>): T {
  let next = steps.next();
  while (!next.done) next = steps.next();
  return next.value;
}

/** Begins a turn. All that run side by side share one `Turns`: they go on together. */
export function createTurns(clock: Pick<Clock, 'monotonic'>): Turns {
  let began = clock.monotonic();
  /** Nothing was done in this turn yet. */
  let fresh = true;
  let pause: Promise<void> | undefined;
  return () => {
    // However slow the machine is: something is done in each turn.
    if (pause === undefined && !fresh && clock.monotonic() - began >= longestTurnMs) {
      pause = setImmediate().then(() => {
        pause = undefined;
        fresh = true;
        began = clock.monotonic();
        collectYoungInParts();
      });
    }
    fresh = false;
    return pause;
  };
}
