import { createHash } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { StatsStore } from '../stats/store.js';
import type { ResourceType } from './resource-type.js';

/** What is counted for one resource type. */
export interface TypeStats {
  /** So many resources were judged, that is decoded and looked at as a whole. */
  judged(count: number): void;
  attempted(): void;
  accepted(version: string, durationMs: number): void;
  rejected(): void;
  /** The stream was lost or not to be had. */
  failed(): void;
  timedOut(): void;
}

/** The value of `version` statistics: a hash, as Envoy's, but another one. */
export const versionHash = (text: string): number => createHash('sha256').update(text).digest().readUIntBE(0, 6);

/**
 * Envoy's statistics of a subscription (https://www.envoyproxy.io/docs/envoy/latest/configuration/overview/mgmt_server#xds-subscription-statistics)
 * under the type's prefix, and `xds.TYPE.judged`.
 */
export function createTypeStats<T>(type: ResourceType<T>, stats: StatsStore, clock: Clock): TypeStats {
  const judged = stats.counter(`xds.${type.shortName}.judged`);
  const count = (n: number) => {
    judged.value += n;
  };
  const nothing = () => {};
  if (type.statPrefix === undefined) {
    return {
      judged: count,
      attempted: nothing,
      accepted: nothing,
      rejected: nothing,
      failed: nothing,
      timedOut: nothing,
    };
  }
  const of = (name: string) => `${type.statPrefix}.${name}`;
  const attempt = stats.counter(of('update_attempt'));
  const success = stats.counter(of('update_success'));
  const rejected = stats.counter(of('update_rejected'));
  const failure = stats.counter(of('update_failure'));
  const timeout = stats.counter(of('init_fetch_timeout'));
  const updateTime = stats.gauge(of('update_time'));
  const version = stats.gauge(of('version'));
  const duration = stats.histogram(of('update_duration'), 'ms');
  return {
    judged: count,
    attempted() {
      attempt.value++;
    },
    accepted(text, durationMs) {
      attempt.value++;
      success.value++;
      updateTime.value = clock.now();
      version.value = versionHash(text);
      duration.record(durationMs);
    },
    rejected() {
      attempt.value++;
      rejected.value++;
    },
    failed() {
      attempt.value++;
      failure.value++;
    },
    timedOut() {
      attempt.value++;
      timeout.value++;
    },
  };
}
