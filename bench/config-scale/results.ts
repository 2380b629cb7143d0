import type { OpenLoopResult } from '../side-by-side/load/open-loop.js';
import type { Machine } from '../side-by-side/results.js';

/** What a run of the benchmark leaves: plain JSON, from which the report is made. Times in milliseconds, memory in MiB, unless the name says otherwise. */
export interface Results {
  readonly format: 1;
  readonly machine: Machine;
  readonly envoyVersion: string;
  readonly clusters: number;
  readonly endpoints: number;
  readonly scale: readonly ScaleResult[];
  readonly load: readonly UnderLoad[];
}

export const peerNames = ['Envoy', 'Pontoon', 'Pontoon, with snapshots'] as const;
export type PeerName = (typeof peerNames)[number];

export const variants = ['GRPC', 'DELTA_GRPC'] as const;
export type Variant = (typeof variants)[number];

/** What one start, and changes after it, cost. */
export interface ScaleResult {
  readonly peer: PeerName;
  readonly variant: Variant;
  readonly readyMs: number;
  readonly readyCpuMs: number;
  readonly readyMiB: number;
  /** Seconds later, when what the start left behind is gone. */
  readonly settledMiB: number;
  /** Of each change. */
  readonly changesCpuMs: readonly number[];
}

/** For how long the event loop did nothing else, as far as its thread had a CPU. */
export interface Heartbeat {
  /** How many took more than 10 ms. */
  readonly stretches: number;
  readonly longestMs: number;
  /** Without the garbage collector. */
  readonly longestOwnMs: number;
  /** The garbage collector in one of them, by the clock. */
  readonly longestGcMs: number;
  /** By the clock: others may have had the CPU. */
  readonly longestWaitMs: number;
}

export const loadPhases = {
  idleSmall: 'idle, small',
  growing: 'becoming large',
  idleLarge: 'idle, large',
  changing: 'one cluster changing',
  /** The same in a control plane of which the proxy knows nothing. */
  changingElsewhere: 'the control plane alone',
  shrinking: 'becoming small',
} as const;

/** What one kind of work did to those that are served meanwhile. */
export interface Phase {
  readonly name: string;
  readonly load: Pick<OpenLoopResult, 'p50Us' | 'p99Us' | 'failed'>;
  /** Of each run, where there were several: `load` has the medians then. */
  readonly p99sUs?: readonly number[];
  /** Of Pontoon alone. */
  readonly heartbeat?: Heartbeat;
  readonly cpuMs: number;
  readonly residentMiB: number;
}

export interface UnderLoad {
  readonly peer: PeerName;
  readonly phases: readonly Phase[];
  /** From a push to the first request that sees it, sorted. */
  readonly activeMs: readonly number[];
}
