import { formatAddress } from '../model/endpoint.js';
import type { Listener } from '../model/listener.js';
import type { Counter, Gauge, Histogram, StatsStore } from '../stats/store.js';

/** `listener.<address>.*`. */
export interface ListenerStats {
  readonly store: StatsStore;
  readonly cxTotal: Counter;
  readonly cxActive: Gauge;
  readonly cxDestroy: Counter;
  readonly cxOverflow: Counter;
  readonly cxTransportSocketConnectTimeout: Counter;
  readonly cxLength: Histogram;
  /** Connections whose filter chain is not known yet. */
  readonly preCxActive: Gauge;
  readonly preCxTimeout: Counter;
  readonly noFilterChainMatch: Counter;
  readonly tlsInspector: TlsInspectorStats;
}

/** `tls_inspector.*`, of all listeners together as in Envoy. */
export interface TlsInspectorStats {
  readonly tlsFound: Counter;
  readonly tlsNotFound: Counter;
  readonly sniFound: Counter;
  readonly sniNotFound: Counter;
  readonly alpnFound: Counter;
  readonly alpnNotFound: Counter;
  readonly clientHelloTooLarge: Counter;
}

/** `listener.<stat_prefix or address>`, with ':' as '_' as Envoy has it. */
export function listenerScope(stats: StatsStore, config: Listener): StatsStore {
  const [address] = config.addresses;
  const name = config.statPrefix !== '' || address === undefined ? config.statPrefix : formatAddress(address);
  return stats.scope(`listener.${name.replaceAll(':', '_')}`);
}

export function createListenerStats(stats: StatsStore, config: Listener): ListenerStats {
  const store = listenerScope(stats, config);
  return {
    store,
    cxTotal: store.counter('downstream_cx_total'),
    cxActive: store.gauge('downstream_cx_active'),
    cxDestroy: store.counter('downstream_cx_destroy'),
    cxOverflow: store.counter('downstream_cx_overflow'),
    cxTransportSocketConnectTimeout: store.counter('downstream_cx_transport_socket_connect_timeout'),
    cxLength: store.histogram('downstream_cx_length_ms', 'ms'),
    preCxActive: store.gauge('downstream_pre_cx_active'),
    preCxTimeout: store.counter('downstream_pre_cx_timeout'),
    noFilterChainMatch: store.counter('no_filter_chain_match'),
    tlsInspector: createTlsInspectorStats(stats.scope('tls_inspector')),
  };
}

function createTlsInspectorStats(stats: StatsStore): TlsInspectorStats {
  return {
    tlsFound: stats.counter('tls_found'),
    tlsNotFound: stats.counter('tls_not_found'),
    sniFound: stats.counter('sni_found'),
    sniNotFound: stats.counter('sni_not_found'),
    alpnFound: stats.counter('alpn_found'),
    alpnNotFound: stats.counter('alpn_not_found'),
    clientHelloTooLarge: stats.counter('client_hello_too_large'),
  };
}
