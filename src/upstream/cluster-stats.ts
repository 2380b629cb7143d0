import { defineStats, type StatsOf } from '../stats/group.js';

/**
 * What upstream/ counts of one cluster, under Envoy's names.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats
 */
export const clusterStats = defineStats({
  counters: {
    cxTotal: 'upstream_cx_total',
    cxConnectFail: 'upstream_cx_connect_fail',
    cxConnectTimeout: 'upstream_cx_connect_timeout',
    cxOverflow: 'upstream_cx_overflow',
    cxIdleTimeout: 'upstream_cx_idle_timeout',
    cxNoneHealthy: 'upstream_cx_none_healthy',
    cxDestroy: 'upstream_cx_destroy',
    cxDestroyLocal: 'upstream_cx_destroy_local',
    cxDestroyRemote: 'upstream_cx_destroy_remote',
    cxDestroyWithActiveRq: 'upstream_cx_destroy_with_active_rq',
    cxDestroyLocalWithActiveRq: 'upstream_cx_destroy_local_with_active_rq',
    cxDestroyRemoteWithActiveRq: 'upstream_cx_destroy_remote_with_active_rq',
    /** Bytes, or a FIN, that came on an idle connection. */
    cxProtocolError: 'upstream_cx_protocol_error',
    cxRxBytesTotal: 'upstream_cx_rx_bytes_total',
    cxTxBytesTotal: 'upstream_cx_tx_bytes_total',
    flowControlBackedUp: 'upstream_flow_control_backed_up_total',
    flowControlDrained: 'upstream_flow_control_drained_total',
    flowControlPausedReading: 'upstream_flow_control_paused_reading_total',
    flowControlResumedReading: 'upstream_flow_control_resumed_reading_total',
    rqTotal: 'upstream_rq_total',
    rqPendingTotal: 'upstream_rq_pending_total',
    rqPendingOverflow: 'upstream_rq_pending_overflow',
    rqPendingFailureEject: 'upstream_rq_pending_failure_eject',
    rqCancelled: 'upstream_rq_cancelled',
    /** Not Envoy's: exchanges that were still running when their replaced version's drain time was over. */
    rqDrainTimeout: 'upstream_rq_drain_timeout',
    membershipChange: 'membership_change',
    updateAttempt: 'update_attempt',
    updateSuccess: 'update_success',
    updateFailure: 'update_failure',
    updateEmpty: 'update_empty',
    updateRejected: 'update_rejected',
    updateTimeout: 'init_fetch_timeout',
    updateNoRebuild: 'update_no_rebuild',
    lbHealthyPanic: 'lb_healthy_panic',
  },
  gauges: {
    cxActive: 'upstream_cx_active',
    cxRxBytesBuffered: 'upstream_cx_rx_bytes_buffered',
    cxTxBytesBuffered: 'upstream_cx_tx_bytes_buffered',
    rqActive: 'upstream_rq_active',
    rqPendingActive: 'upstream_rq_pending_active',
    membershipTotal: 'membership_total',
    membershipHealthy: 'membership_healthy',
    membershipDegraded: 'membership_degraded',
    membershipExcluded: 'membership_excluded',
    maxHostWeight: 'max_host_weight',
    warmingState: 'warming_state',
  },
  histograms: {
    cxConnectMs: 'upstream_cx_connect_ms',
    cxLengthMs: 'upstream_cx_length_ms',
  },
});

export type ClusterStats = StatsOf<typeof clusterStats>;
