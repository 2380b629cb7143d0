import type { Clock, Timer } from '../clock.js';
import type { Logger } from '../log.js';
import type { StatsStore } from '../stats/store.js';
import { allSteps, createTurns, type Steps } from '../turns.js';
import type { SnapshotOwner, UnsavedSnapshot } from './format.js';
import type { SnapshotStore } from './store.js';

type Resources = UnsavedSnapshot['resources'];

export interface SnapshotWriterOptions {
  readonly store: Pick<SnapshotStore, 'path' | 'save' | 'touch' | 'clean'>;
  readonly owner: SnapshotOwner;
  readonly writtenBy: string;
  /** All that is accepted. It only refers to it, but there may be tens of thousands. */
  readonly collect: () => Steps<Resources>;
  /** `no`: a snapshot now would lack what is still to come. `settling`: a little later it would be a better one. */
  readonly readiness: () => 'no' | 'settling' | 'yes';
  /** The least time between two writes. */
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly stats: StatsStore;
}

/** Writes a snapshot some time after each change. */
export interface SnapshotWriter {
  changed(): void;
  readonly lastFailure: { readonly at: Date; readonly message: string } | undefined;
  readonly lastWrite: { readonly at: Date; readonly bytes: number; readonly resources: number } | undefined;
  /** Writes what was not written yet, unless that takes too long. */
  close(): Promise<void>;
}

type State =
  | { readonly kind: 'idle' }
  /** Something changed at `since`, last at `latest`. */
  | { readonly kind: 'waiting'; readonly since: number; readonly latest: number; readonly timer: Timer }
  | { readonly kind: 'writing'; readonly changedMeanwhile: boolean; readonly over: Promise<void> }
  | { readonly kind: 'closed' };

/** A control plane says several things in a row: they are one change. */
const quietMs = 1_000;
/** It does not have to be quiet for ever. */
const longestWaitMs = 30_000;
/** After a write that failed; doubles. */
const firstRetryMs = 5_000;
const longestRetryMs = 5 * 60_000;
const touchMs = 24 * 60 * 60 * 1000;
/** The end of the process waits no longer than this for a disk. */
const longestLastWriteMs = 2_000;

/** Steps that one takes by turns, and another finishes when there is no more time. */
interface Collection {
  /** Whether that was the last one. */
  step(): boolean;
  rest(): Resources;
}

function collection(steps: Steps<Resources>): Collection {
  let resources: Resources | undefined;
  return {
    step() {
      if (resources) return true;
      const { done, value } = steps.next();
      if (done) resources = value;
      return resources !== undefined;
    },
    rest() {
      resources ??= allSteps(steps);
      return resources;
    },
  };
}

export function createSnapshotWriter(options: SnapshotWriterOptions): SnapshotWriter {
  const { store, clock, log, intervalMs } = options;
  const scope = options.stats.scope('server.snapshot');
  const successes = scope.counter('write_success');
  const failures = scope.counter('write_failure');
  const gauges = {
    updateTime: scope.gauge('update_time'),
    sizeBytes: scope.gauge('size_bytes'),
    resources: scope.gauge('resources'),
  };
  const quiet = Math.min(quietMs, intervalMs);
  let state: State = { kind: 'idle' };
  let lastWrite: SnapshotWriter['lastWrite'];
  let lastFailure: SnapshotWriter['lastFailure'];
  let notBefore = 0;
  let failuresInARow = 0;
  /** What is being collected. */
  let collecting: Collection | undefined;

  function wait(since: number, latest: number): void {
    const due = Math.max(latest + quiet, notBefore);
    state = { kind: 'waiting', since, latest, timer: clock.setTimeout(onDue, Math.max(1, due - clock.monotonic())) };
  }

  function onDue(): void {
    if (state.kind !== 'waiting') return;
    const { since, latest } = state;
    const now = clock.monotonic();
    const readiness = options.readiness();
    const patient = now - since < longestWaitMs;
    const soon = latest + quiet > now || readiness === 'settling';
    if (readiness === 'no') wait(since, Math.max(latest, now));
    else if (patient && soon) wait(since, Math.max(latest, readiness === 'settling' ? now : latest));
    else write();
  }

  function write(): void {
    const over = writeNow().then(() => {
      if (state.kind !== 'writing') return;
      const again = state.changedMeanwhile || failuresInARow > 0;
      state = { kind: 'idle' };
      if (again) wait(clock.monotonic(), clock.monotonic());
    });
    state = { kind: 'writing', changedMeanwhile: false, over };
  }

  async function collectInTurns(): Promise<Resources> {
    collecting = collection(options.collect());
    const turns = createTurns(clock);
    try {
      while (!collecting.step()) {
        const pause = turns();
        if (pause) await pause;
      }
      return collecting.rest();
    } finally {
      collecting = undefined;
    }
  }

  async function writeNow(collected?: Resources): Promise<void> {
    const at = new Date(clock.now());
    try {
      const resources = collected ?? (await collectInTurns());
      const snapshot: UnsavedSnapshot = { owner: options.owner, writtenBy: options.writtenBy, savedAt: at, resources };
      const bytes = await store.save(snapshot);
      failuresInARow = 0;
      notBefore = clock.monotonic() + intervalMs;
      successes.value++;
      gauges.updateTime.value = at.getTime();
      gauges.sizeBytes.value = bytes;
      gauges.resources.value = resources.length;
      if (lastFailure) log.info({ path: store.path }, 'the snapshot can be written again');
      lastFailure = undefined;
      lastWrite = { at, bytes, resources: resources.length };
      log.debug({ path: store.path, bytes, resources: resources.length }, 'snapshot written');
    } catch (error) {
      failed(at, error instanceof Error ? error.message : String(error));
    }
  }

  /** What runs goes on, and so does the snapshot before. */
  function failed(at: Date, message: string): void {
    failures.value++;
    const retryMs = Math.min(longestRetryMs, Math.max(intervalMs, firstRetryMs) * 2 ** Math.min(failuresInARow, 16));
    failuresInARow++;
    notBefore = clock.monotonic() + retryMs;
    // A draft's name is another one each time.
    const reason = message.replace(/\d+-[0-9a-f]{8}\.tmp/g, 'tmp');
    const level = reason === lastFailure?.message ? 'debug' : 'error';
    log[level]({ path: store.path, retryMs, reason }, 'the snapshot cannot be written; the one before stays');
    lastFailure = { at, message: reason };
  }

  let touchTimer = clock.setTimeout(touch, touchMs);
  function touch(): void {
    // It may never have been written.
    store.touch().catch(() => undefined);
    void store.clean();
    touchTimer = clock.setTimeout(touch, touchMs);
  }

  return {
    changed() {
      const now = clock.monotonic();
      if (state.kind === 'idle') wait(now, now);
      else if (state.kind === 'waiting') state = { ...state, latest: now };
      else if (state.kind === 'writing') state = { ...state, changedMeanwhile: true };
    },
    get lastFailure() {
      return lastFailure;
    },
    get lastWrite() {
      return lastWrite;
    },
    async close() {
      const before = state;
      state = { kind: 'closed' };
      touchTimer.cancel();
      collecting?.rest();
      if (before.kind === 'waiting') before.timer.cancel();
      const unwritten =
        (before.kind === 'waiting' || (before.kind === 'writing' && before.changedMeanwhile)) &&
        options.readiness() !== 'no' &&
        failuresInARow === 0;
      const running = before.kind === 'writing' ? before.over : undefined;
      // Now, because what is closed next takes back what it wanted.
      const resources = unwritten ? allSteps(options.collect()) : undefined;
      const rest = resources ? (running ?? Promise.resolve()).then(() => writeNow(resources)) : running;
      if (rest === undefined) return;
      let timer: Timer | undefined;
      const tooLong = new Promise<void>((resolve) => {
        timer = clock.setTimeout(resolve, longestLastWriteMs);
      });
      await Promise.race([rest, tooLong]);
      timer?.cancel();
    },
  };
}
