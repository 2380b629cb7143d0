import type { PeerName } from './peers/index.js';
import type { Group } from './results.js';

const kib = 1024;

/** What happens beside the load. */
export type Beside =
  | { readonly kind: 'nothing' }
  /** Clients that abort, and one exchange that the server does not answer for so many milliseconds again and again; 0: never. */
  | { readonly kind: 'aborts and a stuck exchange'; readonly stallMs: Partial<Record<PeerName, number>> }
  | { readonly kind: 'config changes'; readonly everyMs: number };

export interface ThroughputPlan {
  readonly id: string;
  readonly title: string;
  readonly body: number;
  readonly connections: number;
  readonly beside: Beside;
  /** Each request has a header that none before had. */
  readonly headsDiffer?: boolean;
  /** Rounds are so many times as long as those of other cases; 1 unless given. */
  readonly longer?: number;
}

/** Cases that share their running peers, and whose rounds alternate. */
export interface ThroughputGroup {
  readonly group: Group;
  readonly peers: readonly PeerName[];
  /** Whether the peers get one CPU, as for one process, or two. */
  readonly cpus: 'proxy' | 'proxies';
  readonly cases: readonly ThroughputPlan[];
}

const bodies = [
  { body: 128, name: '128 B', id: '128' },
  { body: 16 * kib, name: '16 KiB', id: '16k' },
  { body: 1024 * kib, name: '1 MiB', id: '1m' },
];
const nothing: Beside = { kind: 'nothing' };
const plural = (count: number) => `${count} connection${count === 1 ? '' : 's'}`;

/** In order, everything behind a stuck exchange waits with it, so it ends; by an id, and with connections of their own, others don't notice. */
const stallMs = { 'pontoon-in-order': 100, 'pontoon-by-id': 0, envoy: 0, 'pontoon-script': 0 };

export const throughputGroups: readonly ThroughputGroup[] = [
  {
    group: 'bodies',
    peers: ['pontoon-script', 'pontoon-go', 'envoy', 'nginx', 'haproxy', 'constant'],
    cpus: 'proxy',
    cases: bodies.flatMap(({ body, name, id }) =>
      [1, 32, 512].map((connections) => ({
        id: `${id}-${connections}`,
        title: `${name}, ${plural(connections)}`,
        body,
        connections,
        beside: nothing,
        // Half a gigabyte is under way at once.
        ...(id === '1m' && connections === 512 && { longer: 3 }),
      })),
    ),
  },
  {
    group: 'multiplexed',
    peers: ['pontoon-in-order', 'pontoon-by-id', 'pontoon-script', 'envoy'],
    cpus: 'proxy',
    cases: [...bodies, { body: 128, name: '128 B with another head each', id: '128-heads', headsDiffer: true }].map(
      ({ name, id, ...more }) => ({
        id: `mux-${id}`,
        title: `${name}, ${plural(32)}`,
        connections: 32,
        beside: { kind: 'aborts and a stuck exchange', stallMs },
        ...more,
      }),
    ),
  },
  {
    group: 'dubbo',
    peers: ['pontoon-dubbo', 'pontoon-dubbo-direct', 'pontoon-by-id'],
    cpus: 'proxy',
    cases: [{ id: 'dubbo-128', title: `a text of 128 B, ${plural(32)}`, body: 128, connections: 32, beside: nothing }],
  },
  {
    group: 'churn',
    peers: ['pontoon-ads', 'envoy-files'],
    cpus: 'proxy',
    cases: [
      { id: 'churn-off', title: 'configuration at rest', body: 128, connections: 32, beside: nothing },
      {
        id: 'churn-on',
        title: 'another version of the cluster every 100 ms',
        body: 128,
        connections: 32,
        beside: { kind: 'config changes', everyMs: 100 },
      },
    ],
  },
  {
    group: 'workers',
    peers: ['pontoon-script', 'pontoon-isolate', 'pontoon-two'],
    cpus: 'proxies',
    cases: [{ id: 'workers', title: `128 B, ${plural(64)}`, body: 128, connections: 64, beside: nothing }],
  },
];

export interface LatencyPlan {
  readonly id: string;
  readonly title: string;
  readonly body: number;
  readonly connections: number;
}

/** The share of Envoy's requests per second at which latency is compared. */
export const latencyShare = 0.7;

export const latencyPeers: readonly PeerName[] = ['pontoon-script', 'pontoon-go', 'envoy', 'nginx'];

export const latencyCases: readonly LatencyPlan[] = bodies.slice(0, 2).map(({ body, name, id }) => ({
  id: `latency-${id}`,
  title: `${name}, ${plural(32)}`,
  body,
  connections: 32,
}));

export const startUp = {
  id: 'start-up',
  peers: ['pontoon-script', 'pontoon-go', 'envoy', 'nginx', 'haproxy'],
  connections: 512,
} as const;

export const endurance = {
  id: 'endurance',
  peers: ['pontoon-script', 'pontoon-two'],
  connections: 32,
  body: 128,
} as const;

/** What `--case` takes. */
export const caseIds: readonly string[] = [
  ...throughputGroups.flatMap(({ cases }) => cases.map(({ id }) => id)),
  ...latencyCases.map(({ id }) => id),
  startUp.id,
  endurance.id,
];
