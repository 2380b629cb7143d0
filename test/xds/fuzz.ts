import { systemClock } from '../../src/clock.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { channelDefaults, createAdsClient } from '../../src/xds/ads-client.js';
import { createRandom } from '../support/random.js';
import { type ScriptedStream, ScriptedXdsServer } from '../support/scripted-xds-server.js';
import { bytesOf, cdsUrl, edsUrl, RecordingWatcher, recordingLog, testType, type VariantName } from './harness.js';

export interface FuzzOptions {
  readonly variant: VariantName;
  /** Rounds of hostile messages; each ends with the proof that good resources still come through. */
  readonly runs: number;
  readonly seed: number;
  readonly onRound?: (round: number) => void;
}

export interface FuzzReport {
  readonly seed: number;
  readonly messages: number;
  /** Streams that were needed: some messages end theirs. */
  readonly streams: number;
  /** What was missing after a round, in words. */
  readonly lost: readonly string[];
}

const mebibyte = 1024 * 1024;
const schema = loadSchema();

/**
 * Sends random bytes, random valid messages in random order, truncated, repeated and huge ones, to a client that holds a good cluster and
 * good endpoints, and after each round looks whether both are still held, and whether a good response is still taken.
 */
export async function fuzzStream({ variant, runs, seed, onRound }: FuzzOptions): Promise<FuzzReport> {
  const random = createRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const server = await ScriptedXdsServer.start();
  const clusters = new RecordingWatcher();
  const endpoints = new RecordingWatcher();
  const client = createAdsClient({
    variant,
    channel: { ...channelDefaults, addresses: () => [server.address] },
    node: { id: 'n', cluster: 'c', locality: { region: '', zone: '', subZone: '' }, metadata: {} },
    version: '1.2.3',
    codec: schema,
    stats: createStatsStore(),
    log: recordingLog(),
    clock: systemClock,
    // Almost no wait between streams.
    random: () => 0.01,
  });
  const [cds, eds] = [testType(cdsUrl, false, 'cluster_manager.cds'), testType(edsUrl, false)];
  client.subscribe(cds, ['good', 'other'], clusters);
  client.subscribe(eds, ['good'], endpoints);
  client.start();

  const typeName = `envoy.service.discovery.v3.${variant === 'DELTA' ? 'Delta' : ''}DiscoveryResponse`;
  let nonce = 0;
  const randomBytes = (size: number) => Buffer.from(Array.from({ length: size }, () => Math.floor(random() * 256)));
  const randomValue = () => pick(['1', 'bad', 'parked', 'x'.repeat(Math.floor(random() * 5_000))]);
  /** Never `good` in a form that would be taken: what a control plane replaces or removes in good order is not lost. */
  function resource(names: readonly string[] = ['other', 'stranger', '', 'good']) {
    const name = pick(names);
    const value = name === 'good' ? 'bad' : randomValue();
    const bytes = random() < 0.2 ? randomBytes(Math.floor(random() * 50)) : bytesOf(name, value);
    const type_url =
      random() < 0.15 ? pick(['', 'x', 'type.googleapis.com/google.protobuf.Empty']) : pick([cdsUrl, edsUrl]);
    return { name, version: String(nonce), any: { type_url, value: bytes } };
  }
  function response(resources = Array.from({ length: Math.floor(random() * 5) }, () => resource())): Buffer {
    const type_url = random() < 0.1 ? pick(['', 'type.googleapis.com/no.such.Type']) : pick([cdsUrl, edsUrl]);
    const nonces = { type_url, nonce: pick([String(nonce++), '', '0']) };
    return schema.encode(
      typeName,
      variant === 'DELTA'
        ? {
            ...nonces,
            system_version_info: pick(['', 'v']),
            removed_resources: random() < 0.2 ? [pick(['other', 'stranger', ''])] : [],
            resources: resources.map(({ name, version, any }) => ({
              name,
              version,
              // A heartbeat of `good` would be good order, too.
              ...((name === 'good' || random() < 0.9) && { resource: any }),
              ...(random() < 0.1 && { ttl: { seconds: Math.floor(random() * 3) } }),
            })),
          }
        : { ...nonces, version_info: pick(['', 'v']), resources: resources.map(({ any }) => any) },
    );
  }
  const hostile: (() => Buffer[])[] = [
    () => [randomBytes(Math.floor(random() * 300))],
    () => [response()],
    () => Array.from({ length: 20 }, () => response()),
    () => {
      const whole = response();
      return [whole.subarray(0, Math.floor(random() * whole.length))];
    },
    () => {
      const twice = response();
      return [twice, twice, twice];
    },
    () => {
      // Of what is bad about `good` nothing is edited: it might become good.
      const others = Array.from({ length: Math.floor(random() * 5) }, () => resource(['other', 'stranger', '']));
      const edited = Buffer.from(response(others));
      for (let n = 0; n < 5 && edited.length > 0; n++)
        edited[Math.floor(random() * edited.length)] = Math.floor(random() * 256);
      return [edited];
    },
  ];
  /** One resource in a message that is otherwise good: 63 MiB are read, 65 are over the limit. */
  const huge = (mebibytes: number) => () => [
    response([{ name: 'other', version: 'v', any: { type_url: cdsUrl, value: Buffer.alloc(mebibytes * mebibyte) } }]),
  ];

  const lost: string[] = [];
  let messages = 0;
  let streams = 0;
  let stream: ScriptedStream | undefined;
  let closed = false;
  async function connected(): Promise<ScriptedStream> {
    if (stream && !closed) return stream;
    const next = await server.nextStream();
    streams++;
    closed = false;
    stream = next;
    void next.closed.then(() => {
      if (stream === next) closed = true;
    });
    await next.next();
    return next;
  }
  /** A good version of both has to be taken, whatever went before: over another stream if that was given up. */
  async function prove(round: number): Promise<void> {
    const value = `round ${round}`;
    const end = Date.now() + 20_000;
    const held = () => clusters.state.get('good') === value && endpoints.state.get('good') === value;
    while (!held() && Date.now() < end) {
      const now = await connected();
      for (const type of [cdsUrl, edsUrl]) {
        const any = { type_url: type, value: bytesOf('good', value) };
        now.send(
          variant === 'DELTA'
            ? { type_url: type, nonce: `p${nonce++}`, resources: [{ name: 'good', version: value, resource: any }] }
            : { type_url: type, nonce: `p${nonce++}`, version_info: value, resources: [any] },
        );
      }
      for (let wait = 0; wait < 40 && !held() && !closed; wait++)
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (!held()) lost.push(`round ${round}: a good version was not taken`);
  }
  try {
    await prove(0);
    for (let round = 1; round <= runs; round++) {
      const before = [clusters.state.get('good'), endpoints.state.get('good')];
      const parts = [
        pick(hostile),
        pick(hostile),
        pick(hostile),
        ...(round % 6 === 3 ? [huge(round % 12 === 3 ? 65 : 63)] : []),
      ];
      for (const part of parts)
        for (const message of part()) {
          (await connected()).send(message);
          messages++;
        }
      await new Promise((resolve) => setTimeout(resolve, 20));
      const after = [clusters.state.get('good'), endpoints.state.get('good')];
      if (before.some((value, index) => value !== after[index])) lost.push(`round ${round}: ${before} became ${after}`);
      await prove(round);
      onRound?.(round);
    }
  } finally {
    client.close();
    server.stop();
  }
  return { seed, messages, streams, lost };
}
