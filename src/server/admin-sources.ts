import type { AdminSources, DumpedKind, DumpedResource, ShownCertificates } from '../admin/sources.js';
import type { JudgedBridge } from '../bridge/prepared-bridge.js';
import type { ListenerManager } from '../listener/listener-manager.js';
import type { ListenerStatus } from '../listener/listener-status.js';
import type { Bootstrap } from '../model/bootstrap.js';
import { describeProblems, type Resource, type Verdict } from '../model/verdict.js';
import type { GivenSecret } from '../tls/given-secrets.js';
import { parseCertificates } from '../tls/material.js';
import type { ClusterManager, ClusterStatus } from '../upstream/cluster-manager.js';
import type { ResourceState } from '../xds/resource-type.js';
import type { DynamicConfig } from './dynamic-config.js';
import type { Readiness } from './readiness.js';
import type { RolledBack } from './roll-back.js';

export interface AdminSourcesOptions {
  readonly bootstrap: Bootstrap;
  readonly types: Readonly<Record<DumpedKind, { readonly typeUrl: string }>>;
  readonly clusters: Pick<ClusterManager<JudgedBridge>, 'snapshot' | 'statuses'>;
  readonly listeners: ListenerManager;
  readonly dynamic: DynamicConfig;
  /** Those that are used now. */
  readonly secrets: () => readonly GivenSecret[];
  readonly readiness: Readiness;
  readonly startTime: Date;
  readonly version: string;
  readonly commandLine: Readonly<Record<string, unknown>>;
  readonly rolledBack: (clusterName: string) => RolledBack | undefined;
}

interface Shown {
  readonly resource: Resource<unknown>;
  readonly lastUpdated: Date;
}

const shown = ({ resource, lastUpdated }: Shown) => ({ version: resource.version, bytes: resource.bytes, lastUpdated });

function warningsOf(verdict: Verdict<unknown> | undefined): { readonly warnings?: readonly string[] } {
  if (verdict?.kind !== 'active' || verdict.warnings.length === 0) return {};
  return { warnings: verdict.warnings.map((warning) => describeProblems([warning])) };
}

const errorOf = ({ version, bytes }: Resource<unknown>, details: string, lastAttempt: Date) => ({
  version,
  details,
  lastAttempt,
  bytes,
});

/** What runs of a name, and the last version of it that was refused. */
function dumpOf(
  status: ClusterStatus | ListenerStatus,
  state: ResourceState | undefined,
  rolledBack: RolledBack | undefined,
): DumpedResource {
  const { name, origin, active, warming, parked } = status;
  const serving = active ?? parked;
  const failed = 'failed' in status ? status.failed : undefined;
  const refused = failed && errorOf(failed.resource, failed.message, failed.lastAttempt);
  const withdrawn = rolledBack && errorOf(rolledBack.resource, rolledBack.message, rolledBack.at);
  const error = state?.error ?? refused ?? withdrawn;
  return {
    name,
    origin,
    ...(serving && { active: shown(serving), ...warningsOf(serving.resource.verdict) }),
    ...(warming && { warming: { ...shown(warming), waitingFor: warming.waitingFor } }),
    ...(parked && { parked: { reason: parked.reason } }),
    ...(state?.stale && { stale: true }),
    ...(error && { error }),
  };
}

/** A resource that only the client knows: endpoints and routes, whatever came of them. */
function dumpOfState(state: ResourceState): DumpedResource | undefined {
  const { name, version, bytes, lastUpdated, status, verdict, stale, error } = state;
  if (status === 'requested' || status === 'does_not_exist' || status === 'timed_out')
    return { name, origin: 'dynamic', missing: { status, since: lastUpdated }, ...(error && { error }) };
  if (bytes === undefined && error === undefined) return undefined;
  return {
    name,
    origin: 'dynamic',
    ...(bytes && { active: { version, bytes, lastUpdated: lastUpdated ?? new Date(0) } }),
    stale,
    ...(verdict?.kind === 'parked' && { parked: { reason: verdict.reason } }),
    ...warningsOf(verdict),
    ...(error && { error }),
  };
}

function shownCertificates(secret: GivenSecret): ShownCertificates {
  const { path = '' } = secret;
  const shownAs = (pem: string) => parseCertificates(pem).map((certificate) => ({ path, certificate }));
  if ('chain' in secret) return { caCertificates: [], chain: shownAs(secret.chain) };
  return {
    caCertificates: secret.ca === undefined || secret.ca === 'system' ? [] : shownAs(secret.ca),
    chain: [],
  };
}

/** Puts together what the admin interface shows. */
export function createAdminSources(options: AdminSourcesOptions): AdminSources {
  const { bootstrap, types, clusters, listeners, dynamic, readiness } = options;
  const statesOf = (kind: DumpedKind): Iterable<ResourceState> => dynamic.client.states(types[kind].typeUrl);

  function* dumpRunning(kind: 'clusters' | 'listeners'): Generator<DumpedResource | undefined> {
    const { typeUrl } = types[kind];
    const dumped = new Set<string>();
    for (const status of kind === 'clusters' ? clusters.statuses() : listeners.snapshot()) {
      const { name, origin, active, warming, parked } = status;
      if (!active && !warming && !parked && !('failed' in status && status.failed)) continue;
      const state = origin === 'dynamic' ? dynamic.client.state(typeUrl, name) : undefined;
      yield dumpOf(status, state, kind === 'clusters' ? options.rolledBack(name) : undefined);
      dumped.add(name);
    }
    for (const { name, error } of statesOf(kind)) {
      // Refused from its first version on: the managers have never heard of it.
      yield error && !dumped.has(name) ? { name, origin: 'dynamic', error } : undefined;
    }
  }
  function* dumpKnown(kind: 'endpoints' | 'routes' | 'secrets'): Generator<DumpedResource | undefined> {
    for (const { name, bytes, verdict } of kind === 'secrets' ? bootstrap.secrets : []) {
      const parked = verdict.kind === 'parked' && { parked: { reason: verdict.reason } };
      const active = { version: '', bytes, lastUpdated: options.startTime };
      yield { name, origin: 'static', active, ...parked, ...warningsOf(verdict) };
    }
    for (const state of statesOf(kind)) {
      yield dumpOfState(state);
    }
  }
  return {
    bootstrap,
    startTime: options.startTime,
    version: options.version,
    commandLine: options.commandLine,
    state: () => readiness.state(),
    clusters: () => clusters.statuses(),
    listeners: () =>
      listeners.snapshot().flatMap(({ name, active }) => (active ? [{ name, addresses: active.localAddresses }] : [])),
    certificates: () =>
      options
        .secrets()
        .map(shownCertificates)
        .filter(({ caCertificates, chain }) => caCertificates.length + chain.length > 0),
    versionInfo: (kind) => dynamic.client.version(types[kind].typeUrl),
    dump: (kind) => (kind === 'clusters' || kind === 'listeners' ? dumpRunning(kind) : dumpKnown(kind)),
    waitingFor: () => [
      ...readiness.waiting,
      ...clusters
        .snapshot()
        .flatMap(({ name, warming }) => (warming ? [`cluster ${name}: ${warming.waitingFor.join(', ')}`] : [])),
      ...listeners
        .snapshot()
        .flatMap(({ name, warming }) => (warming ? [`listener ${name}: ${warming.waitingFor.join(', ')}`] : [])),
    ],
  };
}
