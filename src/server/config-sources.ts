import { createHash } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { Bootstrap } from '../model/bootstrap.js';
import { type ApiSource, type ConfigSource, type PathSource, sourceKey } from '../model/config-source.js';
import type { Schema } from '../protobuf/schema.js';
import type { UnsavedSnapshot } from '../snapshot/format.js';
import type { StatsStore } from '../stats/store.js';
import type { Steps } from '../turns.js';
import {
  type AdsClient,
  type ClientOptions,
  createAdsClient,
  type WatchedResources,
  type Watcher,
} from '../xds/ads-client.js';
import { ApplyHold } from '../xds/apply-hold.js';
import { createFileClient } from '../xds/file-client.js';
import type { KeepableType } from '../xds/last-known.js';
import type { ResourceState, ResourceType } from '../xds/resource-type.js';
import { createSecretFiles, decodeDiscoveryFile } from './discovery-file.js';
import { type GrpcChannelContext, grpcChannel } from './grpc-channel.js';
import type { KeptConfig } from './snapshots.js';

export interface ConfigSourcesOptions {
  readonly bootstrap: Bootstrap;
  readonly schema: Schema;
  readonly version: string;
  readonly clock: Clock;
  readonly stats: StatsStore;
  readonly log: Logger;
  /** Remembers what sources say, for the next process. */
  readonly kept?: KeptConfig | undefined;
}

/** Every place that resources come from: the aggregated stream, streams of one type, files. */
export interface ConfigSources {
  /** Connects. Subscriptions may come before or after. */
  start(): void;
  /** Subscribes at the source; those who name the same share its stream or file. `self` means `parent`. */
  subscribe<T>(
    type: ResourceType<T>,
    source: ConfigSource,
    parent: ConfigSource | undefined,
    names: readonly string[] | 'wildcard',
    watcher: Watcher<T>,
  ): WatchedResources;
  /** Of all resources of a type, each as it is when its turn comes. */
  states(typeUrl: string): Iterable<ResourceState>;
  /** undefined: nobody wants it, or nothing is known of it. */
  state(typeUrl: string, name: string): ResourceState | undefined;
  /** Of the accepted resource of that name, '' when there is none. */
  versionOf(typeUrl: string, name: string): string;
  version(typeUrl: string): string;
  /** What control planes said that would be good for a later process. What files say is on disk anyway. */
  keepable(isKept: (typeUrl: string) => boolean): Steps<UnsavedSnapshot['resources']>;
  /** How many resources run as an earlier process knew them. */
  stale(): number;
  /** The server has what it needs. */
  serverIsUp(): void;
  close(): void;
}

interface Shared {
  /** What it is called from one process to the next; undefined: a file. */
  readonly name: string | undefined;
  readonly client: AdsClient;
  users: number;
}

/** Whose statistics `control_plane.…` of a stream are: in Envoy those of what it brings; of single resources there is one stream here. */
function statPrefixOf(type: ResourceType<unknown>): string {
  return type.statPrefix ?? `xds.${type.shortName}`;
}

const adsName = 'ads';

const nowhere: WatchedResources = { update: () => undefined, close: () => undefined };

/** Each resource as it is saved, made when it is its turn: there may be tens of thousands. */
function saved(types: readonly (KeepableType & { readonly source: string })[]): UnsavedSnapshot['resources'] {
  return {
    length: types.reduce((sum, { resources }) => sum + resources.length, 0),
    *[Symbol.iterator]() {
      for (const { source, typeUrl, resources } of types)
        for (const { name, version, bytes, lastUpdated } of resources)
          yield { source, typeUrl, name, version, bytes, acceptedAt: lastUpdated };
    },
  };
}

export function createConfigSources(options: ConfigSourcesOptions): ConfigSources {
  const { bootstrap, schema, version, clock, stats, log, kept } = options;
  const hold = new ApplyHold(clock);
  const channels: GrpcChannelContext = {
    clusters: bootstrap.grpcClusters,
    files: createSecretFiles(schema),
    random: Math.random,
  };
  const shared = new Map<string, Shared>();
  let started = false;
  let serverIsUp = false;

  function apiClient(source: ApiSource, name: string, onlyType: ResourceType<unknown> | undefined): AdsClient {
    const [first, ...others] = source.services;
    return createAdsClient({
      ...common(onlyType && statPrefixOf(onlyType)),
      lastKnown: serverIsUp ? undefined : kept?.lastKnown(name),
      onChanged: kept?.changed,
      variant: source.variant,
      onlyType: onlyType?.typeUrl,
      channel: grpcChannel(first, channels),
      fallbacks: others.map((service) => grpcChannel(service, channels)),
      retry: first.retry,
      rateLimit: source.rateLimit,
      node: bootstrap.node,
      version,
      nodeInEveryRequest: !source.setNodeOnFirstMessageOnly,
      random: Math.random,
    });
  }
  function common(statPrefix: string | undefined): ClientOptions {
    return { codec: schema, stats, log, clock, hold, ...(statPrefix !== undefined && { statPrefix }) };
  }
  function fileClient(source: PathSource, type: ResourceType<unknown>): AdsClient {
    return createFileClient({
      ...common(statPrefixOf(type)),
      ...source,
      typeUrl: type.typeUrl,
      decode: (content) => decodeDiscoveryFile(schema, source.path, content),
    });
  }
  const ads = bootstrap.ads && apiClient(bootstrap.ads, adsName, undefined);

  /** The client of a source, made when its first user comes. It goes with its last one. */
  function use(
    source: ConfigSource & (ApiSource | PathSource),
    type: ResourceType<unknown>,
  ): { client: AdsClient; leave(): void } {
    const key = `${type.typeUrl} ${sourceKey(source)}`;
    let entry = shared.get(key);
    if (entry === undefined) {
      const name = createHash('sha256').update(key).digest('hex').slice(0, 16);
      entry =
        source.kind === 'api'
          ? { name, client: apiClient(source, name, type), users: 0 }
          : { name: undefined, client: fileClient(source, type), users: 0 };
      shared.set(key, entry);
      if (started) entry.client.start();
    }
    const { client } = entry;
    entry.users++;
    const leave = () => {
      entry.users--;
      if (entry.users > 0 || shared.get(key) !== entry) return;
      shared.delete(key);
      client.close();
    };
    return { client, leave };
  }

  const clients = (): readonly AdsClient[] => [
    ...(ads ? [ads] : []),
    ...[...shared.values()].map(({ client }) => client),
  ];

  return {
    start() {
      started = true;
      for (const client of clients()) client.start();
    },
    subscribe(type, source, parent, names, watcher) {
      const own = source.kind === 'self' ? parent : source;
      if (own === undefined || own.kind === 'self') return nowhere;
      if (own.kind === 'ads') return ads?.subscribe(type, names, watcher) ?? nowhere;
      const { client, leave } = use(own, type as ResourceType<unknown>);
      const watch = client.subscribe(type, names, watcher);
      return {
        update: (next) => watch.update(next),
        close() {
          watch.close();
          leave();
        },
      };
    },
    *states(typeUrl) {
      for (const client of clients()) yield* client.states(typeUrl);
    },
    state(typeUrl, name) {
      for (const client of clients()) {
        const state = client.state(typeUrl, name);
        if (state) return state;
      }
      return undefined;
    },
    versionOf(typeUrl, name) {
      for (const client of clients()) {
        const version = client.versionOf(typeUrl, name);
        if (version !== '') return version;
      }
      return '';
    },
    version: (typeUrl) =>
      clients()
        .map((client) => client.version(typeUrl))
        .find((text) => text !== '') ?? '',
    *keepable(isKept) {
      const named = [...(ads ? [{ name: adsName, client: ads }] : []), ...shared.values()];
      const types: (KeepableType & { readonly source: string })[] = [];
      for (const { name: source, client } of named) {
        if (source === undefined) continue;
        for (const type of yield* client.keepable()) if (isKept(type.typeUrl)) types.push({ source, ...type });
      }
      return saved(types);
    },
    stale: () => clients().reduce((sum, { stale }) => sum + stale, 0),
    serverIsUp() {
      serverIsUp = true;
      kept?.forget();
      for (const client of clients()) client.serverIsUp();
    },
    close() {
      for (const client of clients()) client.close();
      hold.close();
    },
  };
}
