import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { StatsStore } from '../stats/store.js';
import { type BridgeStats, createBridgeStats } from './bridge-stats.js';
import type { Exchange, ExchangeOptions } from './exchange.js';
import { ExchangeMachine } from './exchange-machine.js';
import type { PreparedBridge } from './prepared-bridge.js';

export interface ExchangeDependencies {
  readonly stats: StatsStore;
  /** Plugin errors, and what plugins log. */
  readonly log: Logger;
  readonly clock: Clock;
}

/** Begins an attempt. No callback comes from within. */
export type StartExchange = (options: ExchangeOptions) => Exchange;

/** One per process (or worker). */
export function createExchangeFactory({ stats, log, clock }: ExchangeDependencies): StartExchange {
  // Names are looked up once per accepted cluster version, not per exchange.
  const known = new WeakMap<PreparedBridge, BridgeStats>();
  const statsOf = (bridge: PreparedBridge): BridgeStats => {
    let found = known.get(bridge);
    if (found === undefined) {
      found = createBridgeStats(stats, bridge.config.pluginName);
      known.set(bridge, found);
    }
    return found;
  };
  return (options) => new ExchangeMachine(options, statsOf(options.cluster.pipeline), log, clock);
}
