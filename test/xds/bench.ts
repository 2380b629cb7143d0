import { loadSchema } from '../../src/protobuf/schema.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import {
  type AdsClient,
  type AdsClientOptions,
  channelDefaults,
  createAdsClient,
  type WatchedResources,
  type Watcher,
} from '../../src/xds/ads-client.js';
import { ApplyHold } from '../../src/xds/apply-hold.js';
import { FakeClock } from '../support/fake-clock.js';
import { GoXdsServer } from '../support/go-xds-server.js';
import type { XdsRequest, XdsStream } from '../support/scripted-xds-server.js';
import { wrapResource } from '../support/wrap-resource.js';
import { recordingLog, type TestType, testType, until, type VariantName } from './harness.js';

export type TransportName = 'ADS' | 'per type';
export const transports: readonly TransportName[] = ['ADS', 'per type'];

const typeUrls = {
  cds: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  eds: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  lds: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  rds: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  sds: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
} as const;
export type Kind = keyof typeof typeUrls;
export const kinds: readonly Kind[] = ['cds', 'eds', 'lds', 'rds', 'sds'];

/**
 * The client against a server and an encoder in Go that do what a test says, the same over one aggregated stream and over one stream per
 * type.
 */
export class Bench {
  readonly clock = new FakeClock();
  readonly stats = createStatsStore();
  readonly log = recordingLog();
  readonly types: Readonly<Record<Kind, TestType>> = {
    cds: testType(typeUrls.cds, true, 'cluster_manager.cds'),
    eds: testType(typeUrls.eds, false),
    lds: testType(typeUrls.lds, true, 'listener_manager.lds'),
    rds: testType(typeUrls.rds, false),
    sds: testType(typeUrls.sds, false),
  };
  readonly #hold = new ApplyHold(this.clock);
  readonly #clients = new Map<string, AdsClient>();
  readonly #streams = new Map<string, XdsStream>();
  readonly #unread = new Map<XdsStream, XdsRequest[]>();
  #barriers = 0;
  readonly #options: Partial<AdsClientOptions>;

  private constructor(
    readonly variant: VariantName,
    readonly transport: TransportName,
    readonly server: GoXdsServer,
    options: Partial<AdsClientOptions>,
  ) {
    this.#options = options;
  }

  static async start(
    variant: VariantName,
    transport: TransportName,
    options: Partial<AdsClientOptions> = {},
  ): Promise<Bench> {
    return new Bench(variant, transport, await GoXdsServer.start(), options);
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
    this.#hold.close();
    this.server.stop();
  }

  /** The client that brings resources of the kind. It connects when it is first asked for. */
  client(kind: Kind): AdsClient {
    const key = this.#key(kind);
    let client = this.#clients.get(key);
    if (!client) {
      client = createAdsClient({
        variant: this.variant,
        onlyType: key === 'ads' ? undefined : typeUrls[kind],
        channel: { ...channelDefaults, addresses: () => [this.server.address] },
        node: { id: 'n1', cluster: 'c1', locality: { region: '', zone: '', subZone: '' }, metadata: {} },
        version: '1.2.3',
        codec: loadSchema(),
        stats: this.stats,
        log: this.log,
        clock: this.clock,
        hold: this.#hold,
        random: () => 0.5,
        ...this.#options,
      });
      this.#clients.set(key, client);
      client.start();
    }
    return client;
  }

  subscribe(kind: Kind, names: readonly string[] | 'wildcard', watcher: Watcher<string>): WatchedResources {
    return this.client(kind).subscribe(this.types[kind], names, watcher);
  }

  /** The stream that has the kind, opened or awaited. */
  async stream(kind: Kind): Promise<XdsStream> {
    const key = this.#key(kind);
    let stream = this.#streams.get(key);
    if (!stream) {
      stream = await this.server.streamOf(key);
      this.#streams.set(key, stream);
    }
    return stream;
  }

  /** The next request for the kind. */
  async next(kind: Kind): Promise<XdsRequest> {
    const stream = await this.stream(kind);
    const kept = this.#unread.get(stream) ?? [];
    this.#unread.set(stream, kept);
    for (;;) {
      const index = kept.findIndex(({ type_url }) => type_url === typeUrls[kind]);
      if (index >= 0) return kept.splice(index, 1)[0] as XdsRequest;
      kept.push(await stream.next());
    }
  }

  /** Whether nothing more was said of the kind: by the time that the client has answered something else. */
  async silent(kind: Kind): Promise<boolean> {
    const stream = await this.stream(kind);
    const kept = this.#unread.get(stream) ?? [];
    this.#unread.set(stream, kept);
    const barrier = `type.googleapis.com/barrier.${this.#barriers++}`;
    stream.send({ type_url: barrier, nonce: barrier });
    for (let next = await stream.next(); next.type_url !== barrier; next = await stream.next()) kept.push(next);
    return !kept.some(({ type_url }) => type_url === typeUrls[kind]);
  }

  /** Says the same in either variant; the type is the kind's unless given. */
  async respond(
    kind: Kind,
    version: string,
    resources: Readonly<Record<string, string>>,
    more: { readonly nonce?: string; readonly removed?: readonly string[]; readonly typeUrl?: string } = {},
  ): Promise<void> {
    const entries = Object.entries(resources).map(([name, value]) => ({
      name,
      any: { type_url: typeUrls[kind], value: Buffer.from(JSON.stringify({ name, value })) },
    }));
    await this.respondWith(kind, version, entries, more);
  }

  /** Resources one by one, in whatever wrapping. `ttl` wraps a resource of SotW. */
  async respondWith(
    kind: Kind,
    version: string,
    entries: readonly {
      readonly name: string;
      readonly any?: { readonly type_url: string; readonly value: Buffer };
      readonly ttl?: { readonly seconds: number; readonly nanos?: number };
    }[],
    more: { readonly nonce?: string; readonly removed?: readonly string[]; readonly typeUrl?: string } = {},
  ): Promise<void> {
    const { nonce = version, removed = [], typeUrl = typeUrls[kind] } = more;
    const stream = await this.stream(kind);
    if (this.variant === 'DELTA') {
      const resources = entries.map(({ name, any, ttl }) => ({ name, version, resource: any, ttl }));
      stream.send({ system_version_info: version, type_url: typeUrl, nonce, removed_resources: removed, resources });
      return;
    }
    const resources = entries.map((entry) =>
      entry.ttl || !entry.any ? wrapResource({ ...entry, version }) : entry.any,
    );
    stream.send({ version_info: version, type_url: typeUrl, nonce, resources });
  }

  /** Ends the kind's stream as a server does, and lets the client come back to a new one. */
  async reconnect(kind: Kind): Promise<void> {
    const stream = await this.stream(kind);
    this.#streams.delete(this.#key(kind));
    this.log.waits.length = 0;
    stream.end();
    await until(() => this.log.waits.length > 0);
    this.clock.advance(this.log.waits.pop() as number);
    await this.stream(kind);
  }

  #key(kind: Kind): Kind | 'ads' {
    return this.transport === 'ADS' ? 'ads' : kind;
  }
}
