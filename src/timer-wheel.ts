import type { Clock, Timer } from './clock.js';

/** Timers are due at whole ticks of so many milliseconds: so late they may be, and never early. */
export const tickMs = 8;

/** Each level has so many slots, and a slot of a level is as long as all of the level below. */
const slots = 64;
/** The last slot of the last level ends in 99 days; what is due later goes there again and again. */
const levels = 5;
/** Of a slot, by level, in ticks. */
const spans = Array.from({ length: levels }, (_, level) => slots ** level);
const longest = slots ** levels;

/** What is due is worked on for so long, ms; the rest waits until the event loop has been round. */
const longestRunMs = 5;

/** A place in a circular list. */
class Link {
  previous: Link = this;
  next: Link = this;

  unlink(): void {
    this.previous.next = this.next;
    this.next.previous = this.previous;
    this.previous = this;
    this.next = this;
  }

  /** Puts `link` before this one, which for the head of a list is its end. */
  insert(link: Link): void {
    const before = this.previous;
    link.previous = before;
    link.next = this;
    before.next = link;
    this.previous = link;
  }

  /** Moves all that is in `list` to the end of this one. */
  take(list: Link): void {
    const { next: first, previous: last } = list;
    if (first === list) return;
    list.next = list.previous = list;
    first.previous = this.previous;
    this.previous.next = first;
    last.next = this;
    this.previous = last;
  }
}

/** A timer that runs, in the list of its slot. */
class Entry extends Link implements Timer {
  /** The tick. */
  readonly due: number;
  readonly #callback: (argument: unknown) => void;
  readonly #argument: unknown;

  constructor(due: number, callback: (argument: unknown) => void, argument: unknown) {
    super();
    this.due = due;
    this.#callback = callback;
    this.#argument = argument;
  }

  cancel(): void {
    this.unlink();
  }

  fire(): void {
    this.#callback(this.#argument);
  }
}

/**
 * Many timers behind one of the clock's, which runs only while there are some. To start one makes one object, to cancel it makes none, and
 * either takes the same time however many there are. A hierarchical timing wheel (Varghese and Lauck, "Hashed and Hierarchical Timing
 * Wheels", scheme 6): a timer waits in a slot that is as long as its time allows, and moves to shorter ones when the slot's time has come. Most
 * are cancelled before they move.
 *
 * Ticks are counted from the clock's zero, so nothing drifts; when the process was stopped meanwhile, all that became due fires at once.
 */
export class TimerWheel {
  readonly #clock: Pick<Clock, 'monotonic' | 'setTimeout'>;
  /** By level, then by slot: what is due in it. */
  readonly #lists = Array.from({ length: levels * slots }, () => new Link());
  /** Out of their slots: they fire, or move to another slot. */
  readonly #opened = new Link();
  /** All slots up to this tick were opened. */
  #tick = 0;
  #timer: Timer | undefined;
  /** No slot has to be opened before this tick; while slots are opened, below all. */
  #wakeTick = Number.POSITIVE_INFINITY;

  /** @param clock its timers need not be good at being many */
  constructor(clock: Pick<Clock, 'monotonic' | 'setTimeout'>) {
    this.#clock = clock;
  }

  /** Calls `callback` once, with `argument`, `ms` milliseconds from now or up to a tick later. What it throws is thrown from the clock's timer. */
  start<A>(callback: (argument: A) => void, ms: number, argument: A): Timer {
    const now = this.#clock.monotonic();
    const tick = Math.floor(now / tickMs);
    // Nothing was missed, so that it may be put where it belongs by now.
    if (tick < this.#wakeTick) this.#tick = tick;
    const entry = new Entry(Math.ceil((now + ms) / tickMs), callback as (argument: unknown) => void, argument);
    const opens = this.#place(entry);
    if (opens < this.#wakeTick) this.#wakeAt(opens, now);
    return entry;
  }

  /** Returns the tick at which its slot is opened. */
  #place(entry: Entry): number {
    const now = this.#tick;
    const due = Math.min(Math.max(entry.due, now + 1), now + longest - 1);
    let level = 0;
    while (due - now >= (spans[level + 1] ?? longest)) level++;
    const span = spans[level] as number;
    const slot = Math.floor(due / span);
    this.#list(level, slot).insert(entry);
    return slot * span;
  }

  #list(level: number, slot: number): Link {
    return this.#lists[level * slots + (slot % slots)] as Link;
  }

  #wakeAt(tick: number, now: number): void {
    this.#timer?.cancel();
    this.#wakeTick = tick;
    this.#timer = this.#clock.setTimeout(() => this.#run(), Math.max(1, Math.ceil(tick * tickMs - now)));
  }

  #run(): void {
    this.#timer = undefined;
    // Whoever starts a timer now need not wake us.
    this.#wakeTick = Number.NEGATIVE_INFINITY;
    const begun = this.#clock.monotonic();
    this.#openUntil(Math.floor(begun / tickMs));
    try {
      while (this.#handleOpened() && this.#clock.monotonic() - begun < longestRunMs);
    } finally {
      this.#wakeTick = Number.POSITIVE_INFINITY;
      const next = this.#opened.next === this.#opened ? this.#nextTick() : this.#tick;
      if (next < Number.POSITIVE_INFINITY) this.#wakeAt(next, this.#clock.monotonic());
    }
  }

  /** Opens what has to be by `tick`. However much time went by, only slots that hold something are visited. */
  #openUntil(tick: number): void {
    for (let next = this.#nextTick(); next <= tick; next = this.#nextTick()) {
      this.#tick = next;
      for (let level = 0; level < levels && next % (spans[level] as number) === 0; level++)
        this.#opened.take(this.#list(level, next / (spans[level] as number)));
    }
    this.#tick = Math.max(this.#tick, tick);
  }

  /** When the next slot has to be opened that holds something. */
  #nextTick(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (let level = 0; level < levels; level++) {
      const span = spans[level] as number;
      const current = Math.floor(this.#tick / span);
      for (let slot = current + 1; slot <= current + slots && slot * span < earliest; slot++) {
        const list = this.#list(level, slot);
        if (list.next !== list) earliest = slot * span;
      }
    }
    return earliest;
  }

  /** False: nothing is left to do. */
  #handleOpened(): boolean {
    const entry = this.#opened.next;
    if (entry === this.#opened) return false;
    entry.unlink();
    const timer = entry as Entry;
    if (timer.due > this.#tick) this.#place(timer);
    else timer.fire();
    return true;
  }
}
