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
  };
}
