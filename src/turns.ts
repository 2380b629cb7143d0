import { setImmediate as nextRound } from 'node:timers/promises';
import type { Clock } from './clock.js';
import { collectYoungInParts } from './heap.js';

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

/** What takes turns on one event loop: what one of them does is time that the others have not. */
interface Sharing {
  /** How many wait for the loop to come round. */
  waiting: number;
  /** When the first began of those that began since it last came round. */
  began: number | undefined;
}

const sharings = new WeakMap<object, Sharing>();

function sharingOf(clock: Pick<Clock, 'monotonic'>): Sharing {
  const known = sharings.get(clock);
  if (known !== undefined) return known;
  const sharing: Sharing = { waiting: 0, began: undefined };
  sharings.set(clock, sharing);
  return sharing;
}

/** Those that begin in the same round are over at the same time. */
function beginningOf(sharing: Sharing, clock: Pick<Clock, 'monotonic'>): number {
  if (sharing.began === undefined) {
    sharing.began = clock.monotonic();
    setImmediate(() => {
      sharing.began = undefined;
    });
  }
  return sharing.began;
}

/**
 * Begins a turn. All that run side by side share one `Turns`: they go on together. Turns that several have in the same round of the event loop are
 * shorter: together they take as long as one.
 */
export function createTurns(clock: Pick<Clock, 'monotonic'>): Turns {
  const sharing = sharingOf(clock);
  let began = beginningOf(sharing, clock);
  let longest = longestTurnMs;
  /** Nothing was done in this turn yet. */
  let fresh = true;
  let pause: Promise<void> | undefined;
  const goOn = () => {
    longest = longestTurnMs / sharing.waiting--;
    pause = undefined;
    fresh = true;
    began = clock.monotonic();
    // Of this turn's time: after a long one only a little is done in it.
    collectYoungInParts();
  };
  return () => {
    // However slow the machine is: something is done in each turn.
    if (pause === undefined && !fresh && clock.monotonic() - began >= longest) {
      sharing.waiting++;
      pause = nextRound().then(goOn);
    }
    fresh = false;
    return pause;
  };
}
