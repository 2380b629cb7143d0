import { type Deferred, deferred } from './deferred.js';
import type { WorkerProcess } from './worker-process.js';

/** Who has to carry out what: processes that live, and places that have no worker that serves. */
export interface BarrierParties<Place> {
  workers(): readonly WorkerProcess[];
  vacant(): readonly Place[];
}

interface Barrier<Place> {
  readonly open: Set<WorkerProcess | Place>;
  readonly done: Deferred<void>;
}

/** Tells when all workers have carried out what was sent to them before. */
export class Barriers<Place> {
  readonly #parties: BarrierParties<Place>;
  readonly #open = new Map<number, Barrier<Place>>();
  /** For all who ask in this turn of the event loop. */
  #next: Barrier<Place> | undefined;
  #number = 0;
  #closed = false;

  constructor(parties: BarrierParties<Place>) {
    this.#parties = parties;
  }

  settled(): Promise<void> {
    if (!this.#next) {
      this.#next = { open: new Set(), done: deferred() };
      setImmediate(() => this.#send());
    }
    return this.#next.done.promise;
  }

  passed(worker: WorkerProcess, number: number): void {
    this.#leave(number, worker);
  }

  /** The worker that comes in its place begins with all that was broadcast. */
  ended(worker: WorkerProcess, vacant: Place | undefined): void {
    for (const [number, barrier] of this.#open) {
      if (!barrier.open.has(worker)) continue;
      if (vacant !== undefined) barrier.open.add(vacant);
      this.#leave(number, worker);
    }
  }

  /** A worker that has carried out the replay has taken the place. */
  taken(place: Place): void {
    for (const number of [...this.#open.keys()]) this.#leave(number, place);
  }

  /** Nobody will carry out anything any more. */
  close(): void {
    this.#closed = true;
    for (const barrier of this.#open.values()) barrier.done.resolve();
    this.#open.clear();
  }

  #send(): void {
    const barrier = this.#next as Barrier<Place>;
    this.#next = undefined;
    this.#number += 1;
    const workers = this.#parties.workers();
    for (const party of [...workers, ...this.#parties.vacant()]) barrier.open.add(party);
    if (barrier.open.size === 0 || this.#closed) {
      barrier.done.resolve();
      return;
    }
    this.#open.set(this.#number, barrier);
    for (const worker of workers) worker.send({ type: 'barrier', number: this.#number });
  }

  #leave(number: number, party: WorkerProcess | Place): void {
    const barrier = this.#open.get(number);
    if (!barrier?.open.delete(party) || barrier.open.size > 0) return;
    this.#open.delete(number);
    barrier.done.resolve();
  }
}
