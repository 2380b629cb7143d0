import { formatAddress, type LbEndpoint, type LoadAssignment, type LocalityEndpoints } from '../model/endpoint.js';
import type { NoAssignment } from './cluster-manager.js';
import type { AssignmentWatcher } from './eds-assignments.js';
import type { HostSpec } from './host.js';

export interface HostUpdate {
  readonly hosts: readonly HostSpec[];
  /** Per cent. */
  readonly overprovisioningFactor: number;
}

/** What became of a try to learn the hosts; the cluster's update_* statistics, where `fixed` (there was nothing to learn, or nothing new) is none. */
export type UpdateOutcome = 'fixed' | 'success' | 'failure' | 'empty' | 'rejected' | 'timeout';

export interface HostSourceCallbacks {
  onAttempt(): void;
  /** `update` is undefined where the hosts stay as they are. `waitingFor` may have changed. */
  onOutcome(outcome: UpdateOutcome, update: HostUpdate | undefined): void;
}

/** How one version of a cluster learns its hosts. */
export interface HostSource {
  /** Names what has not been heard of yet; empty: warm. */
  waitingFor(): readonly string[];
  /** May call back before it returns. */
  start(callbacks: HostSourceCallbacks): void;
  stop(): void;
  /** By name, what DNS last said: the cluster's next version begins with it. */
  readonly resolved: ReadonlyMap<string, readonly string[]>;
}

export const nothingResolved: ReadonlyMap<string, readonly string[]> = new Map();

export function hostSpec(endpoint: LbEndpoint, { locality, priority }: LocalityEndpoints): HostSpec {
  const address = formatAddress(endpoint.address);
  const { address: socketAddress, hostname, weight, healthStatus, transportSocketMatch } = endpoint;
  const spec = { key: address, address, socketAddress, hostname, locality, priority, weight, healthStatus };
  // No spread where it can be spared: each would make an object with a hidden class of its own.
  return transportSocketMatch ? { ...spec, transportSocketMatch } : spec;
}

function hostSpecs(assignment: LoadAssignment): HostSpec[] {
  return assignment.localities.flatMap((locality) =>
    locality.endpoints.map((endpoint) => hostSpec(endpoint, locality)),
  );
}

export function createStaticSource(assignment: LoadAssignment): HostSource {
  return {
    waitingFor: () => [],
    start({ onOutcome }) {
      onOutcome('fixed', {
        hosts: hostSpecs(assignment),
        overprovisioningFactor: assignment.overprovisioningFactor,
      });
    },
    stop() {},
    resolved: nothingResolved,
  };
}

const outcomes = {
  does_not_exist: 'empty',
  timed_out: 'timeout',
  rejected: 'rejected',
  disconnected: 'failure',
} as const satisfies Record<NoAssignment, UpdateOutcome>;

/** EDS: the assignment comes from outside; that it does not exist, or is bad, is an answer, too, and leaves the hosts as they are. */
export function createEdsSource(serviceName: string, watch: (watcher: AssignmentWatcher) => () => void): HostSource {
  let answered = false;
  let stop = () => {};
  return {
    waitingFor: () => (answered ? [] : [`endpoints (EDS ${serviceName})`]),
    start({ onAttempt, onOutcome }) {
      onAttempt();
      let starting = true;
      stop = watch((answer) => {
        if (answer !== 'disconnected') answered = true;
        if (starting) {
          // It came for another version, or another cluster, which counted it.
          onOutcome('fixed', typeof answer === 'object' ? edsUpdate(answer) : undefined);
          return;
        }
        onAttempt();
        if (typeof answer === 'object') onOutcome('success', edsUpdate(answer));
        else onOutcome(outcomes[answer], undefined);
      });
      starting = false;
    },
    stop: () => stop(),
    resolved: nothingResolved,
  };
}

function edsUpdate(assignment: LoadAssignment): HostUpdate {
  // Of the same address more than once the first counts, as in Envoy's EDS.
  const hosts = new Map<string, HostSpec>();
  for (const spec of hostSpecs(assignment)) if (!hosts.has(spec.key)) hosts.set(spec.key, spec);
  return { hosts: [...hosts.values()], overprovisioningFactor: assignment.overprovisioningFactor };
}
