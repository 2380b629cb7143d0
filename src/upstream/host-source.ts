import type { LoadAssignment } from '../model/endpoint.js';

/** What became of a try to learn the hosts; the cluster's update_* statistics, where `fixed` (there was nothing to learn, or nothing new) is none. */
export type UpdateOutcome = 'fixed' | 'success' | 'failure' | 'empty' | 'rejected' | 'timeout';

export interface HostSourceCallbacks {
  onAttempt(): void;
  /** `assignment` is undefined where the hosts stay as they are; its addresses are resolved ones. `waitingFor` may have changed. */
  onOutcome(outcome: UpdateOutcome, assignment: LoadAssignment | undefined): void;
}

/** How one version of a cluster learns its hosts. */
export interface HostSource {
  /** Nothing is waited for. */
  readonly isWarm: boolean;
  /** Names what has not been heard of yet. */
  waitingFor(): readonly string[];
  /** May call back before it returns. */
  start(callbacks: HostSourceCallbacks): void;
  stop(): void;
  /** By name, what DNS last said: the cluster's next version begins with it. */
  readonly resolved: ReadonlyMap<string, readonly string[]>;
}

export const nothingResolved: ReadonlyMap<string, readonly string[]> = new Map();

/** Hosts that are known from the start. */
export function createStaticSource(assignment: LoadAssignment): HostSource {
  return {
    isWarm: true,
    waitingFor: () => [],
    start(callbacks) {
      callbacks.onOutcome('fixed', assignment);
    },
    stop() {},
    resolved: nothingResolved,
  };
}
