import type { Clock, Timer } from '../clock.js';

/** A watcher that does nothing for longer than this may be waiting for what would be asked for. */
const longestHoldMs = 1_000;

/**
 * While a batch is applied nobody asks for other names, on any stream: a batch of clusters leads to one request for their endpoints.
 * Envoy pauses its streams in the same way:
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations
 */
export class ApplyHold {
  readonly #clock: Clock;
  readonly #flushes = new Set<() => void>();
  /** Batches being applied. */
  #applying = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get holding(): boolean {
    return this.#timer !== undefined;
  }

  /** `flush` is called when requests that were held back may go out, until the function that is returned is called. */
  join(flush: () => void): () => void {
    this.#flushes.add(flush);
    return () => this.#flushes.delete(flush);
  }

  begin(): void {
    this.#applying++;
    if (this.#applying === 1) this.#start();
  }

  /** A batch is still being applied, and not waiting. */
  progress(): void {
    if (!this.holding) return;
    this.#timer?.cancel();
    this.#start();
  }

  /** The batch's own answer is still to be given; `flushOthers` follows it. */
  end(): void {
    this.#applying--;
    if (this.#applying > 0) return;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Lets all streams but the caller's speak, unless something else is being applied. */
  flushOthers(own: () => void): void {
    if (this.holding) return;
    for (const flush of this.#flushes) if (flush !== own) flush();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#flushes.clear();
  }

  #start(): void {
    this.#timer = this.#clock.setTimeout(() => this.#release(), longestHoldMs);
  }

  #release(): void {
    this.#timer = undefined;
    for (const flush of this.#flushes) flush();
  }
}
