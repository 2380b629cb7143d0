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
  for (const resource of response.resources) {
    names.push(readName(type, resource));
    const pause = turns();
    if (pause) await pause;
  }
  const seen = countNames(names, response.removed);
  const duplicates = new Set<string>();
  for (const [index, resource] of response.resources.entries()) {
    const pause = turns();
    if (pause) await pause;
    const found = names[index] as Name;
    const reject = (message: string) => {
      const name = 'name' in found ? found.name : undefined;
      const label = name ? name : `resources[${index}]`;
      const bytes =
        resource.body.kind === 'message' && resource.body.typeUrl === type.typeUrl ? resource.body.bytes : nothing;
      const problems = [{ path: '', message }];
      plan.rejections.push({
        name,
        label,
        version: resource.version,
        bytes,
        problems,
        judgedAt: never,
      });
    };
    if ('problem' in found) reject(found.problem);
    else if (found.name === '') reject('has no name');
    else if ((seen.get(found.name) ?? 0) > 1) {
      if (!duplicates.has(found.name)) reject(duplicate);
      duplicates.add(found.name);
    } else if (interest.has(found.name)) sortResource(type, found.name, resource, cache, now, plan, reject);
  }
  for (const name of response.removed) {
    if (seen.get(name) === 1 || duplicates.has(name)) continue;
    duplicates.add(name);
    const problems = [{ path: '', message: duplicate }];
    plan.rejections.push({ name, label: name, version: '', bytes: nothing, problems, judgedAt: never });
  }
  plan.removed.push(...response.removed.filter((name) => interest.has(name) && seen.get(name) === 1));
  if ((type.fullState || response.listsAll) && response.mayBeComplete && names.every((found) => 'name' in found)) {
    const known = response.listsAll ? new Set([...cache.names(), ...interest.names]) : cache.names();
    for (const name of known) if (!seen.has(name) && interest.has(name)) plan.removed.push(name);
  }
  return plan;
}

type Name = { readonly name: string } | { readonly problem: string };

function readName<T>(type: ResourceType<T>, { name, body }: ReceivedResource): Name {
  if (name !== undefined) return { name };
  if (body.kind === 'malformed') return { problem: body.problem };
  if (body.kind === 'heartbeat') return { name: '' };
  if (body.typeUrl !== type.typeUrl) return { problem: wrongType(body.typeUrl, type) };
  try {
    return { name: type.nameOf(body.bytes) };
  } catch (error) {
    return {
      problem: `cannot be decoded as ${type.typeUrl}: ${messageOf(error)}`,
    };
  }
}

function wrongType<T>(typeUrl: string, type: ResourceType<T>): string {
  return `is of type '${typeUrl}' in a response for '${type.typeUrl}'`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function countNames(names: readonly Name[], removed: readonly string[]): Map<string, number> {
  const seen = new Map<string, number>();
  for (const found of names) if ('name' in found) seen.set(found.name, (seen.get(found.name) ?? 0) + 1);
  for (const name of removed) seen.set(name, (seen.get(name) ?? 0) + 1);
  return seen;
}

function sortResource<T>(
  type: ResourceType<T>,
  name: string,
  { name: given, version, ttlMs, body }: ReceivedResource,
  cache: ResourceCache<T>,
  now: number,
  plan: Plan<T>,
  reject: (message: string) => void,
): void {
  plan.ttls.set(name, ttlMs);
  if (body.kind === 'heartbeat') return;
  if (body.kind === 'malformed') {
    reject(body.problem);
    return;
  }
  if (body.typeUrl !== type.typeUrl) {
    reject(wrongType(body.typeUrl, type));
    return;
  }
  const candidate = { name, version, bytes: body.bytes, ownName: given === undefined };
  const held = cache.accepted(name);
  if (held && cache.isTrusted(name) && sameBytes(held.bytes, body.bytes)) {
    plan.unchanged.push({ candidate, held });
    return;
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
    return;
  }
  plan.candidates.push(candidate);
}
