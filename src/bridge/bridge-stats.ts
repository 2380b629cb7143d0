import type { Counter, Gauge, StatsStore } from '../stats/store.js';

/** `bridge.PLUGIN.…`, counted by every exchange on that plugin. */
export interface BridgeStats {
  readonly exchangesTotal: Counter;
  readonly exchangesActive: Gauge;
  /** The plugin answered without the server: EndStream for the request, or sendLocalReply. */
  readonly localReplies: Counter;
  /** Exceptions, answers that are none, headers that can't be sent. */
  readonly pluginErrors: Counter;
  /** The library has no such plugin, which a Go library says only in an exchange. */
  readonly pluginNotFound: Counter;
  /** The server closed or reset before the response had ended. */
  readonly upstreamClosed: Counter;
  /** A server's bytes on a shared connection were not the protocol's. */
  readonly protocolErrors: Counter;
  readonly requestTooLarge: Counter;
  readonly responseTooLarge: Counter;
  /** The client or the router gave up. */
  readonly cancelled: Counter;
  readonly drainTimeouts: Counter;
  /** Stale pooled connections that were replaced by fresh ones. */
  readonly connectionsReplaced: Counter;
}

export function createBridgeStats(stats: StatsStore, pluginName: string): BridgeStats {
  const prefix = `bridge.${pluginName.replaceAll(':', '_')}`;
  return {
    exchangesTotal: stats.counter(`${prefix}.exchanges_total`),
    exchangesActive: stats.gauge(`${prefix}.exchanges_active`),
    localReplies: stats.counter(`${prefix}.local_replies`),
    pluginErrors: stats.counter(`${prefix}.plugin_errors`),
    pluginNotFound: stats.counter(`${prefix}.plugin_not_found`),
    upstreamClosed: stats.counter(`${prefix}.upstream_closed`),
    protocolErrors: stats.counter(`${prefix}.protocol_errors`),
    requestTooLarge: stats.counter(`${prefix}.request_too_large`),
    responseTooLarge: stats.counter(`${prefix}.response_too_large`),
    cancelled: stats.counter(`${prefix}.cancelled`),
    drainTimeouts: stats.counter(`${prefix}.drain_timeouts`),
    connectionsReplaced: stats.counter(`${prefix}.connections_replaced`),
  };
}
