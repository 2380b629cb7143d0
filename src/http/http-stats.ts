import type { Counter, Gauge, Histogram, StatsStore } from '../stats/store.js';

const counters = [
  'downstream_cx_delayed_close_timeout',
  'downstream_cx_destroy',
  'downstream_cx_destroy_active_rq',
  'downstream_cx_destroy_local',
  'downstream_cx_destroy_local_active_rq',
  'downstream_cx_destroy_remote',
  'downstream_cx_destroy_remote_active_rq',
  'downstream_cx_drain_close',
  'downstream_cx_http1_total',
  'downstream_cx_idle_timeout',
  'downstream_cx_max_duration_reached',
  'downstream_cx_max_requests_reached',
  'downstream_cx_protocol_error',
  'downstream_cx_rx_bytes_total',
  'downstream_cx_ssl_total',
  'downstream_cx_total',
  'downstream_cx_tx_bytes_total',
  'downstream_flow_control_paused_reading_total',
  'downstream_flow_control_resumed_reading_total',
  'downstream_rq_1xx',
  'downstream_rq_2xx',
  'downstream_rq_3xx',
  'downstream_rq_4xx',
  'downstream_rq_5xx',
  'downstream_rq_completed',
  'downstream_rq_failed_path_normalization',
  'downstream_rq_header_timeout',
  'downstream_rq_http1_total',
  'downstream_rq_idle_timeout',
  'downstream_rq_non_relative_path',
  'downstream_rq_overload_close',
  'downstream_rq_redirected_with_normalized_path',
  'downstream_rq_response_before_rq_complete',
  'downstream_rq_rx_reset',
  'downstream_rq_timeout',
  'downstream_rq_too_large',
  'downstream_rq_total',
  'downstream_rq_tx_reset',
  'downstream_rq_ws_on_non_ws_route',
] as const;
const gauges = [
  'downstream_cx_active',
  'downstream_cx_http1_active',
  'downstream_cx_ssl_active',
  'downstream_rq_active',
] as const;
const histograms = ['downstream_cx_length_ms', 'downstream_rq_time'] as const;

/** `http.<stat_prefix>.*`, under Envoy's names, from the start (at 0) as Envoy shows them. */
export type HttpStats = Record<(typeof counters)[number], Counter> &
  Record<(typeof gauges)[number], Gauge> &
  Record<(typeof histograms)[number], Histogram>;

export function createHttpStats(store: StatsStore, statPrefix: string): HttpStats {
  const prefix = `http.${statPrefix}`;
  return Object.fromEntries([
    ...counters.map((name) => [name, store.counter(`${prefix}.${name}`)]),
    ...gauges.map((name) => [name, store.gauge(`${prefix}.${name}`)]),
    ...histograms.map((name) => [name, store.histogram(`${prefix}.${name}`, 'ms')]),
  ]) as HttpStats;
}

const listenerCounters = [
  'downstream_rq_1xx',
  'downstream_rq_2xx',
  'downstream_rq_3xx',
  'downstream_rq_4xx',
  'downstream_rq_5xx',
  'downstream_rq_completed',
] as const;

/** `listener.<address>.http.<stat_prefix>.downstream_rq_*`. */
export type ListenerHttpStats = Record<(typeof listenerCounters)[number], Counter>;

/** @param store scoped to the listener */
export function createListenerHttpStats(store: StatsStore, statPrefix: string): ListenerHttpStats {
  return Object.fromEntries(
    listenerCounters.map((name) => [name, store.counter(`http.${statPrefix}.${name}`)]),
  ) as ListenerHttpStats;
}

const responseClasses = [
  'downstream_rq_1xx',
  'downstream_rq_2xx',
  'downstream_rq_3xx',
  'downstream_rq_4xx',
  'downstream_rq_5xx',
] as const;

/** Counts a response under its class, in both places. */
export function chargeResponse(http: HttpStats, listener: ListenerHttpStats, status: number): void {
  http.downstream_rq_completed.value++;
  listener.downstream_rq_completed.value++;
  const name = responseClasses[Math.floor(status / 100) - 1];
  if (name === undefined) return;
  http[name].value++;
  listener[name].value++;
}
