import type { Clock } from '../clock.js';
import type { StatsStore } from '../stats/store.js';
import { versionNumber } from '../xds/type-stats.js';

/**
 * What is counted of the subscription for one resource, under the names of
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/overview/mgmt_server#xds-subscription-statistics
 */
export function createSubscriptionStats(scope: StatsStore, clock: Clock) {
  const success = scope.counter('update_success');
  const updateTime = scope.gauge('update_time');
  const version = scope.gauge('version');
  return {
    attempt: scope.counter('update_attempt'),
    failure: scope.counter('update_failure'),
    rejected: scope.counter('update_rejected'),
    timeout: scope.counter('init_fetch_timeout'),
    /** The version was taken, or was there already. */
    accepted(text: string): void {
      success.value++;
      updateTime.value = clock.now();
      version.value = versionNumber(text);
    },
  };
}
