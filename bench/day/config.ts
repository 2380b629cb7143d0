import type { Certificate } from '../../test/support/certificates.js';

/** How many clusters there may be. The first ones are always there, the others come and go. */
export const clusterCount = 24;
export const steadyCount = 4;

export interface DayCluster {
  /** `added`: nothing leads there until everybody has it. `leaving`: nothing should lead there, but somebody may not know yet. */
  readonly stage: 'absent' | 'added' | 'routed' | 'leaving';
  /** In the plugin's configuration; never the same twice. */
  readonly version: number;
  /** The version that it came with, when it came. */
  readonly since: number;
  readonly plugin: 'whole' | 'streamed';
  /** Numbers of its TCP servers. */
  readonly servers: readonly number[];
  /** What of it must be refused now; what was there before stays. */
  readonly bad: 'cluster' | 'endpoints' | undefined;
}

/** Everything that a control plane has at one moment of the day. Immutable. */
export interface DayConfig {
  readonly clusters: readonly DayCluster[];
  /** Counts changes of the routes; also in the routes themselves. */
  readonly routes: number;
  /** Routes that must be refused. */
  readonly badRoutes: boolean;
  /** Part of the listeners' statistics prefix. */
  readonly listeners: number;
  readonly spareListener: boolean;
  /** What Pontoon shows to its clients and to TLS servers. */
  readonly certificate: Certificate;
  /** Certificate and key belong together. */
  readonly badSecret: boolean;
  /** Whether another authority is trusted beside the one that signs everything. */
  readonly trustsOther: boolean;
  /** Same resources under another version. */
  readonly restated: number;
}

/** What the instances have for sure: how far a change may go on. */
export interface Seen {
  /** Versions of clusters that serve, by number; the oldest of all instances. */
  readonly clusters: ReadonlyMap<number, number>;
  readonly routes: number;
}

export interface Dice {
  readonly random: () => number;
  /** Numbers that were never used. */
  readonly nextVersion: () => number;
  readonly newCertificate: () => Certificate;
  readonly serversOf: (cluster: number) => readonly number[];
}

export const nameOf = (cluster: number) => `c${String(cluster).padStart(2, '0')}`;
export const hasEds = (cluster: number) => cluster % 3 !== 0;
export const hasTls = (cluster: number) => cluster % 4 === 3;

const below = ({ random }: Dice, limit: number) => Math.floor(random() * limit);

function someServers(dice: Dice, cluster: number): readonly number[] {
  const all = dice.serversOf(cluster);
  const first = below(dice, all.length);
  return Array.from({ length: 1 + below(dice, 3) }, (_, i) => all[(first + i) % all.length] as number);
}

function fresh(dice: Dice, cluster: number, stage: DayCluster['stage']): DayCluster {
  const version = dice.nextVersion();
  const plugin = dice.random() < 0.5 ? 'whole' : 'streamed';
  return { stage, version, since: version, plugin, servers: someServers(dice, cluster), bad: undefined };
}

export function firstConfig(dice: Dice): DayConfig {
  return {
    clusters: Array.from({ length: clusterCount }, (_, index) =>
      fresh(dice, index, index < steadyCount ? 'routed' : 'absent'),
    ),
    routes: 0,
    badRoutes: false,
    listeners: 0,
    spareListener: false,
    certificate: dice.newCertificate(),
    badSecret: false,
    trustsOther: false,
    restated: 0,
  };
}

/** Replaces one of the clusters that `fits`, taken at random; undefined when there is none. */
function withCluster(
  config: DayConfig,
  dice: Dice,
  fits: (cluster: DayCluster, index: number) => boolean,
  change: (cluster: DayCluster, index: number) => DayCluster,
): DayConfig | undefined {
  const candidates = config.clusters.flatMap((cluster, index) => (fits(cluster, index) ? [index] : []));
  const chosen = candidates[below(dice, candidates.length)];
  if (chosen === undefined) return undefined;
  return {
    ...config,
    clusters: config.clusters.map((cluster, index) => (index === chosen ? change(cluster, index) : cluster)),
  };
}

type Change = (config: DayConfig, dice: Dice, seen: Seen) => DayConfig | undefined;

const isThere = ({ stage }: DayCluster) => stage !== 'absent';
const withRoutes = (config: DayConfig | undefined) => config && { ...config, routes: config.routes + 1 };

/**
 * Kinds of pushes, with how often they come. One that is not possible now is left out. What is bad is mended soon: while a type has
 * something bad, all of its news wait for answers that are paced.
 */
const changes: Readonly<Record<string, readonly [weight: number, change: Change]>> = {
  'change a cluster': [
    20,
    (config, dice) =>
      withCluster(config, dice, isThere, (cluster) => ({
        ...cluster,
        version: dice.nextVersion(),
        plugin: dice.random() < 0.5 ? 'whole' : 'streamed',
      })),
  ],
  'move endpoints': [
    24,
    (config, dice) =>
      withCluster(config, dice, isThere, (cluster, index) => ({ ...cluster, servers: someServers(dice, index) })),
  ],
  'add a cluster': [
    10,
    (config, dice) =>
      withCluster(
        config,
        dice,
        ({ stage }) => stage === 'absent',
        (_, index) => fresh(dice, index, 'added'),
      ),
  ],
  'lead requests to a cluster': [
    14,
    (config, dice, { clusters }) =>
      withRoutes(
        withCluster(
          config,
          dice,
          ({ stage, since }, index) => stage === 'added' && (clusters.get(index) ?? 0) >= since,
          (cluster) => ({ ...cluster, stage: 'routed' }),
        ),
      ),
  ],
  'lead requests away': [
    8,
    (config, dice) =>
      withRoutes(
        withCluster(
          config,
          dice,
          ({ stage }, index) => stage === 'routed' && index >= steadyCount,
          (cluster) => ({ ...cluster, stage: 'leaving', since: config.routes + 1 }),
        ),
      ),
  ],
  'remove a cluster': [
    12,
    (config, dice, { routes }) =>
      withCluster(
        config,
        dice,
        ({ stage, since }) => stage === 'leaving' && routes >= since,
        (cluster) => ({ ...cluster, stage: 'absent', bad: undefined }),
      ),
  ],
  'refused cluster': [
    4,
    (config, dice) => withCluster(config, dice, isThere, (cluster) => ({ ...cluster, bad: 'cluster' })),
  ],
  'refused endpoints': [
    3,
    (config, dice) =>
      withCluster(
        config,
        dice,
        ({ stage, bad }, index) => stage === 'routed' && hasEds(index) && bad === undefined,
        (cluster) => ({ ...cluster, bad: 'endpoints' }),
      ),
  ],
  'refused routes': [1, (config) => (config.badRoutes ? undefined : { ...config, badRoutes: true })],
  'refused secret': [1, (config) => (config.badSecret ? undefined : { ...config, badSecret: true })],
  'mend a cluster': [
    40,
    (config, dice) =>
      withCluster(
        config,
        dice,
        ({ bad }) => bad !== undefined,
        // As often as not with what it was before.
        (cluster) => ({ ...cluster, bad: undefined, ...(dice.random() < 0.5 && { version: dice.nextVersion() }) }),
      ),
  ],
  'mend routes': [15, (config) => (config.badRoutes ? { ...config, badRoutes: false } : undefined)],
  'mend the secret': [10, (config) => (config.badSecret ? { ...config, badSecret: false } : undefined)],
  'change listeners': [2, (config) => ({ ...config, listeners: (config.listeners + 1) % 3 })],
  'add or remove a listener': [1, (config) => ({ ...config, spareListener: !config.spareListener })],
  'rotate the certificate': [3, (config, dice) => ({ ...config, certificate: dice.newCertificate() })],
  'rotate authorities': [2, (config) => ({ ...config, trustsOther: !config.trustsOther })],
  'the same again': [3, (config) => ({ ...config, restated: config.restated + 1 })],
};

/** One change, taken at random from those that are possible. */
export function nextConfig(config: DayConfig, dice: Dice, seen: Seen): { readonly kind: string; config: DayConfig } {
  const total = Object.values(changes).reduce((sum, [weight]) => sum + weight, 0);
  for (;;) {
    let at = below(dice, total);
    for (const [kind, [weight, change]] of Object.entries(changes)) {
      at -= weight;
      if (at >= 0) continue;
      const next = change(config, dice, seen);
      if (next) return { kind, config: next };
      break;
    }
  }
}

const changeGuests = (config: DayConfig, change: (cluster: DayCluster) => DayCluster) =>
  config.clusters.map((cluster, index) => (index < steadyCount ? cluster : change(cluster)));

/**
 * Without anything that must be refused, and with nothing that leads to clusters that come and go. Under versions of its own: a SotW server
 * that goes back to the version that a client accepted before the bad one tells it nothing.
 */
export function mended(config: DayConfig): DayConfig {
  const routes = config.routes + 1;
  const good = { ...config, clusters: config.clusters.map((cluster) => ({ ...cluster, bad: undefined })) };
  return {
    ...good,
    badRoutes: false,
    badSecret: false,
    restated: config.restated + 1,
    routes,
    clusters: changeGuests(good, (cluster) =>
      cluster.stage === 'absent' ? cluster : { ...cluster, stage: 'leaving', since: routes },
    ),
  };
}

/** Once everybody has `mended`: as much as there was in the beginning. */
export function emptied(config: DayConfig): DayConfig {
  const clusters = changeGuests(config, (cluster) => ({ ...cluster, stage: 'absent' }));
  return { ...config, clusters, listeners: 0, spareListener: false, trustsOther: false };
}

/** The cluster that serves a path, once everybody has this. */
export function servingCluster(config: DayConfig, path: number): DayCluster {
  const cluster = config.clusters[path] as DayCluster;
  return cluster.stage === 'routed' ? cluster : (config.clusters[0] as DayCluster);
}
