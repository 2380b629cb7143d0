import { systemClock } from '../../clock.js';
import { redact } from '../../protobuf/redact.js';
import type { Schema } from '../../protobuf/schema.js';
import { createTurns } from '../../turns.js';
import { acceptedDetails, missingStatus, rejectedDetails } from '../client-resource-status.js';
import type { DumpedKind, DumpedResource } from '../sources.js';

/** What the answers are made of. Called per answer. */
export interface ClientStatusSources {
  /** The serialized envoy.config.core.v3.Node that control planes are told. */
  readonly node: Uint8Array;
  /** undefined is none, but a place for a pause. */
  dump(kind: DumpedKind): Iterable<DumpedResource | undefined>;
}

export interface ClientStatusOptions {
  readonly schema: Schema;
  readonly sources: ClientStatusSources;
}

/** Writes the ClientStatusResponse as it is now. */
export type WriteClientStatus = (excludeContents: boolean) => Promise<Buffer>;

/** Types by kind, in the order of the answer. */
const types: readonly (readonly [DumpedKind, string])[] = [
  ['clusters', 'envoy.config.cluster.v3.Cluster'],
  ['endpoints', 'envoy.config.endpoint.v3.ClusterLoadAssignment'],
  ['listeners', 'envoy.config.listener.v3.Listener'],
  ['routes', 'envoy.config.route.v3.RouteConfiguration'],
  ['secrets', 'envoy.extensions.transport_sockets.tls.v3.Secret'],
];

/** Field numbers of messages that are written one resource at a time. */
const responseConfig = 1;
const configNode = 1;
const configGenericXdsConfigs = 3;

/** A tag and a length in front of a nested message: https://protobuf.dev/programming-guides/encoding/#length-types */
function header(field: number, length: number): Buffer {
  const bytes = [(field << 3) | 2];
  let rest = length;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function timestamp(date: Date): object {
  const ms = date.getTime();
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: (ms - seconds * 1000) * 1_000_000 };
}

function statusOf({ origin, active, stale, error, missing }: DumpedResource): string {
  if (error) return 'NACKED';
  if (missing) return missingStatus[missing.status];
  if (origin === 'static') return 'UNKNOWN';
  // A first version that waits for what it needs; the control plane has its ACK, but nothing runs yet. Or one that runs as an earlier process knew it.
  return active && !stale ? 'ACKED' : 'REQUESTED';
}

/**
 * What a client knows of each of its resources, as a ClientStatusResponse with one ClientConfig.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/status/v3/csds.proto
 *
 * Other work gets its turn between resources. What is sensitive is hidden, as in /config_dump.
 */
export function createClientStatus({ schema, sources }: ClientStatusOptions): WriteClientStatus {
  /** A resource stays the same bytes for as long as nobody changes it. */
  const redacted = new WeakMap<Uint8Array, Uint8Array>();

  function contentOf(typeName: string, bytes: Uint8Array): object {
    let shown = redacted.get(bytes);
    if (shown === undefined) {
      shown = shownBytes(schema, typeName, bytes);
      redacted.set(bytes, shown);
    }
    return { type_url: `type.googleapis.com/${typeName}`, value: shown };
  }

  function writeResource(typeName: string, resource: DumpedResource, excludeContents: boolean): Buffer {
    const { name, origin, active, warming, error, missing } = resource;
    const version = active ?? warming;
    const since = version?.lastUpdated ?? missing?.since;
    const details = acceptedDetails(resource);
    return schema.encode('envoy.service.status.v3.ClientConfig.GenericXdsConfig', {
      type_url: `type.googleapis.com/${typeName}`,
      name,
      version_info: version?.version ?? '',
      xds_config: version && !excludeContents ? contentOf(typeName, version.bytes) : undefined,
      last_updated: since && timestamp(since),
      client_status: statusOf(resource),
      error_state: error
        ? {
            failed_configuration: excludeContents ? undefined : contentOf(typeName, error.bytes),
            last_update_attempt: timestamp(error.lastAttempt),
            details: rejectedDetails(error),
            version_info: error.version,
          }
        : details === ''
          ? undefined
          : { details },
      is_static_resource: origin === 'static',
    });
  }

  return async (excludeContents) => {
    const pieces = [header(configNode, sources.node.length), sources.node];
    const turns = createTurns(systemClock);
    for (const [kind, typeName] of types) {
      for (const resource of sources.dump(kind)) {
        const pause = turns();
        if (pause) await pause;
        if (!resource) continue;
        const written = writeResource(typeName, resource, excludeContents);
        pieces.push(header(configGenericXdsConfigs, written.length), written);
      }
    }
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    return Buffer.concat([header(responseConfig, length), ...pieces]);
  };
}

/** Bytes that can't be read have nothing that could be told apart: of a rejected version they are not shown. */
function shownBytes(schema: Schema, typeName: string, bytes: Uint8Array): Uint8Array {
  try {
    return redact(schema, typeName, bytes);
  } catch {
    return new Uint8Array();
  }
}
