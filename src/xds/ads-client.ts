import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { Node } from '../model/bootstrap.js';
import type { StatsStore } from '../stats/store.js';
import { AdsStream } from './ads-stream.js';
import type { ChannelConfig } from './channel.js';
import { delta } from './delta-subscription.js';
import { type MessageCodec, nodeMessage, wildcardName } from './discovery.js';
import { Mux } from './mux.js';
import type { ResourceState, ResourceType } from './resource-type.js';
import { sotw } from './sotw-subscription.js';
import { createTypeStats } from './type-stats.js';
import type { Watcher } from './watch-map.js';

export type { ChannelConfig } from './channel.js';
export { channelDefaults } from './channel.js';
export type { Watcher } from './watch-map.js';

export interface AdsClientOptions {
  readonly variant: 'SOTW' | 'DELTA';
  readonly channel: ChannelConfig;
  readonly node: Node;
  /** Of the program, `major.minor.patch`; sent as the node's user agent. */
  readonly version: string;
  /** Envoy repeats the node in every request unless `set_node_on_first_message_only`. */
  readonly nodeInEveryRequest?: boolean;
  readonly codec: MessageCodec;
  readonly stats: StatsStore;
  readonly log: Logger;
  readonly clock: Clock;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
}

/** One watcher's standing request. */
export interface WatchedResources {
  /** Replaces the names; not for a wildcard. */
  update(names: readonly string[]): void;
  close(): void;
}

/** The client of one Aggregated Discovery Service, for any number of resource types. */
export interface AdsClient {
  /** Connects, and from then on reconnects. Subscriptions may come before or after. */
  start(): void;
  /**
   * Asks for resources by name, or for all that the control plane means for this node. The first request of each type goes out in the
   * order in which the types were first subscribed.
   *
   * @throws TypeError for an empty name and for `*`
   */
  subscribe<T>(type: ResourceType<T>, names: readonly string[] | 'wildcard', watcher: Watcher<T>): WatchedResources;
  states(typeUrl: string): ResourceState[];
  /** `version_info` (`system_version_info`) of the last response of a type that was accepted as a whole, '' when there is none. */
  version(typeUrl: string): string;
  readonly connected: boolean;
  /** Ends the stream and all timers. Watchers are not called any more. */
  close(): void;
}

/** https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol */
export function createAdsClient(options: AdsClientOptions): AdsClient {
  const { channel, clock, codec, log, random, stats } = options;
  const variant = options.variant === 'DELTA' ? delta : sotw;
  const connectedState = stats.gauge('control_plane.connected_state');
  const pendingRequests = stats.gauge('control_plane.pending_requests');
  const mux = new Mux({
    variant,
    codec,
    node: nodeMessage(options.node, options.version),
    nodeInEveryRequest: options.nodeInEveryRequest ?? false,
    clock,
    log,
    typeStats: (type) => createTypeStats(type, stats, clock),
    onPendingRequests: (count) => {
      pendingRequests.value = count;
    },
  });
  const stream = new AdsStream({
    method: variant.method,
    channel,
    clock,
    random,
    log,
    handlers: {
      onConnected() {
        connectedState.value = 1;
        mux.streamStarted();
      },
      onMessage: (bytes) => mux.receive(bytes),
      onWritable: () => mux.writable(),
      onDisconnected() {
        connectedState.value = 0;
        mux.streamEnded();
      },
    },
  });
  mux.attach(stream);
  return {
    start: () => stream.start(),
    subscribe<T>(type: ResourceType<T>, names: readonly string[] | 'wildcard', watcher: Watcher<T>) {
      if (names !== 'wildcard') checkNames(names);
      const { watches, attempted } = mux.type(type);
      const watch = watches.add(names, watcher);
      attempted();
      mux.schedule();
      return {
        update(next) {
          checkNames(next);
          watches.update(watch, next);
          attempted();
          mux.schedule();
        },
        close() {
          watches.remove(watch);
          mux.schedule();
        },
      };
    },
    states: (typeUrl) => mux.find(typeUrl)?.states() ?? [],
    version: (typeUrl) => mux.find(typeUrl)?.version ?? '',
    get connected() {
      return stream.connected;
    },
    close() {
      connectedState.value = 0;
      stream.close();
      mux.close();
    },
  };
}

function checkNames(names: readonly string[]): void {
  for (const name of names) {
    if (name === '' || name === wildcardName) throw new TypeError(`'${name}' is not a resource name`);
  }
}
