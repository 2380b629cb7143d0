import type { Problem } from '../model/verdict.js';
import type { Turns } from '../turns.js';
import type { Interest } from './interest.js';
import { findRepetition, type LastResponse, type Repetition } from './last-response.js';
import { type Entry, type ResourceCache, sameBytes } from './resource-cache.js';
import type { ResourceType } from './resource-type.js';
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
  readonly unchanged: Entry<T>[];
  /** The version under which such a one came now, where it is not the response's. */
  readonly versions: Map<Entry<T>, string>;
  readonly rejections: Rejection[];
  readonly removed: string[];
  /** Held already too: all that the response repeats of the last one. */
  repetition: Repetition<T> | undefined;
  /** Of every resource that it mentions, heartbeats too. Those without a time to live that are held already may be left out. */
  readonly ttls: Map<string, number | undefined>;
}

/** A resource that had to be read. */
interface Read<T> {
  readonly resource: ReceivedResource;
  readonly name: Name;
  /** What is held under its name, if it has these very bytes. */
  readonly held: Entry<T> | undefined;
}

/** What is known of a response's resources before each is looked at in the light of the others. */
interface Sighted<T> {
  /** In their order: what is held already, byte for byte, and was not even read; without what the response repeats of the last one. */
  readonly repeated: (Entry<T> | undefined)[];
  /** The others, by their place. */
  readonly read: Map<number, Read<T>>;
  /** What entries have that the response repeats. */
  readonly mark: number;
  /** Names of what was read, and removed ones. */
  readonly names: Set<string>;
  readonly removed: string[];
  /** Names that are sent or removed more than once. */
  readonly twice: Set<string>;
  /** What it leaves out may be taken as deleted, as far as its resources say. */
  complete: boolean;
}

/** So many resources that are held already are recognised without looking at the clock, and so many names are looked at. */
const atOnce = 16;

/** Sorts a response's resources. Nothing is judged, and what is held already is not even read. */
export async function planResponse<T>(
  type: ResourceType<T>,
  response: ReceivedResponse,
  cache: ResourceCache<T>,
  interest: Interest,
  now: number,
  turns: Turns,
  last?: LastResponse<T>,
): Promise<Plan<T>> {
  const plan = emptyPlan<T>();
  const { resources, version } = response;
  const listsAll = (type.fullState || response.listsAll) && response.mayBeComplete;
  // What is held besides might be left out.
  const lastIsAll = !listsAll || last?.entries.length === cache.size;
  const repetition = lastIsAll ? await findRepetition(last, resources, turns) : undefined;
  const sighted = await sight(type, response, cache, turns, repetition);
  const { read, repeated, twice, removed } = sighted;
  // One of those may be among what is repeated.
  if (repetition && twice.size > 0) return planResponse(type, response, cache, interest, now, turns);
  plan.repetition = repetition;
  const duplicates = new Set<string>();
  const count = repetition?.others.length ?? resources.length;
  for (let i = 0; i < count; i++) {
    const index = repetition ? (repetition.others[i] as number) : i;
    const pause = i % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
    const entry = repeated[i];
    const accepted = entry?.accepted;
    if (entry && (!accepted || !interest.has(accepted.name))) continue;
    if (entry && accepted && !(twice.size > 0 && twice.has(accepted.name)) && cache.isTrusted(accepted.name)) {
      plan.unchanged.push(entry);
      continue;
    }
    const { resource, name, held } = read.get(index) ?? {
      resource: resources.at(index),
      name: accepted?.name ?? '',
      held: entry,
    };
    if (!resource) break;
    if (typeof name !== 'string') reject(plan, type, index, resource, undefined, name.problem);
    else if (name === '') reject(plan, type, index, resource, name, 'has no name');
    else if (twice.has(name)) {
      if (!duplicates.has(name)) reject(plan, type, index, resource, name, duplicate);
      duplicates.add(name);
    } else if (interest.has(name)) {
      const problem = sortResource(type, name, resource, held, version, cache, now, plan);
      if (problem !== undefined) reject(plan, type, index, resource, name, problem);
    }
  }
  for (const [index, name] of removed.entries()) {
    const pause = index % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
    if (!twice.has(name)) {
      if (interest.has(name)) plan.removed.push(name);
      continue;
    }
    if (duplicates.has(name)) continue;
    duplicates.add(name);
    const problems = [{ path: '', message: duplicate }];
    plan.rejections.push({ name, label: name, version: '', bytes: nothing, problems, judgedAt: never });
  }
  if (listsAll && sighted.complete) await addLeftOut(plan, sighted, response, cache, interest, turns);
  return plan;
}

export function emptyPlan<T>(candidates: Candidate[] = []): Plan<T> {
  return {
    candidates,
    unchanged: [],
    versions: new Map(),
    rejections: [],
    removed: [],
    repetition: undefined,
    ttls: new Map(),
  };
}

/** Takes what is repeated for so many single resources. */
export function lookAtEach<T>(plan: Plan<T>): void {
  for (const entry of plan.repetition?.entries ?? []) plan.unchanged.push(entry);
  plan.repetition = undefined;
}

/** A response that lists all there is leaves out what was deleted. */
async function addLeftOut<T>(
  { removed, repetition }: Plan<T>,
  { names, mark }: Sighted<T>,
  { listsAll }: ReceivedResponse,
  cache: ResourceCache<T>,
  interest: Interest,
  turns: Turns,
): Promise<void> {
  if (repetition) {
    for (const { accepted, mark: seen } of repetition.rest())
      if (accepted && seen !== mark && !names.has(accepted.name)) removed.push(accepted.name);
    return;
  }
  let count = 0;
  for (const [name, entry] of cache.entries()) {
    const pause = ++count % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
    const isHeld = entry.accepted !== undefined || entry.rejected !== undefined;
    if (isHeld && entry.mark !== mark && !names.has(name) && interest.has(name)) removed.push(name);
  }
  if (!listsAll) return;
  const known = new Set(removed);
  for (const name of interest.names)
    if (!known.has(name) && !names.has(name) && cache.entry(name)?.mark !== mark) removed.push(name);
}

/** Finds the names, and what is held already. */
async function sight<T>(
  type: ResourceType<T>,
  { resources, removed }: ReceivedResponse,
  cache: ResourceCache<T>,
  turns: Turns,
  repetition: Repetition<T> | undefined,
): Promise<Sighted<T>> {
  const [mark, complete] = [cache.mark(), true];
  const [read, names, twice] = [new Map<number, Read<T>>(), new Set<string>(), new Set<string>()];
  const sighted: Sighted<T> = { repeated: [], read, mark, names, removed: [], twice, complete };
  const see = (name: string) => {
    const entry = cache.entry(name);
    if (names.has(name) || entry?.mark === mark || repetition?.has(entry)) twice.add(name);
    else names.add(name);
  };
  const entryOf = (name: string) => cache.entry(name);
  const count = repetition?.others.length ?? resources.length;
  for (let i = 0; i < count; i++) {
    const index = repetition ? (repetition.others[i] as number) : i;
    const entry = resources.repeats?.(index, type.typeUrl, entryOf);
    sighted.repeated.push(entry);
    const pause = !entry || i % atOnce === 0 ? turns() : undefined;
    if (entry?.accepted) {
      const { name } = entry.accepted;
      if (entry.mark === mark || (names.size > 0 && names.has(name)) || repetition?.has(entry)) twice.add(name);
      entry.mark = mark;
    } else {
      const resource = resources.at(index);
      if (!resource) break;
      const name = readName(type, resource);
      const held = typeof name === 'string' ? heldOf(type, cache, resource, name) : undefined;
      read.set(index, { resource, name, held });
      if (typeof name === 'string') see(name);
      if (typeof name !== 'string' || resource.body.kind === 'heartbeat') sighted.complete = false;
    }
    if (pause) await pause;
  }
  for (const name of removed) {
    sighted.removed.push(name);
    see(name);
    const pause = sighted.removed.length % atOnce === 0 ? turns() : undefined;
    if (pause) await pause;
  }
  return sighted;
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

/** What is held, if it was accepted with these very bytes. */
function heldOf<T>(
  type: ResourceType<T>,
  cache: ResourceCache<T>,
  { body }: ReceivedResource,
  name: string,
): Entry<T> | undefined {
  if (body.kind !== 'message' || body.typeUrl !== type.typeUrl) return undefined;
  const entry = cache.entry(name);
  return sameBytes(entry?.accepted?.bytes, body.bytes) ? entry : undefined;
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
  held: Entry<T> | undefined,
  responseVersion: string,
  cache: ResourceCache<T>,
  now: number,
  plan: Plan<T>,
): string | undefined {
  plan.ttls.set(name, ttlMs);
  if (body.kind === 'heartbeat') return undefined;
  if (body.kind === 'malformed') return body.problem;
  if (body.typeUrl !== type.typeUrl) return wrongType(body.typeUrl, type);
  if (held && cache.isTrusted(name)) {
    plan.unchanged.push(held);
    if (version !== responseVersion) plan.versions.set(held, version);
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
