import type { Clock, Timer } from '../clock.js';

/** A server may tell all that there is in several Delta responses, and none says that it is the last: so long after one that seems to be. */
const quietMs = 1_000;

/**
 * The resources of a type that are known from before and that the source has not mentioned yet.
 *
 * A state-of-the-world answer leaves out what does not exist any more. In Delta nothing is claimed while there are such resources, so that
 * the server tells everything; what it has left out when it falls silent does not exist.
 */
export class Unconfirmed {
  readonly names = new Set<string>();
  readonly #clock: Clock;
  readonly #onComplete: (leftOut: readonly string[]) => void;
  #timer: Timer | undefined;

  /** @param onComplete with the names that a server has left out that told everything, in Delta */
  constructor(clock: Clock, onComplete: (leftOut: readonly string[]) => void) {
    this.#clock = clock;
    this.#onComplete = onComplete;
  }

  add(name: string): void {
    this.names.add(name);
  }

  /** The source spoke of these. */
  mentioned(names: Iterable<string>): void {
    if (this.names.size === 0) return;
    for (const name of names) this.names.delete(name);
  }

  /** A Delta response to a wildcard was handled; more may follow. */
  deltaResponse(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.names.size === 0) return;
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined;
      this.#onComplete([...this.names]);
    }, quietMs);
  }

  /** The stream is gone: the next one tells everything again. */
  streamEnded(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  close(): void {
    this.streamEnded();
    this.names.clear();
  }
}
