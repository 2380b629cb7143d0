import type { Problem } from '../model/verdict.js';
import type { Turns } from '../turns.js';
import type { Interest } from './interest.js';
import { type ResourceCache, sameBytes } from './resource-cache.js';
import type { AcceptedResource, ResourceType } from './resource-type.js';
import type { ReceivedResource, ReceivedResponse } from './subscription.js';

/** Bytes that were rejected are judged again after this: what they refer to (a library on disk) may have been put right. */
const rejectionMemoryMs = 30_000;

const never = Number.NEGATIVE_INFINITY;
const nothing = new Uint8Array();
const duplicate = 'is in the response more than once; each name may be sent or removed once';

export interface Candidate {
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
  /** Whether the name was read from the bytes. Otherwise it came beside them, and they may say something else. */
  readonly ownName: boolean;
  /** When an earlier process accepted it; undefined: it is new. */
  readonly acceptedAt?: Date;
}

export interface Rejection {
  /** undefined: unknown, `label` says where it was. */
  readonly name: string | undefined;
  readonly label: string;
  readonly version: string;
  readonly bytes: Uint8Array;
  readonly problems: readonly Problem[];
  /** When the bytes themselves were found bad (monotonic); undefined: just now. What the response did wrong around them is never. */
  readonly judgedAt: number | undefined;
}

/** What a response means, seen against what is held. */
export interface Plan<T> {
  /** New or changed: to be judged. */
  readonly candidates: Candidate[];
  /** Held already, byte for byte. */
  readonly unchanged: {
    readonly candidate: Candidate;
    readonly held: AcceptedResource<T>;
  }[];
  readonly rejections: Rejection[];
  readonly removed: string[];
  /** Of every resource that it mentions, heartbeats too. */
  readonly ttls: Map<string, number | undefined>;
}

/** Sorts a response's resources. Nothing is judged, and of what is held already no more is read than its name. */
export async function planResponse<T>(
  type: ResourceType<T>,
  response: ReceivedResponse,
  cache: ResourceCache<T>,
  interest: Interest,
  now: number,
  turns: Turns,
): Promise<Plan<T>> {
  const plan: Plan<T> = {
    candidates: [],
    unchanged: [],
    rejections: [],
    removed: [],
    ttls: new Map(),
  };
  const names: Name[] = [];
  /** How often each is sent or removed. */
  const seen = new Map<string, number>();
  /** What is held already, byte for byte. */
  const same: (AcceptedResource<T> | undefined)[] = [];
  for (const resource of response.resources) {
    const held = heldOf(type, cache, resource, resource.name ?? guessName(resource));
    const name = held ? held.name : readName(type, resource);
    names.push(name);
    if (typeof name === 'string') seen.set(name, (seen.get(name) ?? 0) + 1);
    same.push(held ?? (typeof name === 'string' ? heldOf(type, cache, resource, name) : undefined));
    const pause = turns();
    if (pause) await pause;
  }
  for (const name of response.removed) seen.set(name, (seen.get(name) ?? 0) + 1);
  const duplicates = new Set<string>();
  for (const [index, resource] of response.resources.entries()) {
    const pause = turns();
    if (pause) await pause;
    const name = names[index] as Name;
    if (typeof name !== 'string') reject(plan, type, index, resource, undefined, name.problem);
    else if (name === '') reject(plan, type, index, resource, name, 'has no name');
    else if ((seen.get(name) ?? 0) > 1) {
      if (!duplicates.has(name)) reject(plan, type, index, resource, name, duplicate);
      duplicates.add(name);
    } else if (interest.has(name)) {
      const problem = sortResource(type, name, resource, same[index], cache, now, plan);
      if (problem !== undefined) reject(plan, type, index, resource, name, problem);
    }
  }
  for (const name of response.removed) {
    if (seen.get(name) === 1 || duplicates.has(name)) continue;
    duplicates.add(name);
    const problems = [{ path: '', message: duplicate }];
    plan.rejections.push({ name, label: name, version: '', bytes: nothing, problems, judgedAt: never });
  }
  plan.removed.push(...response.removed.filter((name) => interest.has(name) && seen.get(name) === 1));
  if (
    (type.fullState || response.listsAll) &&
    response.mayBeComplete &&
    names.every((name) => typeof name === 'string')
  ) {
    const known = response.listsAll ? new Set([...cache.names(), ...interest.names]) : cache.names();
    for (const name of known) if (!seen.has(name) && interest.has(name)) plan.removed.push(name);
  }
  return plan;
}

/** Or why there is none. */
type Name = string | { readonly problem: string };

function reject<T>(
  plan: Plan<T>,
  type: ResourceType<T>,
  index: number,
  { version, body }: ReceivedResource,
  name: string | undefined,
  message: string,
): void {
  const label = name ? name : `resources[${index}]`;
  const bytes = body.kind === 'message' && body.typeUrl === type.typeUrl ? body.bytes : nothing;
  const problems = [{ path: '', message }];
  plan.rejections.push({ name, label, version, bytes, problems, judgedAt: never });
}

/** The accepted version, if it has these very bytes. Its name need not be read then: they say what they said before. */
function heldOf<T>(
  type: ResourceType<T>,
  cache: ResourceCache<T>,
  { body }: ReceivedResource,
  name: string | undefined,
): AcceptedResource<T> | undefined {
  if (name === undefined || body.kind !== 'message' || body.typeUrl !== type.typeUrl) return undefined;
  const held = cache.accepted(name);
  return held && sameBytes(held.bytes, body.bytes) ? held : undefined;
}

function readName<T>(type: ResourceType<T>, { name, body }: ReceivedResource): Name {
  if (name !== undefined) return name;
  if (body.kind === 'malformed') return { problem: body.problem };
  if (body.kind === 'heartbeat') return '';
  if (body.typeUrl !== type.typeUrl) return { problem: wrongType(body.typeUrl, type) };
  try {
    return type.nameOf(body.bytes);
  } catch (error) {
    return { problem: `cannot be decoded as ${type.typeUrl}: ${messageOf(error)}` };
  }
}

const stringField1 = (1 << 3) | 2;

/** The short string that it begins with, if it is a message with one as field 1: in all likelihood the name. */
function guessName({ body }: ReceivedResource): string | undefined {
  if (body.kind !== 'message') return undefined;
  const { bytes } = body;
  const length = bytes[1];
  if (bytes[0] !== stringField1 || length === undefined || length > 127) return undefined;
  return Buffer.from(bytes.buffer, bytes.byteOffset + 2, Math.min(length, bytes.length - 2)).toString();
}

function wrongType<T>(typeUrl: string, type: ResourceType<T>): string {
  return `is of type '${typeUrl}' in a response for '${type.typeUrl}'`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Returns what is wrong with what is around it. */
function sortResource<T>(
  type: ResourceType<T>,
  name: string,
  { name: given, version, ttlMs, body }: ReceivedResource,
  held: AcceptedResource<T> | undefined,
  cache: ResourceCache<T>,
  now: number,
  plan: Plan<T>,
): string | undefined {
  plan.ttls.set(name, ttlMs);
  if (body.kind === 'heartbeat') return undefined;
  if (body.kind === 'malformed') return body.problem;
  if (body.typeUrl !== type.typeUrl) return wrongType(body.typeUrl, type);
  const candidate = { name, version, bytes: body.bytes, ownName: given === undefined };
  if (held && cache.isTrusted(name)) {
    plan.unchanged.push({ candidate, held });
    return undefined;
  }
  const bad = cache.rejected(name);
  if (bad && sameBytes(bad.bytes, body.bytes) && now - bad.judgedAt < rejectionMemoryMs) {
    plan.rejections.push({
      name,
      label: name,
      version,
      bytes: body.bytes,
      problems: bad.problems,
      judgedAt: bad.judgedAt,
    });
    return undefined;
  }
  plan.candidates.push(candidate);
  return undefined;
}
