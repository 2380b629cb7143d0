import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { Node } from '../model/bootstrap.js';
import type { StatsStore } from '../stats/store.js';
import type { Steps } from '../turns.js';
import { AdsStream, type RetryIntervals } from './ads-stream.js';
import { ApplyHold } from './apply-hold.js';
import type { ChannelConfig } from './channel.js';
import { delta } from './delta-subscription.js';
import { type MessageCodec, nodeMessage, wildcardName } from './discovery.js';
import type { KeepableType, LastKnownOptions } from './last-known.js';
import { Mux } from './mux.js';
import { type RateLimit, RequestRate } from './request-rate.js';
import type { ResourceState, ResourceType } from './resource-type.js';
import { aggregatedMethods, methodsOf } from './service-methods.js';
import { sotw } from './sotw-subscription.js';
import type { Variant } from './subscription.js';
import type { TypeMux } from './type-mux.js';
import { createTypeStats } from './type-stats.js';
import type { Watch, Watcher } from './watch.js';

export type { ChannelConfig, MetadataEntry } from './channel.js';
export { channelDefaults } from './channel.js';
export type { Watcher } from './watch.js';

/** What every client of a config source needs, whatever it reads. */
export interface ClientOptions {
  readonly codec: MessageCodec;
  readonly stats: StatsStore;
  /** Before `control_plane.…`; '' for the aggregated stream, as in Envoy. */
  readonly statPrefix?: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** Shared by the clients of a process, so that one applies a batch while the others wait. A client without it has one of its own. */
  readonly hold?: ApplyHold;
  /** What the source said to an earlier process. */
  readonly lastKnown?: LastKnownOptions | undefined;
  /** What is accepted is not what it was (`response`), or it is what is known from before (`last_known`). */
  readonly onChanged?: ((cause: 'response' | 'last_known') => void) | undefined;
}

export interface AdsClientOptions extends ClientOptions {
  readonly variant: 'SOTW' | 'DELTA';
  readonly channel: ChannelConfig;
  /** Other control planes, in the order of preference, for when the first is away. */
  readonly fallbacks?: readonly ChannelConfig[];
  /** Absent: the aggregated service. */
  readonly onlyType?: string | undefined;
  readonly retry?: RetryIntervals | undefined;
  readonly rateLimit?: RateLimit | undefined;
  readonly node: Node;
  /** Of the program, `major.minor.patch`; sent as the node's user agent. */
  readonly version: string;
  /** Envoy repeats the node in every request unless `set_node_on_first_message_only`. */
  readonly nodeInEveryRequest?: boolean;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
}

/** One watcher's standing request. */
export interface WatchedResources {
  /** Replaces the names; not for a wildcard. */
  update(names: readonly string[]): void;
  close(): void;
}

/** The client of one config source, for any number of resource types where it is aggregated. */
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
  /** Of all resources of a type, each as it is when its turn comes. */
  states(typeUrl: string): Iterable<ResourceState>;
  /** undefined: nobody wants it, or nothing is known of it. */
  state(typeUrl: string, name: string): ResourceState | undefined;
  /** Of the accepted resource of that name, '' when there is none. */
  versionOf(typeUrl: string, name: string): string;
  /** `version_info` (`system_version_info`) of the last response of a type that was accepted as a whole, '' when there is none. */
  version(typeUrl: string): string;
  readonly connected: boolean;
  /** What is accepted and would be good for a later process. */
  keepable(): Steps<KeepableType[]>;
  /** How many resources run that are known from before, and that the source has not mentioned. */
  readonly stale: number;
  /** The server has what it needs: what is asked for from now on is not looked up in what is known from before. */
  serverIsUp(): void;
  /** Ends the stream and all timers. Watchers are not called any more. */
  close(): void;
}

/** https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol */
export function createAdsClient(options: AdsClientOptions): AdsClient {
  const { channel, fallbacks = [], clock, log, onlyType, random, retry } = options;
  const variant = options.variant === 'DELTA' ? delta : sotw;
  const { mux, showConnected } = createMux(options, {
    variant,
    onlyType,
    node: nodeMessage(options.node, options.version),
    nodeInEveryRequest: options.nodeInEveryRequest ?? false,
    rateLimit: options.rateLimit,
  });
  const stream = new AdsStream({
    method: (onlyType === undefined ? aggregatedMethods : methodsOf(onlyType))[variant.kind],
    channels: [channel, ...fallbacks],
    retry,
    somethingMissing: () => !mux.satisfied,
    clock,
    random,
    log,
    handlers: {
      onConnected(server) {
        showConnected(true);
        mux.streamStarted(server);
      },
      onMessage: (bytes) => mux.receive(bytes),
      onWritable: () => mux.writable(),
      onDisconnected() {
        showConnected(false);
        mux.streamEnded();
      },
    },
  });
  mux.attach(stream);
  return clientOver(mux, stream, showConnected);
}

/** The part of a client that does not depend on where its responses come from. */
export function createMux(
  {
    codec,
    stats,
    statPrefix = '',
    log,
    clock,
    hold = new ApplyHold(clock),
    lastKnown,
    onChanged = () => undefined,
  }: ClientOptions,
  {
    variant,
    onlyType,
    node,
    nodeInEveryRequest,
    rateLimit,
  }: {
    readonly variant: Variant;
    readonly onlyType: string | undefined;
    readonly node: object;
    readonly nodeInEveryRequest: boolean;
    readonly rateLimit: RateLimit | undefined;
  },
): { readonly mux: Mux; readonly showConnected: (connected: boolean) => void } {
  const scope = statPrefix === '' ? 'control_plane' : `${statPrefix}.control_plane`;
  const connectedState = stats.gauge(`${scope}.connected_state`);
  const pendingRequests = stats.gauge(`${scope}.pending_requests`);
  const rateLimitEnforced = stats.counter(`${scope}.rate_limit_enforced`);
  const onEnforced = () => {
    rateLimitEnforced.value++;
  };
  const mux = new Mux({
    variant,
    codec,
    node,
    nodeInEveryRequest,
    onlyType,
    clock,
    log,
    hold,
    lastKnown,
    onChanged,
    rate: rateLimit && ((onFilled) => new RequestRate(rateLimit, clock, onFilled, onEnforced)),
    typeStats: (type) => createTypeStats(type, stats, clock),
    onPendingRequests: (count) => {
      pendingRequests.value = count;
    },
  });
  const showConnected = (connected: boolean) => {
    connectedState.value = connected ? 1 : 0;
  };
  return { mux, showConnected };
}

/** Subscriptions to whatever a mux is attached to. */
export function clientOver(
  mux: Mux,
  stream: { readonly connected: boolean; start(): void; close(): void },
  showConnected: (connected: boolean) => void,
): AdsClient {
  return {
    start() {
      mux.started();
      stream.start();
    },
    subscribe<T>(type: ResourceType<T>, names: readonly string[] | 'wildcard', watcher: Watcher<T>) {
      if (names !== 'wildcard') checkNames(names);
      const typeMux = mux.type(type);
      const watch = typeMux.watches.add(names, watcher);
      typeMux.attempted();
      mux.schedule();
      return new Subscribed(mux, typeMux, watch);
    },
    states: (typeUrl) => mux.find(typeUrl)?.states() ?? [],
    state: (typeUrl, name) => mux.find(typeUrl)?.state(name),
    versionOf: (typeUrl, name) => mux.find(typeUrl)?.versionOf(name) ?? '',
    version: (typeUrl) => mux.find(typeUrl)?.version ?? '',
    get connected() {
      return stream.connected;
    },
    keepable: () => mux.keepable(),
    get stale() {
      return mux.stale;
    },
    serverIsUp: () => mux.serverIsUp(),
    close() {
      showConnected(false);
      stream.close();
      mux.close();
    },
  };
}

/** A class: there are as many as clusters, and what they do is the same. */
class Subscribed<T> implements WatchedResources {
  readonly #mux: Mux;
  readonly #type: TypeMux<T>;
  readonly #watch: Watch<T>;

  constructor(mux: Mux, type: TypeMux<T>, watch: Watch<T>) {
    this.#mux = mux;
    this.#type = type;
    this.#watch = watch;
  }

  update(names: readonly string[]): void {
    checkNames(names);
    this.#type.watches.update(this.#watch, names);
    this.#type.attempted();
    this.#mux.schedule();
  }

  close(): void {
    this.#type.watches.remove(this.#watch);
    this.#mux.schedule();
  }
}

function checkNames(names: readonly string[]): void {
  for (const name of names) {
    if (name === '' || name === wildcardName) throw new TypeError(`'${name}' is not a resource name`);
  }
}
