/** After so many failures in a row without a response the next control plane is tried. Envoy's number. */
const mostFailures = 2;
/** With nothing missing a control plane may be away for this long before another one is asked. */
export const patienceMs = 30_000;

/**
 * Which of several control planes the next attempt goes to. The first is preferred: the others are used when it fails twice in a row and
 * something is missing that only they can give, or when it stays away
 * (https://github.com/grpc/proposal/blob/master/A71-xds-fallback.md; Envoy asks the next one whether something is missing or not).
 */
export class ServerChoice {
  readonly #count: number;
  #current = 0;
  #failures = 0;
  /** Monotonic: when the first was found to be away. */
  #awaySince: number | undefined;
  #responded = false;

  constructor(count: number) {
    this.#count = count;
  }

  /** Index of the control plane in use, or to be tried next. */
  get current(): number {
    return this.#current;
  }

  responded(): void {
    this.#responded = true;
    this.#failures = 0;
    if (this.#current === 0) this.#awaySince = undefined;
  }

  /** The attempt failed, or its stream was lost. */
  lost(now: number, somethingMissing: () => boolean): void {
    const responded = this.#responded;
    this.#responded = false;
    if (this.#count < 2) return;
    if (this.#current > 0) {
      // Whatever it was good for, the first may be back.
      this.#current = responded ? 0 : (this.#current + 1) % this.#count;
      this.#failures = 0;
      return;
    }
    this.#awaySince ??= now;
    this.#failures = responded ? 0 : this.#failures + 1;
    if (this.#failures < mostFailures) return;
    if (!somethingMissing() && now - this.#awaySince < patienceMs) return;
    this.#current = 1;
    this.#failures = 0;
  }

  /** The first is back. */
  returned(): void {
    this.#current = 0;
    this.#failures = 0;
    this.#responded = false;
  }
}
