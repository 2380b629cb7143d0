import { setImmediate } from 'node:timers/promises';
import type { Logger } from '../../src/log.js';
import type { Verdict } from '../../src/model/verdict.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { StatsStore } from '../../src/stats/store.js';
import type { Turns } from '../../src/turns.js';
import {
  type AdsClient,
  type AdsClientOptions,
  channelDefaults,
  createAdsClient,
  type Watcher,
} from '../../src/xds/ads-client.js';
import type { ResourceType, ResourceUpdate } from '../../src/xds/resource-type.js';
import { FakeClock } from '../support/fake-clock.js';
import { type ScriptedStream, ScriptedXdsServer, type XdsRequest } from '../support/scripted-xds-server.js';

export type VariantName = 'SOTW' | 'DELTA';
export const variants: readonly VariantName[] = ['SOTW', 'DELTA'];

export const cdsUrl = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
export const edsUrl = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment';

/** The tests' resources are JSON: `{ name, value }`. A value that begins with `bad` is rejected, one with `parked` is parked. */
export function bytesOf(name: string, value: string): Buffer {
  return Buffer.from(JSON.stringify({ name, value }));
}

export interface TestType extends ResourceType<string> {
  /** Names in the order in which they were judged. */
  readonly judged: string[];
  readonly discarded: string[];
  /** Models that are stale. */
  readonly stale: Set<string>;
  /** Awaited by every judge, when set. */
  hold: Promise<void> | undefined;
}

export function testType(typeUrl: string, fullState: boolean, statPrefix?: string): TestType {
  const type: TestType = {
    typeUrl,
    shortName: fullState ? 'cds' : 'eds',
    fullState,
    ...(statPrefix === undefined ? {} : { statPrefix }),
    judged: [],
    discarded: [],
    stale: new Set(),
    hold: undefined,
    nameOf: (bytes) => parse(bytes).name,
    async judge({ name, bytes }): Promise<Verdict<string>> {
      type.judged.push(name);
      await type.hold;
      const { value } = parse(bytes);
      if (value.startsWith('bad')) {
        return { kind: 'rejected', problems: [{ path: 'value', message: `must not be '${value}'` }] };
      }
      if (value.startsWith('parked')) return { kind: 'parked', model: undefined, reason: value };
      return { kind: 'active', model: value, warnings: [] };
    },
    staleCheck: () => async (model) => type.stale.has(model),
    discard: (model) => void type.discarded.push(model),
  };
  return type;
}

function parse(bytes: Uint8Array): { name: string; value: string } {
  const { name, value } = JSON.parse(Buffer.from(bytes).toString()) as { name: unknown; value: unknown };
  if (typeof name !== 'string' || typeof value !== 'string') throw new Error('no name or value');
  return { name, value };
}

/** Keeps what it is told, as the state that results and as the list of updates. */
export class RecordingWatcher implements Watcher<string> {
  readonly updates: ResourceUpdate<string>[] = [];
  readonly state = new Map<string, string>();
  failures = 0;
  #waiting: (() => void)[] = [];

  constructor(
    readonly initialFetchTimeoutMs = 0,
    readonly onApply: Watcher<string>['onUpdate'] = () => {},
  ) {}

  onUpdate(update: ResourceUpdate<string>, turns: Turns): ReturnType<Watcher<string>['onUpdate']> {
    this.updates.push(update);
    for (const { name, verdict } of update.changed) {
      this.state.set(name, verdict.kind === 'active' ? verdict.model : verdict.kind);
    }
    for (const name of update.removed) this.state.delete(name);
    for (const wake of this.#waiting.splice(0)) wake();
    return this.onApply(update, turns);
  }

  onConnectionFailure(): void {
    this.failures++;
  }

  /** Resolves when there were so many updates. */
  async count(updates: number): Promise<void> {
    while (this.updates.length < updates) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  get plain(): Record<string, string> {
    return Object.fromEntries(this.state);
  }
}

/** Warnings and worse that were logged, and the waits that were announced at any level. */
export function recordingLog(): Logger & { readonly lines: string[]; readonly waits: number[] } {
  const lines: string[] = [];
  const waits: number[] = [];
  const drop = (fields: { retryMs?: number }) => {
    if (fields.retryMs !== undefined) waits.push(fields.retryMs);
  };
  const keep = (fields: { retryMs?: number }, text: string) => {
    drop(fields);
    lines.push(`${JSON.stringify(fields)} ${text}`);
  };
  return { lines, waits, trace: drop, debug: drop, info: drop, warn: keep, error: keep, fatal: keep } as never;
}

export interface Response {
  readonly type?: string;
  readonly version?: string;
  readonly nonce: string;
  /** name → value */
  readonly resources?: Readonly<Record<string, string>>;
  /** Delta only; SotW leaves out what it removes. */
  readonly removed?: readonly string[];
}

/** Says the same in either variant. Resource versions are the response's. */
export function respond(
  stream: ScriptedStream,
  { type = cdsUrl, version = '1', nonce, resources = {}, removed = [] }: Response,
): void {
  const entries = Object.entries(resources).map(([name, value]) => ({
    name,
    any: { type_url: type, value: bytesOf(name, value) },
  }));
  stream.send(
    stream.variant === 'SOTW'
      ? { version_info: version, type_url: type, nonce, resources: entries.map(({ any }) => any) }
      : {
          system_version_info: version,
          type_url: type,
          nonce,
          removed_resources: removed,
          resources: entries.map(({ name, any }) => ({ name, version, resource: any })),
        },
  );
}

/** A response whose resources are given one by one, with whatever is wrong with them. */
export function respondRaw(
  stream: ScriptedStream,
  response: { version: string; nonce: string; type?: string; removed?: string[] },
  resources: readonly { name: string; typeUrl?: string; bytes: Buffer }[],
): void {
  const { version, nonce, type = cdsUrl, removed = [] } = response;
  const anys = resources.map(({ name, typeUrl = type, bytes }) => ({ name, any: { type_url: typeUrl, value: bytes } }));
  stream.send(
    stream.variant === 'SOTW'
      ? { version_info: version, type_url: type, nonce, resources: anys.map(({ any }) => any) }
      : {
          system_version_info: version,
          type_url: type,
          nonce,
          removed_resources: removed,
          resources: anys.map(({ name, any }) => ({ name, version, resource: any })),
        },
  );
}

export interface Harness {
  readonly server: ScriptedXdsServer;
  readonly clock: FakeClock;
  readonly stats: StatsStore;
  readonly log: ReturnType<typeof recordingLog>;
  /** Back-off delays as they were announced. */
  readonly waits: number[];
  readonly client: AdsClient;
  readonly cds: TestType;
  readonly eds: TestType;
  close(): void;
}

export async function createHarness(variant: VariantName, options: Partial<AdsClientOptions> = {}): Promise<Harness> {
  const server = await ScriptedXdsServer.start();
  const clock = new FakeClock();
  const stats = createStatsStore();
  const log = recordingLog();
  const client = createAdsClient({
    variant,
    channel: { ...channelDefaults, addresses: () => [server.address] },
    node: {
      id: 'n1',
      cluster: 'c1',
      locality: { region: '', zone: '', subZone: '' },
      metadata: { a: [1, 'x', null, { b: true }] },
    },
    version: '1.2.3',
    codec: loadSchema(),
    stats,
    log,
    clock,
    random: () => 0.5,
    ...options,
  });
  return {
    server,
    clock,
    stats,
    log,
    waits: log.waits,
    client,
    cds: testType(cdsUrl, true, 'cluster_manager.cds'),
    eds: testType(edsUrl, false),
    close() {
      client.close();
      server.stop();
    },
  };
}

/** Names that a request adds to what is asked for: all in SotW, the new ones in Delta. */
export function namesIn(request: XdsRequest): string[] {
  return request.resource_names ?? request.resource_names_subscribe;
}

/** Resolves when the condition holds. */
export async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within 10 s: ${condition}`);
    await setImmediate();
  }
}
