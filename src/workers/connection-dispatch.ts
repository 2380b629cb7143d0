import type { SendHandle } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { StatsStore } from '../stats/store.js';
import type { WorkerProcess } from './worker-process.js';

/** What the choice of a worker is made from. */
export interface Candidate {
  /** Connections that it has, or was given. */
  readonly load: number;
  /** Connections that it was given and has not taken. */
  readonly untaken: number;
  /** It takes nothing at present: it is busy, or hangs, or has no file descriptor left. */
  readonly late: boolean;
}

/** A worker is given this many before it took the first: those behind would only wait for it while others may be free. */
export const mostUntaken = 32;
/** A worker that leaves a connection waiting for so long, milliseconds, is late: others come first. */
const lateMs = 100;
/** And one that a connection did not reach, for so long after that. */
const lateAfterLossMs = 5_000;
const mostWaiting = 1_024;
/** Workers that may end before they took a connection, until it is given up. */
const mostAttempts = 3;

/**
 * Who gets the next connection: of those that take connections without delay, or of all when there are none of those, the one that has
 * the fewest; of several the first one after `last`.
 * @returns an index, or -1 when it has to wait because they have been given as many as they may
 */
export function chooseWorker(candidates: readonly Candidate[], last: number): number {
  const allLate = candidates.every(({ late }) => late);
  let best = -1;
  for (let step = 1; step <= candidates.length; step++) {
    const index = (last + step) % candidates.length;
    const { load, untaken, late } = candidates[index] as Candidate;
    if (untaken >= mostUntaken || (late && !allLate)) continue;
    const chosen = candidates[best];
    if (!chosen || load < chosen.load) best = index;
  }
  return best;
}

interface Connection {
  readonly socket: Socket;
  readonly target: unknown;
  attempts: number;
}

interface Given extends Connection {
  readonly at: number;
}

/** A worker, and what it was given. */
class Taker {
  readonly worker: WorkerProcess;
  /** By number, in the order of giving. */
  readonly untaken = new Map<number, Given>();
  /** It was asked whether those up to this number arrived. */
  asked = 0;
  /** When one did not. */
  lostAt = Number.NEGATIVE_INFINITY;

  constructor(worker: WorkerProcess) {
    this.worker = worker;
  }

  candidate(now: number): Candidate {
    return {
      load: this.worker.connections + this.untaken.size,
      untaken: this.untaken.size,
      late: this.leavesWaiting(now) || now - this.lostAt < lateAfterLossMs,
    };
  }

  leavesWaiting(now: number): boolean {
    const [oldest] = this.untaken.values();
    return oldest !== undefined && now - oldest.at > lateMs;
  }
}

/**
 * Gives accepted connections to workers. A connection stays open here until its worker has said that it has it, so that it can go to
 * another one if that worker ends before.
 */
export class ConnectionDispatch {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #waitingGauge;
  readonly #dropped;
  readonly #takers = new Map<WorkerProcess, Taker>();
  /** Those that get new connections. */
  #serving: readonly Taker[] = [];
  #waiting: Connection[] = [];
  #last = -1;
  #number = 0;
  #closed = false;
  #full = false;

  constructor({ clock, log, stats }: { readonly clock: Clock; readonly log: Logger; readonly stats: StatsStore }) {
    this.#clock = clock;
    this.#log = log;
    this.#waitingGauge = stats.gauge('workers.connections_waiting');
    this.#dropped = stats.counter('workers.connections_dropped');
  }

  dispatch(socket: Socket, target: unknown): void {
    // It is not read here, so that nothing is known of it but its end.
    socket.on('error', () => undefined);
    this.#waiting.push({ socket, target, attempts: 0 });
    this.#giveAll();
  }

  /** Who gets connections from now on. */
  use(workers: readonly WorkerProcess[]): void {
    this.#serving = workers.map((worker) => {
      const taker = this.#takers.get(worker) ?? new Taker(worker);
      this.#takers.set(worker, taker);
      return taker;
    });
    this.#giveAll();
  }

  /** The worker has the connection: nothing is left to do here, and its end of it is the only one. */
  taken(worker: WorkerProcess, number: number): void {
    const taker = this.#takers.get(worker);
    const given = taker?.untaken.get(number);
    if (!taker || !given) return;
    taker.untaken.delete(number);
    // Closes this process's descriptor; the connection itself lives on.
    given.socket.destroy();
    this.#giveAll();
  }

  /** All connections up to `number` have reached the worker, or never will. */
  takenUpTo(worker: WorkerProcess, number: number): void {
    const taker = this.#takers.get(worker);
    if (!taker) return;
    const lost = [...taker.untaken].filter(([each]) => each <= number);
    for (const [each] of lost) taker.untaken.delete(each);
    if (lost.length > 0) {
      taker.lostAt = this.#clock.monotonic();
      this.#log.warn(
        { worker: worker.number, connections: lost.length },
        'connections did not reach a worker, which may have no file descriptors left: they go to the next one',
      );
    }
    this.#giveAgain(lost.map(([, given]) => given));
    this.#giveAll();
  }

  ended(worker: WorkerProcess): void {
    const taker = this.#takers.get(worker);
    this.#takers.delete(worker);
    this.#serving = this.#serving.filter((each) => each !== taker);
    this.#giveAgain([...(taker?.untaken.values() ?? [])]);
    this.#giveAll();
  }

  /** Now and then: asks workers for what they left waiting, because a handle may be lost on its way. */
  check(): void {
    const now = this.#clock.monotonic();
    for (const taker of this.#takers.values()) {
      const upTo = [...taker.untaken.keys()].at(-1) ?? 0;
      if (!taker.leavesWaiting(now) || upTo <= taker.asked) continue;
      taker.asked = upTo;
      taker.worker.send({ type: 'given', upTo });
    }
    this.#giveAll();
  }

  /** Ends what nobody takes any more. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#waiting) this.#drop(connection);
    this.#waiting = [];
    this.#waitingGauge.value = 0;
  }

  /** Nothing was read of them, and they have waited longest. */
  #giveAgain(connections: readonly Connection[]): void {
    const again: Connection[] = [];
    for (const connection of connections) {
      if (connection.attempts >= mostAttempts) this.#drop(connection);
      else again.push(connection);
    }
    this.#waiting = [...again, ...this.#waiting];
  }

  #giveAll(): void {
    while (this.#waiting.length > 0 && !this.#closed) {
      const now = this.#clock.monotonic();
      const serving = this.#serving.filter(({ worker }) => worker.state === 'serving');
      const chosen = chooseWorker(
        serving.map((taker) => taker.candidate(now)),
        this.#last,
      );
      const taker = serving[chosen];
      if (!taker) break;
      this.#last = chosen;
      this.#give(taker, this.#waiting.shift() as Connection, now);
    }
    const kept = this.#closed ? 0 : mostWaiting;
    for (const connection of this.#waiting.splice(kept)) this.#drop(connection);
    this.#waitingGauge.value = this.#waiting.length;
    if (this.#waiting.length < mostWaiting) this.#full = false;
  }

  #give(taker: Taker, { socket, target, attempts }: Connection, at: number): void {
    // The bare handle: of a `net.Socket` Node would keep lists of its own on both sides, one per listening address, and begin to
    // read it in the worker before the worker has said that it has it.
    const { _handle: handle } = socket as unknown as { readonly _handle: SendHandle | null };
    if (!handle) return;
    this.#number += 1;
    taker.untaken.set(this.#number, { socket, target, attempts: attempts + 1, at });
    taker.worker.send({ type: 'connection', number: this.#number, target }, handle);
  }

  #drop({ socket }: Connection): void {
    socket.destroy();
    this.#dropped.value += 1;
    if (this.#full || this.#closed) return;
    this.#full = true;
    this.#log.warn({ waiting: this.#waiting.length }, 'connections are closed because no worker takes them');
  }
}
