import type { StatsStore } from '../stats/store.js';

/**
 * What upstream/ counts of one cluster, under Envoy's names.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats
 */
export type ClusterStats = ReturnType<typeof createClusterStats>;

export function createClusterStats(stats: StatsStore) {
  const counter = (name: string) => stats.counter(name);
  const gauge = (name: string) => stats.gauge(name);
  return {
    cxTotal: counter('upstream_cx_total'),
    cxActive: gauge('upstream_cx_active'),
    cxConnectFail: counter('upstream_cx_connect_fail'),
    cxConnectTimeout: counter('upstream_cx_connect_timeout'),
    cxOverflow: counter('upstream_cx_overflow'),
    cxIdleTimeout: counter('upstream_cx_idle_timeout'),
    cxNoneHealthy: counter('upstream_cx_none_healthy'),
    cxDestroy: counter('upstream_cx_destroy'),
    cxDestroyLocal: counter('upstream_cx_destroy_local'),
    cxDestroyRemote: counter('upstream_cx_destroy_remote'),
    cxDestroyWithActiveRq: counter('upstream_cx_destroy_with_active_rq'),
    cxDestroyLocalWithActiveRq: counter('upstream_cx_destroy_local_with_active_rq'),
    cxDestroyRemoteWithActiveRq: counter('upstream_cx_destroy_remote_with_active_rq'),
    /** Bytes, or a FIN, that came on an idle connection. */
    cxProtocolError: counter('upstream_cx_protocol_error'),
    cxRxBytesTotal: counter('upstream_cx_rx_bytes_total'),
    cxRxBytesBuffered: gauge('upstream_cx_rx_bytes_buffered'),
    cxTxBytesTotal: counter('upstream_cx_tx_bytes_total'),
    cxTxBytesBuffered: gauge('upstream_cx_tx_bytes_buffered'),
    cxConnectMs: stats.histogram('upstream_cx_connect_ms', 'ms'),
    cxLengthMs: stats.histogram('upstream_cx_length_ms', 'ms'),
    flowControlBackedUp: counter('upstream_flow_control_backed_up_total'),
    flowControlDrained: counter('upstream_flow_control_drained_total'),
    flowControlPausedReading: counter('upstream_flow_control_paused_reading_total'),
    flowControlResumedReading: counter('upstream_flow_control_resumed_reading_total'),
    rqTotal: counter('upstream_rq_total'),
    rqActive: gauge('upstream_rq_active'),
    rqPendingTotal: counter('upstream_rq_pending_total'),
    rqPendingActive: gauge('upstream_rq_pending_active'),
    rqPendingOverflow: counter('upstream_rq_pending_overflow'),
    rqPendingFailureEject: counter('upstream_rq_pending_failure_eject'),
    rqCancelled: counter('upstream_rq_cancelled'),
    /** Not Envoy's: exchanges that were still running when their replaced version's drain time was over. */
    rqDrainTimeout: counter('upstream_rq_drain_timeout'),
    membershipTotal: gauge('membership_total'),
    membershipHealthy: gauge('membership_healthy'),
    membershipDegraded: gauge('membership_degraded'),
    membershipExcluded: gauge('membership_excluded'),
    membershipChange: counter('membership_change'),
    maxHostWeight: gauge('max_host_weight'),
    updateAttempt: counter('update_attempt'),
    updates: {
      success: counter('update_success'),
      failure: counter('update_failure'),
      empty: counter('update_empty'),
      rejected: counter('update_rejected'),
      timeout: counter('init_fetch_timeout'),
    },
    updateNoRebuild: counter('update_no_rebuild'),
    warmingState: gauge('warming_state'),
    lbHealthyPanic: counter('lb_healthy_panic'),
  };
}
