import { type DurationValue, durationMs } from '../protobuf/duration.js';
import type { Status, WrappedResource } from './discovery.js';
import type { Interest } from './interest.js';
import type { NameFields } from './request-writer.js';

/** A response of either variant, in one shape. */
export interface ReceivedResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  /** `version_info` or `system_version_info`. */
  readonly version: string;
  readonly resources: readonly ReceivedResource[];
  readonly removed: readonly string[];
  /** Whether names that it leaves out may be taken as deleted, for types whose responses list all there is. */
  readonly mayBeComplete: boolean;
  /** It lists all there is of types, too, whose responses otherwise bring single resources: a file. */
  readonly listsAll?: boolean;
}

export interface ReceivedResource {
  /** undefined: only the bytes know. */
  readonly name: string | undefined;
  readonly version: string;
  /** How long it lives unless it is renewed; undefined: until it is removed. */
  readonly ttlMs?: number | undefined;
  readonly body:
    | {
        readonly kind: 'message';
        readonly typeUrl: string;
        readonly bytes: Uint8Array;
      }
    /** Only keeps a TTL alive (https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#ttl), or says that an alias leads nowhere. */
    | { readonly kind: 'heartbeat' }
    | { readonly kind: 'malformed'; readonly problem: string };
}

/** What is said about one response: accepted, or not and why. */
export interface Answer {
  readonly nonce: string;
  readonly error: Status | undefined;
  /** All that it refuses was refused before. */
  readonly repeated?: boolean;
}

/**
 * One type's side of the conversation with the control plane: what was said on this stream and what is to be said next. It neither
 * sends nor judges; resources stay with the cache.
 */
export interface Subscription {
  /** A new stream, whose server knows nothing. */
  streamStarted(): void;
  /** Whether anything was asked for on this stream. */
  readonly requested: boolean;
  /** Whether there is something to say besides answers. */
  readonly pending: boolean;
  /** The next request, without its node; undefined when there is no answer and, looked at closely, no change either. */
  nextRequest(answer?: Answer): object | undefined;
  /** All of a response was accepted. */
  accepted(version: string): void;
}

/** Names and versions of the resources that were accepted and are still wanted. */
export type AcceptedVersions = () => Iterable<readonly [name: string, version: string]>;

/** What the two variants of the protocol don't share. */
export interface Variant {
  readonly kind: 'SOTW' | 'DELTA';
  readonly requestType: string;
  readonly nameFields: NameFields;
  /** A later answer makes those before it pointless: only the last nonce counts. */
  readonly answersSupersede: boolean;
  createSubscription(typeUrl: string, interest: Interest, versions: AcceptedVersions): Subscription;
  /** @throws for bytes that are no response at all */
  unpack(bytes: Uint8Array): ReceivedResponse;
}

/** The body of a wrapped resource; of which a heartbeat has none. */
export function unwrap(resource: WrappedResource): ReceivedResource['body'] {
  if (resource.resource) {
    return {
      kind: 'message',
      typeUrl: resource.resource.type_url,
      bytes: resource.resource.value,
    };
  }
  if (resource.ttl || resource.aliases.length > 0) return { kind: 'heartbeat' };
  return { kind: 'malformed', problem: 'has neither a resource nor a ttl' };
}

/** The time to live beside a resource; one that is no positive time ends at once, as in Envoy. */
export function timeToLive({ ttl }: WrappedResource): number | undefined {
  return ttl ? Math.max(0, durationMs(ttl as DurationValue, 0)) : undefined;
}

/** A resource of a response that is read when its turn comes. One that can't be read is bad by itself: the response around it is whole. */
export class UnreadResource implements ReceivedResource {
  #unpack: (() => ReceivedResource) | undefined;
  #unpacked: ReceivedResource = notRead;

  /** @param unpack called once; may throw */
  constructor(unpack: () => ReceivedResource) {
    this.#unpack = unpack;
  }

  get name(): string | undefined {
    return this.#read().name;
  }

  get version(): string {
    return this.#read().version;
  }

  get ttlMs(): number | undefined {
    return this.#read().ttlMs;
  }

  get body(): ReceivedResource['body'] {
    return this.#read().body;
  }

  #read(): ReceivedResource {
    if (!this.#unpack) return this.#unpacked;
    try {
      this.#unpacked = this.#unpack();
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#unpacked = { name: undefined, version: '', body: { kind: 'malformed', problem } };
    }
    this.#unpack = undefined;
    return this.#unpacked;
  }
}

const notRead: ReceivedResource = { name: undefined, version: '', body: { kind: 'heartbeat' } };
