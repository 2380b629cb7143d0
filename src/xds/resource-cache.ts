import { describeProblems, type Problem, type Verdict } from '../model/verdict.js';
import type { Interest } from './interest.js';
import type { AcceptedResource, ResourceState } from './resource-type.js';

/** A version that was judged bad. Kept to show it, and so that the same bytes need not be judged again at once. */
export interface RejectedVersion {
  readonly version: string;
  readonly bytes: Uint8Array;
  readonly problems: readonly Problem[];
  /** Milliseconds, monotonic. */
  readonly judgedAt: number;
  readonly lastAttempt: Date;
}

type Accepted<T> = AcceptedResource<T> & { readonly lastUpdated: Date };

/** What is known under a name. It is the same object until the name is dropped; from then on it holds nothing. */
export interface Entry<T> {
  accepted: Accepted<T> | undefined;
  /** The version under which it came last, if that is not the one with which it was accepted: thousands of others got it at the same time. */
  version: string | undefined;
  /** `doubted`: nobody has sent it since the last stream began. */
  rejected: (RejectedVersion & { readonly doubted: boolean }) | undefined;
  missing: { readonly status: 'does_not_exist' | 'timed_out'; readonly since: Date } | undefined;
  /** The response (see `mark`) that repeated it last. */
  mark: number;
  /** The last response, if that is remembered and has it: then its version is that one's, whatever `version` says. */
  among: { readonly version: string; whole: boolean } | undefined;
  /** Where it is in that. */
  place: number;
}

/**
 * The resources of one type: the last accepted version of each and, if it was bad, the version after it.
 *
 * Bytes are copied on the way in: they are views of the whole response, and one changed resource must not keep ten thousand others in
 * memory. As Buffers, of which small ones share 8 KiB: memory of its own for each of ten thousand is dear to collect.
 */
export class ResourceCache<T> {
  /** Rejected versions kept, at most; the oldest are forgotten first, and judged again should they come again. */
  static readonly mostRejected = 1_000;
  static readonly mostRejectedBytes = 32 * 1024 * 1024;

  readonly #entries = new Map<string, Entry<T>>();
  /** Names with a rejected version, oldest first. */
  readonly #rejected = new Map<string, number>();
  #rejectedBytes = 0;
  readonly #distrusted = new Set<string>();
  #mark = 0;

  /** A number for a response, by which entries remember that it repeats them. */
  mark(): number {
    return ++this.#mark;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Whether each accepted version runs, and nothing was rejected after it. */
  get sound(): boolean {
    return this.#distrusted.size === 0 && this.#rejected.size === 0;
  }

  entry(name: string): Entry<T> | undefined {
    return this.#entries.get(name);
  }

  names(): Iterable<string> {
    return this.#entries.keys();
  }

  entries(): Iterable<readonly [name: string, entry: Entry<T>]> {
    return this.#entries;
  }

  accepted(name: string): AcceptedResource<T> | undefined {
    const entry = this.#entries.get(name);
    return entry && acceptedOf(entry);
  }

  rejected(name: string): RejectedVersion | undefined {
    return this.#entries.get(name)?.rejected;
  }

  /** Whether the accepted version is the one that runs. */
  isTrusted(name: string): boolean {
    return this.#distrusted.size === 0 || !this.#distrusted.has(name);
  }

  /** The accepted version could not be applied: the same bytes are new when they come again. */
  distrust(name: string): void {
    if (this.#entries.has(name)) this.#distrusted.add(name);
  }

  isMissing(name: string): boolean {
    return this.#entries.get(name)?.missing?.status === 'does_not_exist';
  }

  *acceptedResources(): Iterable<Accepted<T>> {
    for (const entry of this.#entries.values()) {
      const accepted = acceptedOf(entry);
      if (accepted) yield accepted;
    }
  }

  /** Takes a judged version and returns it as it is kept. */
  accept(name: string, version: string, bytes: Uint8Array, verdict: Verdict<T>, now: Date): AcceptedResource<T> {
    const entry = this.#entry(name);
    this.#clearRejected(name, entry);
    const before = entry.accepted;
    const known = before && sameBytes(before.bytes, bytes) ? before : undefined;
    entry.accepted = { name, version, bytes: known?.bytes ?? Buffer.from(bytes), verdict, lastUpdated: now };
    entry.version = undefined;
    takeOut(entry);
    entry.missing = undefined;
    this.#distrusted.delete(name);
    return entry.accepted;
  }

  /** The accepted bytes came again, maybe under a new version; a bad version in between is over. */
  confirm(entry: Entry<T>, version: string): void {
    if (!entry.accepted) return;
    this.#clearRejected(entry.accepted.name, entry);
    takeOut(entry);
    entry.version = entry.accepted.version === version ? undefined : version;
  }

  reject(name: string, version: RejectedVersion): void {
    const entry = this.#entry(name);
    this.#clearRejected(name, entry);
    entry.rejected = { ...version, bytes: Buffer.from(version.bytes), doubted: false };
    entry.missing = undefined;
    this.#rejected.set(name, version.bytes.length);
    this.#rejectedBytes += version.bytes.length;
    for (const oldest of this.#rejected.keys()) {
      if (this.#rejected.size <= ResourceCache.mostRejected && this.#rejectedBytes <= ResourceCache.mostRejectedBytes)
        break;
      const old = this.#entry(oldest);
      this.#clearRejected(oldest, old);
      if (!old.accepted) this.#entries.delete(oldest);
    }
  }

  /**
   * A new stream begins: what is still bad comes again. What does not come is bad no longer, and nobody will say so, because the control
   * plane is back at the version that it was told we have. It is not shown any more, only remembered.
   */
  doubtRejections(): void {
    for (const name of this.#rejected.keys()) {
      const entry = this.#entries.get(name);
      if (entry?.rejected) entry.rejected = { ...entry.rejected, doubted: true };
    }
  }

  /** The control plane says that there is no such resource, or says nothing for too long. */
  setMissing(name: string, status: 'does_not_exist' | 'timed_out', since: Date): void {
    this.delete(name);
    this.#entries.set(name, {
      accepted: undefined,
      version: undefined,
      rejected: undefined,
      missing: { status, since },
      mark: 0,
      among: undefined,
      place: 0,
    });
  }

  delete(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    this.#clearRejected(name, entry);
    this.#distrusted.delete(name);
    this.#entries.delete(name);
    entry.accepted = undefined;
    takeOut(entry);
  }

  /**
   * Each as it is when its turn comes.
   * @param stale the names whose version nobody has confirmed
   */
  *states(interest: Interest, stale: ReadonlySet<string> = new Set()): Generator<ResourceState> {
    for (const name of this.#entries.keys()) {
      const state = this.state(name, interest, stale);
      if (state) yield state;
    }
    for (const name of interest.names) if (!this.#entries.has(name)) yield stateOf(name, nothing, false);
  }

  /** undefined: nobody wants it, or nothing is known of it. */
  state(name: string, interest: Interest, stale: ReadonlySet<string> = new Set()): ResourceState | undefined {
    if (!interest.has(name)) return undefined;
    const entry = this.#entries.get(name) ?? nothing;
    const { accepted, missing, rejected } = entry;
    // Of a wildcard nothing is known but what was said.
    const isThere = accepted || missing || (rejected && !rejected.doubted) || interest.names.has(name);
    return isThere ? stateOf(name, entry, stale.has(name)) : undefined;
  }

  #entry(name: string): Entry<T> {
    let entry = this.#entries.get(name);
    if (!entry) {
      entry = { ...nothing };
      this.#entries.set(name, entry);
    }
    return entry;
  }

  #clearRejected(name: string, entry: Entry<T>): void {
    if (!entry.rejected) return;
    this.#rejectedBytes -= this.#rejected.get(name) ?? 0;
    this.#rejected.delete(name);
    entry.rejected = undefined;
  }
}

const nothing: Entry<never> = {
  accepted: undefined,
  version: undefined,
  rejected: undefined,
  missing: undefined,
  mark: 0,
  among: undefined,
  place: 0,
};

/** The accepted resource with the version that it came under last: made when somebody asks for it. */
function acceptedOf<T>(entry: Entry<T>): Accepted<T> | undefined {
  const { accepted } = entry;
  const version = entry.among?.version ?? entry.version;
  if (!accepted || version === undefined || version === accepted.version) return accepted;
  const { name, bytes, verdict, lastUpdated } = accepted;
  entry.accepted = { name, version, bytes, verdict, lastUpdated };
  entry.version = undefined;
  return entry.accepted;
}

/** From now on it has a version of its own, and the last response goes on without it. */
export function leaveResponse(entry: Entry<unknown>): void {
  acceptedOf(entry);
  entry.among = undefined;
}

/** The last response does not say any more what is held. */
function takeOut(entry: Entry<unknown>): void {
  if (entry.among) entry.among.whole = false;
  entry.among = undefined;
}

function stateOf<T>(name: string, entry: Entry<T>, stale: boolean): ResourceState {
  const { rejected: last, missing } = entry;
  const accepted = acceptedOf(entry);
  const rejected = last?.doubted ? undefined : last;
  return {
    name,
    status: rejected
      ? 'rejected'
      : accepted
        ? accepted.verdict.kind === 'parked'
          ? 'parked'
          : 'active'
        : (missing?.status ?? 'requested'),
    version: accepted?.version ?? '',
    bytes: accepted?.bytes,
    verdict: accepted?.verdict,
    lastUpdated: accepted?.lastUpdated ?? missing?.since,
    stale,
    error: rejected && {
      version: rejected.version,
      details: describeProblems(rejected.problems),
      lastAttempt: rejected.lastAttempt,
      bytes: rejected.bytes,
    },
  };
}

export function sameBytes(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && a.length === b.length && Buffer.compare(a, b) === 0;
}
