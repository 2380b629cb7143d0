import type { Cluster, Discovery } from '../model/cluster.js';
import { reachableEndpoints } from '../model/transport-socket.js';
import type { NoAssignment } from './cluster-manager.js';
import type { AssignmentAnswer, AssignmentWatcher, EdsAssignments } from './eds-assignments.js';
import { type HostSource, type HostSourceCallbacks, nothingResolved, type UpdateOutcome } from './host-source.js';

const outcomes = {
  does_not_exist: 'empty',
  timed_out: 'timeout',
  rejected: 'rejected',
  disconnected: 'failure',
} as const satisfies Record<NoAssignment, UpdateOutcome>;

/**
 * EDS: the assignment comes from outside; that it does not exist, or is bad, is an answer, too, and leaves the hosts as they are. One object
 * with what it needs, and no function of its own: there may be ten thousand.
 */
export class EdsSource implements HostSource, AssignmentWatcher {
  listIndex = -1;
  readonly #cluster: Cluster;
  readonly #discovery: Extract<Discovery, { type: 'EDS' }>;
  readonly #assignments: EdsAssignments;
  #callbacks: HostSourceCallbacks | undefined;
  #isStarting = false;
  #isWarm = false;

  constructor(cluster: Cluster, discovery: Extract<Discovery, { type: 'EDS' }>, assignments: EdsAssignments) {
    this.#cluster = cluster;
    this.#discovery = discovery;
    this.#assignments = assignments;
  }

  get isWarm(): boolean {
    return this.#isWarm;
  }

  get resolved(): HostSource['resolved'] {
    return nothingResolved;
  }

  waitingFor(): readonly string[] {
    return this.#isWarm ? [] : [`endpoints (EDS ${this.#discovery.serviceName})`];
  }

  start(callbacks: HostSourceCallbacks): void {
    this.#callbacks = callbacks;
    callbacks.onAttempt();
    this.#isStarting = true;
    this.#assignments.watch(this.#discovery.serviceName, this.#discovery.source, this);
    this.#isStarting = false;
  }

  stop(): void {
    this.#assignments.unwatch(this.#discovery.serviceName, this.#discovery.source, this);
  }

  onAssignment(answer: AssignmentAnswer): void {
    if (answer !== 'disconnected') this.#isWarm = true;
    const assignment = typeof answer === 'object' ? reachableEndpoints(this.#cluster, answer) : undefined;
    if (this.#isStarting) {
      // It came for another version, or another cluster, which counted it.
      this.#callbacks?.onOutcome('fixed', assignment);
      return;
    }
    this.#callbacks?.onAttempt();
    this.#callbacks?.onOutcome(typeof answer === 'object' ? 'success' : outcomes[answer], assignment);
  }
}
