import type { Socket } from 'node:net';
import { serialize } from 'node:v8';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { StatsStore } from '../stats/store.js';
import { Barriers } from './barriers.js';
import { ConnectionDispatch } from './connection-dispatch.js';
import type { FromWorker, ToWorker } from './protocol.js';
import { Questions } from './questions.js';
import { type Place, Supervisor } from './supervisor.js';
import type { WorkerEnd, WorkerProcess, WorkerState } from './worker-process.js';

export type { WorkerEnd } from './worker-process.js';

export interface FleetOptions {
  readonly count: number;
  /** The worker's program, and what it is started with. It calls `serveAsWorker`. */
  readonly program: string;
  readonly programArguments: readonly string[];
  readonly log: Logger;
  /** `workers.*`. */
  readonly stats: StatsStore;
  readonly clock: Clock;
  /** A private folder for the memory that is shared with workers. */
  readonly folder: string;
  /** How long a worker that is replaced may go on with what it has. */
  readonly drainTimeMs: number;
  /** A worker that gives no sign of life for so long is killed: a tenth of it is how often it gives one. Default 5 s. */
  readonly silenceMs?: number;
  /** How long a new worker's program may take until it gives its first sign of life. Default 30 s. */
  readonly startTimeMs?: number;
  /** Sends all that a new worker must know, in order, before anything that is broadcast from then on. */
  replay(send: (message: unknown) => void): void;
  /** What a worker reports. `worker` is never used twice. */
  onReport(worker: number, message: unknown): void;
  /** Called once per worker, after its last report. Its successor, if any, starts after this returned. */
  onEnd(end: WorkerEnd): void;
}

/** One worker, for people. */
export interface WorkerStatus {
  readonly worker: number;
  readonly pid: number | undefined;
  readonly state: WorkerState;
  /** Open ones, as it said last. */
  readonly connections: number;
  readonly ageMs: number;
}

/** The worker processes of one main process: started, watched, replaced and drained. */
export interface Fleet {
  /** Starts all workers; resolves when each has carried out the replay. Workers that end before are started again, without end. */
  start(): Promise<void>;
  /**
   * Sends a piece of configuration to all workers, also to those that drain.
   * @throws Error (DataCloneError) when the message holds what `v8.serialize` can't write, such as a function
   */
  broadcast(message: unknown): void;
  /** Resolves when every worker has carried out all that was broadcast before. A successor's replay counts for a worker that ended. */
  settled(): Promise<void>;
  /** Asks all workers that live; who doesn't answer within `timeoutMs` is left out. */
  ask(question: unknown, timeoutMs: number): Promise<ReadonlyMap<number, unknown>>;
  /**
   * Gives a connection to the worker that has the fewest. While none takes any it waits, within a bound; over it, it is destroyed.
   * It must have been accepted with `pauseOnConnect` and `noDelay`, and nothing may have been read of it or written to it. What
   * remains here is only a descriptor, which is closed when the worker has its own.
   */
  dispatch(socket: Socket, target: unknown): void;
  /**
   * Starts a successor, waits until it has carried out the replay, gives it all new connections, drains the old one, and resolves when
   * that has ended. When the successor ends before it is ready, which is logged, the old one stays in service.
   */
  replace(worker: number, why: string): Promise<void>;
  /** `replace` for each, one after the other, until one doesn't succeed. */
  replaceAll(why: string): Promise<void>;
  /** Those that have not ended. */
  workers(): readonly WorkerStatus[];
  /** Open connections of all workers, as last reported. */
  readonly connections: number;
  /** Drains and ends all workers: what still runs after `drainTimeMs` is killed. */
  close(drainTimeMs: number): Promise<void>;
}

/** Workers by process. Nothing is started before `start`. */
export function createFleet(options: FleetOptions): Fleet {
  const { clock, log, stats } = options;
  const dispatch = new ConnectionDispatch({ clock, log, stats });
  const questions = new Questions(clock);
  const supervisor = new Supervisor(options, {
    onStart(worker) {
      options.replay((message) => worker.send(apply(message)));
      worker.send({ type: 'replayed' });
    },
    onMessage: take,
    onPlacesChange: () => dispatch.use(supervisor.serving()),
    onTaken: (place) => barriers.taken(place),
    onEnd(worker, end) {
      dispatch.ended(worker);
      questions.ended(worker);
      options.onEnd(end);
    },
    onEnded: (worker, vacant) => barriers.ended(worker, vacant),
    onCheck: () => dispatch.check(),
  });
  const barriers: Barriers<Place> = new Barriers({
    workers: () => supervisor.workers(),
    vacant: () => supervisor.vacant(),
  });

  function take(worker: WorkerProcess, message: FromWorker): void {
    switch (message.type) {
      case 'passed':
        barriers.passed(worker, message.number);
        break;
      case 'answer':
        questions.answered(worker, message.number, message.answer);
        break;
      case 'unanswered':
        log.error({ worker: worker.number }, `a worker could not answer: ${message.problem}`);
        questions.unanswered(worker, message.number);
        break;
      case 'taken':
        dispatch.taken(worker, message.number);
        break;
      case 'taken_up_to':
        dispatch.takenUpTo(worker, message.number);
        break;
      case 'report':
        options.onReport(worker.number, message.report);
        break;
      case 'alive':
      case 'ready':
      case 'drained':
        break;
    }
  }

  return {
    start() {
      supervisor.start();
      return barriers.settled();
    },
    broadcast(message) {
      const packed = apply(message);
      for (const worker of supervisor.workers()) worker.send(packed);
    },
    settled: () => barriers.settled(),
    ask: (question, timeoutMs) =>
      questions.ask(
        supervisor.workers().filter(({ state }) => state !== 'starting' && state !== 'ending'),
        question,
        timeoutMs,
      ),
    dispatch: (socket, target) => dispatch.dispatch(socket, target),
    replace: (worker, why) => supervisor.replace(worker, why),
    replaceAll: (why) => supervisor.replaceAll(why),
    workers: () =>
      supervisor.workers().map(({ number, pid, state, connections, startedAt }) => ({
        worker: number,
        pid,
        state,
        connections,
        ageMs: clock.monotonic() - startedAt,
      })),
    get connections() {
      return supervisor.workers().reduce((sum, { connections }) => sum + connections, 0);
    },
    async close(drainTimeMs) {
      await supervisor.close(drainTimeMs);
      dispatch.close();
      barriers.close();
    },
  };
}

/** Written once, however many workers it goes to. */
const apply = (message: unknown): ToWorker => ({ type: 'apply', body: serialize(message) });
