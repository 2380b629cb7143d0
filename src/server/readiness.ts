import type { ServerState } from '../admin/sources.js';

/** Whether the server is up: what it still waits for at start, and whether it takes requests at all. */
export interface Readiness {
  state(): ServerState;
  /** Adds something to wait for before the server is LIVE. Calling the result ends the wait; a second call is harmless. */
  wait(target: string): () => void;
  readonly waiting: ReadonlySet<string>;
  /** Called once, when nothing is waited for any more. */
  onLive(listener: () => void): void;
  /** `POST /healthcheck/fail`. */
  failHealthCheck(failed: boolean): void;
  /** The server ends: it stays DRAINING. */
  drain(): void;
}

/** Not live before `wait` was called at least once and all waits have ended. */
export function createReadiness(): Readiness {
  const waiting = new Set<string>();
  const listeners: (() => void)[] = [];
  let phase: 'initializing' | 'live' | 'draining' = 'initializing';
  let healthCheckFailed = false;
  return {
    state() {
      if (phase === 'initializing') return 'INITIALIZING';
      return phase === 'draining' || healthCheckFailed ? 'DRAINING' : 'LIVE';
    },
    wait(target) {
      waiting.add(target);
      return () => {
        if (!waiting.delete(target) || waiting.size > 0 || phase !== 'initializing') return;
        phase = 'live';
        for (const listener of listeners) listener();
      };
    },
    waiting,
    onLive: (listener) => listeners.push(listener),
    failHealthCheck(failed) {
      healthCheckFailed = failed;
    },
    drain() {
      phase = 'draining';
    },
  };
}
