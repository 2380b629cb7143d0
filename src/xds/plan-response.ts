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

/** What came again with the bytes that are held. */
export interface Unchanged<T> {
  readonly held: AcceptedResource<T>;
  /** The one under which it came now. */
  readonly version: string;
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
  readonly unchanged: Unchanged<T>[];
  readonly rejections: Rejection[];
  readonly removed: string[];
  /** Of every resource that it mentions, heartbeats too. Those without a time to live that are held already may be left out. */
  readonly ttls: Map<string, number | undefined>;
}

/** What is known of a response's resources before each is looked at in the light of the others. */
interface Sighted<T> {
  readonly names: Name[];
  /** What is held already, byte for byte. */
  readonly held: (AcceptedResource<T> | undefined)[];
  /** Those that had to be read. */
  readonly read: Map<number, ReceivedResource>;
  /** All names that are sent or removed. */
  readonly seen: Set<string>;
  /** Those that are so more than once. */
  readonly repeated: Set<string>;
  /** What it leaves out may be taken as deleted, as far as its resources say. */
  complete: boolean;
}

/** So many resources that are held already are recognised without looking at the clock. */
const atOnce = 16;

/** Sorts a response's resources. Nothing is judged, and what is held already is not even read. */
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
  const { resources, removed, version } = response;
  const sighted = await sight(type, response, cache, turns);
  const { seen, repeated } = sighted;
  const duplicates = new Set<string>();
  for (let index = 0; index < resources.length; index++) {
    const pause = index % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
    const name = sighted.names[index] as Name;
    const held = sighted.held[index];
    if (held && !sighted.read.has(index) && !repeated.has(held.name)) {
      if (!interest.has(held.name)) continue;
      if (cache.isTrusted(held.name)) {
        plan.unchanged.push({ held, version });
        continue;
      }
    }
    const resource = sighted.read.get(index) ?? resources.at(index);
    if (!resource) break;
    if (typeof name !== 'string') reject(plan, type, index, resource, undefined, name.problem);
    else if (name === '') reject(plan, type, index, resource, name, 'has no name');
    else if (repeated.has(name)) {
      if (!duplicates.has(name)) reject(plan, type, index, resource, name, duplicate);
      duplicates.add(name);
    } else if (interest.has(name)) {
      const problem = sortResource(type, name, resource, held, cache, now, plan);
      if (problem !== undefined) reject(plan, type, index, resource, name, problem);
    }
  }
  for (const name of removed) {
    if (!repeated.has(name) || duplicates.has(name)) continue;
    duplicates.add(name);
    const problems = [{ path: '', message: duplicate }];
    plan.rejections.push({ name, label: name, version: '', bytes: nothing, problems, judgedAt: never });
  }
  plan.removed.push(...removed.filter((name) => interest.has(name) && !repeated.has(name)));
  if ((type.fullState || response.listsAll) && response.mayBeComplete && sighted.complete) {
    const known = response.listsAll ? new Set([...cache.names(), ...interest.names]) : cache.names();
    for (const name of known) if (!seen.has(name) && interest.has(name)) plan.removed.push(name);
  }
  return plan;
}

/** Finds the names, and what is held already. */
async function sight<T>(
  type: ResourceType<T>,
  { resources, removed }: ReceivedResponse,
  cache: ResourceCache<T>,
  turns: Turns,
): Promise<Sighted<T>> {
  const sighted: Sighted<T> = {
    names: [],
    held: [],
    read: new Map(),
    seen: new Set(),
    repeated: new Set(),
    complete: true,
  };
  const { names, held, read } = sighted;
  const heldOfName = (name: string) => cache.held(name);
  for (let index = 0; index < resources.length; index++) {
    const repeated = resources.repeats?.(index, type.typeUrl, heldOfName);
    if (repeated) {
      names.push(repeated.name);
      held.push(repeated);
    } else {
      const resource = resources.at(index);
      if (!resource) break;
      const name = readName(type, resource);
      read.set(index, resource);
      names.push(name);
      held.push(typeof name === 'string' ? heldOf(type, cache, resource, name) : undefined);
      if (typeof name !== 'string' || resource.body.kind === 'heartbeat') sighted.complete = false;
    }
    see(sighted, names[index] as Name);
    const pause = !repeated || index % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
  }
  for (const name of removed) see(sighted, name);
  return sighted;
}

function see<T>({ seen, repeated }: Sighted<T>, name: Name): void {
  if (typeof name !== 'string') return;
  if (seen.has(name)) repeated.add(name);
  else seen.add(name);
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

/** The accepted version, if it has these very bytes. */
function heldOf<T>(
  type: ResourceType<T>,
  cache: ResourceCache<T>,
  { body }: ReceivedResource,
  name: string,
): AcceptedResource<T> | undefined {
  if (body.kind !== 'message' || body.typeUrl !== type.typeUrl) return undefined;
  const held = cache.held(name);
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
  if (held && cache.isTrusted(name)) {
    plan.unchanged.push({ held, version });
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
  plan.candidates.push({ name, version, bytes: body.bytes, ownName: given === undefined });
  return undefined;
}
