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
  readonly resources: ReceivedResources;
  readonly removed: Iterable<string>;
  /**
   * Whether names that it leaves out may be taken as deleted, for types whose responses list all there is. Not so where a heartbeat is among
   * its resources: they come alone, and those without a time to live are left out and still there.
   */
  readonly mayBeComplete: boolean;
  /** It lists all there is of types, too, whose responses otherwise bring single resources: a file. */
  readonly listsAll?: boolean;
}

/** What holds a resource, as long as there is one. */
export interface Holder {
  readonly accepted: { readonly bytes: Uint8Array } | undefined;
}

/** Where the resources of a response are in its bytes, each behind its tag and length. */
export interface RawResources {
  readonly bytes: Buffer;
  readonly length: number;
  start(index: number): number;
  end(index: number): number;
}

/** The resources of a response. An array is one; others read a resource when it is asked for. */
export interface ReceivedResources {
  readonly length: number;
  /** Reads it, each time. undefined: there are not so many. */
  at(index: number): ReceivedResource | undefined;
  /**
   * What is held under the name that it has, if that was accepted with the same bytes, and there is nothing around them but the response: then it
   * need not be read. undefined: it is another, or that can't be told in this way.
   */
  repeats?<H extends Holder>(index: number, typeUrl: string, held: (name: string) => H | undefined): H | undefined;
  /** Given where a response says all that there is to say of a resource in its bytes: then the same bytes say the same. */
  readonly raw?: RawResources;
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

/** What can't be read is bad by itself: the response around it is whole. */
export function readOr(read: () => ReceivedResource): ReceivedResource {
  try {
    return read();
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    return { name: undefined, version: '', body: { kind: 'malformed', problem } };
  }
}
