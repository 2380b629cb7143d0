/** What the main process writes to a worker's channel. Everything arrives in the order of sending. */
export type ToWorker =
  /** A piece of configuration, as `v8.serialize` made it: once for all workers. */
  | { readonly type: 'apply'; readonly body: Uint8Array }
  /** All that a new worker must know was sent: it says `ready` when it has carried that out. */
  | { readonly type: 'replayed' }
  /** It says `passed` when it has carried out all that was sent before. */
  | { readonly type: 'barrier'; readonly number: number }
  | { readonly type: 'question'; readonly number: number; readonly question: unknown }
  /** Comes with the connection's handle. It says `taken` before it reads anything. */
  | { readonly type: 'connection'; readonly number: number; readonly target: unknown }
  /** Connections up to this number were sent: a handle that didn't arrive is lost (the worker has no file descriptor left). */
  | { readonly type: 'given'; readonly upTo: number }
  | { readonly type: 'drain'; readonly drainTimeMs: number };

/** What a worker writes to its channel. Each is a sign of life, too. */
export type FromWorker =
  | { readonly type: 'alive'; readonly connections: number }
  | { readonly type: 'ready' }
  | { readonly type: 'passed'; readonly number: number }
  | { readonly type: 'answer'; readonly number: number; readonly answer: unknown }
  /** There is no answer, because the task threw. */
  | { readonly type: 'unanswered'; readonly number: number; readonly problem: string }
  | { readonly type: 'taken'; readonly number: number; readonly connections: number }
  | { readonly type: 'taken_up_to'; readonly number: number }
  | { readonly type: 'report'; readonly report: unknown }
  /** Its last message: nothing is left to serve, and it ends. */
  | { readonly type: 'drained' };

/** The environment variable that tells a process that it is a worker: a `WorkerSettings` as JSON. */
export const workerVariable = 'PONTOON_WORKER';

export interface WorkerSettings {
  /** The file of its call mark. */
  readonly markFile: string;
  /** How often it gives a sign of life, milliseconds. */
  readonly signMs: number;
}
