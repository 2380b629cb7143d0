import { join } from 'node:path';
import type { Timer } from '../clock.js';
import { type Deferred, deferred } from './deferred.js';
import type { FleetOptions } from './fleet.js';
import type { FromWorker } from './protocol.js';
import { createRestartBackoff, type RestartBackoff } from './restart-backoff.js';
import { type WorkerEnd, WorkerProcess } from './worker-process.js';

/** Where one worker serves, now this process and then that. */
export interface Place {
  readonly backoff: RestartBackoff;
  current: WorkerProcess | undefined;
  /** It takes over when it has carried out the replay. */
  successor: WorkerProcess | undefined;
  restart: Timer | undefined;
  /** The last of its replacements, which come one after the other. */
  replacement: Promise<unknown>;
}

export interface SupervisorEvents {
  /** A process was started: what is sent now comes first. */
  onStart(worker: WorkerProcess): void;
  onMessage(worker: WorkerProcess, message: FromWorker): void;
  /** Who serves has changed. */
  onPlacesChange(): void;
  /** A worker that has carried out the replay has taken the place. */
  onTaken(place: Place): void;
  /** Before its successor is started. */
  onEnd(worker: WorkerProcess, end: WorkerEnd): void;
  /** After it, with the place if nobody serves there now. */
  onEnded(worker: WorkerProcess, vacant: Place | undefined): void;
  /** From time to time. */
  onCheck(): void;
}

/** A process whose end is not yet known. */
interface Known {
  readonly place: Place;
  /** True when it has carried out the replay, false when it ended before. */
  readonly ready: Deferred<boolean>;
  readonly ended: Deferred<void>;
}

/** A worker is killed when so many checks in a row found no sign of life. Checks are counted, not time: it may be this process that was stopped. */
const mostSilentChecks = 10;

/** Starts, watches, replaces and ends worker processes. */
export class Supervisor {
  readonly #options: FleetOptions;
  readonly #events: SupervisorEvents;
  readonly #silenceMs: number;
  readonly #signMs: number;
  readonly #startTimeMs: number;
  readonly #stats;
  readonly #places: readonly Place[];
  readonly #workers = new Map<WorkerProcess, Known>();
  #number = 0;
  #check: Timer | undefined;
  #closing = false;
  /** A replacement of all that has not begun: later callers join it. */
  #nextOfAll: Promise<void> | undefined;
  #lastOfAll: Promise<void> = Promise.resolve();

  constructor(options: FleetOptions, events: SupervisorEvents) {
    const { count, stats, silenceMs = 5_000, startTimeMs = 30_000 } = options;
    this.#options = options;
    this.#events = events;
    this.#silenceMs = silenceMs;
    this.#signMs = silenceMs / mostSilentChecks;
    this.#startTimeMs = startTimeMs;
    this.#stats = {
      live: stats.gauge('workers.live'),
      started: stats.counter('workers.started'),
      crashed: stats.counter('workers.crashed'),
      hung: stats.counter('workers.hung'),
      replaced: stats.counter('workers.replaced'),
    };
    this.#places = Array.from({ length: count }, () => ({
      backoff: createRestartBackoff(),
      current: undefined,
      successor: undefined,
      restart: undefined,
      replacement: Promise.resolve(),
    }));
  }

  workers(): readonly WorkerProcess[] {
    return [...this.#workers.keys()];
  }

  serving(): readonly WorkerProcess[] {
    return this.#places.flatMap(({ current }) => (current?.state === 'serving' ? [current] : []));
  }

  vacant(): readonly Place[] {
    return this.#places.filter(({ current }) => current?.state !== 'serving');
  }

  start(): void {
    for (const place of this.#places) this.#startIn(place);
    this.#watch();
  }

  /** Never rejects: what went wrong is logged. */
  async replace(number: number, why: string): Promise<void> {
    const place = this.#places.find(({ current }) => current?.number === number);
    if (place) await this.#replaceIn(place, number, why);
  }

  replaceAll(why: string): Promise<void> {
    this.#nextOfAll ??= this.#lastOfAll = this.#lastOfAll.then(async () => {
      this.#nextOfAll = undefined;
      for (const place of this.#places) {
        const number = place.current?.number;
        if (number !== undefined && !(await this.#replaceIn(place, number, why))) return;
      }
    });
    return this.#nextOfAll;
  }

  async close(drainTimeMs: number): Promise<void> {
    this.#closing = true;
    for (const place of this.#places) place.restart?.cancel();
    const ends = [...this.#workers.values()].map(({ ended }) => ended.promise);
    for (const worker of this.#workers.keys()) {
      if (worker.state === 'draining') worker.limitDrain(drainTimeMs);
      else worker.drain(drainTimeMs);
    }
    this.#placesChanged();
    await Promise.all(ends);
    this.#check?.cancel();
  }

  #spawn(place: Place): { readonly worker: WorkerProcess; readonly known: Known } {
    this.#number += 1;
    const number = this.#number;
    const { program, programArguments, clock, folder, log } = this.#options;
    const worker = new WorkerProcess(number, {
      program,
      programArguments,
      markFile: join(folder, `worker-${number}.mark`),
      signMs: this.#signMs,
      clock,
      onMessage: (_, message) => this.#onMessage(worker, message),
      onEnd: (_, end) => this.#onEnd(worker, end),
    });
    const known: Known = { place, ready: deferred(), ended: deferred() };
    this.#workers.set(worker, known);
    this.#stats.started.value += 1;
    log.info({ worker: number, pid: worker.pid }, 'a worker was started');
    this.#events.onStart(worker);
    return { worker, known };
  }

  #startIn(place: Place): void {
    place.restart = undefined;
    place.current = this.#spawn(place).worker;
  }

  #onMessage(worker: WorkerProcess, message: FromWorker): void {
    if (message.type === 'ready') this.#onReady(worker);
    this.#events.onMessage(worker, message);
  }

  #onReady(worker: WorkerProcess): void {
    const known = this.#workers.get(worker);
    if (!known || worker.state !== 'serving') return;
    const { place } = known;
    const old = place.successor === worker ? place.current : undefined;
    if (place.successor === worker) {
      place.successor = undefined;
      place.current = worker;
    }
    this.#options.log.info({ worker: worker.number }, 'a worker is ready');
    this.#placesChanged();
    old?.drain(this.#options.drainTimeMs);
    this.#events.onTaken(place);
    known.ready.resolve(true);
  }

  #onEnd(worker: WorkerProcess, end: WorkerEnd): void {
    const known = this.#workers.get(worker);
    if (!known) return;
    const { place } = known;
    this.#workers.delete(worker);
    this.#logEnd(end);
    if (place.successor === worker) place.successor = undefined;
    if (place.current === worker) place.current = undefined;
    this.#placesChanged();
    this.#events.onEnd(worker, end);
    if (!place.current && !place.successor && !this.#closing) this.#restart(place, worker);
    const isVacant = place.current?.state !== 'serving' && !this.#closing;
    this.#events.onEnded(worker, isVacant ? place : undefined);
    known.ready.resolve(false);
    known.ended.resolve();
  }

  #logEnd({ worker, cause, detail, mark }: WorkerEnd): void {
    const { log } = this.#options;
    if (cause === 'retired') {
      log.info({ worker }, `a worker has ended: ${detail}`);
      return;
    }
    this.#stats[cause].value += 1;
    const what = cause === 'hung' ? 'a worker was killed' : 'a worker has ended by itself';
    log.error({ worker, ...(mark === 0 ? {} : { mark }) }, `${what}: ${detail}`);
  }

  #restart(place: Place, ended: WorkerProcess): void {
    const { clock } = this.#options;
    const delay = place.backoff.delayAfter(clock.monotonic() - ended.startedAt);
    if (delay === 0) this.#startIn(place);
    else place.restart = clock.setTimeout(() => this.#startIn(place), delay);
  }

  /** True when the worker has a successor, whoever that is. */
  #replaceIn(place: Place, number: number, why: string): Promise<boolean> {
    const replacement = place.replacement.then(() => this.#replaceNow(place, number, why));
    place.replacement = replacement;
    return replacement;
  }

  async #replaceNow(place: Place, number: number, why: string): Promise<boolean> {
    const old = place.current;
    if (old?.number !== number || this.#closing) return true;
    const { log } = this.#options;
    log.info({ worker: number }, `a worker is replaced: ${why}`);
    const oldEnded = this.#workers.get(old)?.ended.promise;
    const { worker, known } = this.#spawn(place);
    place.successor = worker;
    if (!(await known.ready.promise)) {
      if (place.current === old && !this.#closing) {
        log.error({ worker: number }, 'its successor ended before it was ready: the worker stays in service');
      }
      return false;
    }
    this.#stats.replaced.value += 1;
    await oldEnded;
    return true;
  }

  #placesChanged(): void {
    this.#stats.live.value = this.serving().length;
    this.#events.onPlacesChange();
  }

  #watch(): void {
    const { clock } = this.#options;
    this.#check = clock.setTimeout(() => {
      for (const worker of this.#workers.keys()) this.#checkOn(worker);
      this.#events.onCheck();
      this.#watch();
    }, this.#signMs);
  }

  #checkOn(worker: WorkerProcess): void {
    worker.silentChecks += 1;
    if (worker.state === 'starting') {
      if (worker.silentChecks * this.#signMs < this.#startTimeMs) return;
      worker.hung(`it gave no sign of life within ${this.#startTimeMs / 1000} s of its start`);
    } else if (worker.silentChecks >= mostSilentChecks) {
      worker.hung(`it gave no sign of life for ${this.#silenceMs / 1000} s`);
    }
  }
}
