import protobuf from 'protobufjs';
import type { Problem } from '../model/verdict.js';
import { setOwn, typeNameOf } from './any.js';
import { hasPlainForm, type Leaf, readScalar, readWellKnown } from './leaves.js';
import { allowedNames, nearest } from './near-names.js';
import { isWellKnown, type Schema } from './schema.js';

export type ParsedJson =
  | { readonly ok: true; readonly bytes: Buffer; readonly message: object }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** As in Envoy's protobuf library: deeper JSON is refused. */
const MAX_DEPTH = 100;
/** Enough to repair a file with; a hostile one doesn't get to fill the memory with complaints. */
const MAX_PROBLEMS = 100;

interface Context {
  readonly schema: Schema;
  readonly problems: Problem[];
}

type Json = Record<string, unknown>;
/** Where a value stands: its path for users, and how many messages deep. */
interface Place {
  readonly path: string;
  readonly depth: number;
}

/**
 * Reads ProtoJSON as Envoy does: fields by their proto or their camelCase name, enum names in any case or numbers, Anys as
 * objects with `@type`. Every problem is collected, with the path of its field below `path`.
 * https://protobuf.dev/programming-guides/json/
 * @returns the serialized message and its plain form (as `Schema.decode` gives), or what is wrong and what is allowed
 */
export function parseJson(schema: Schema, typeName: string, json: unknown, path = ''): ParsedJson {
  const context: Context = { schema, problems: [] };
  const type = schema.type(typeName);
  const message = readMessage(context, type, json, { path, depth: 0 });
  if (context.problems.length === 0) {
    try {
      const bytes = Buffer.from(type.encode(message ?? {}).finish());
      return { ok: true, bytes, message: schema.decode<object>(typeName, bytes) };
    } catch (error) {
      report(context, path, error instanceof Error ? error.message : String(error));
    }
  }
  return { ok: false, problems: context.problems };
}

function report(context: Context, path: string, message: string): void {
  if (context.problems.length < MAX_PROBLEMS) context.problems.push({ path, message });
  else if (context.problems.length === MAX_PROBLEMS) context.problems.push({ path: '', message: 'and more' });
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A value as it may be shown in an error. */
function show(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

/** Integers that a YAML reader keeps exact. */
const exact = (value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

const below = (place: Place, name: string): Place => ({
  path: place.path === '' ? name : `${place.path}.${name}`,
  depth: place.depth + 1,
});

function readMessage(context: Context, type: protobuf.Type, json: unknown, place: Place): object | undefined {
  if (place.depth > MAX_DEPTH) {
    report(context, place.path, `nested too deeply: at most ${MAX_DEPTH} levels are allowed`);
    return undefined;
  }
  if (type.fullName === '.google.protobuf.Any') return readAny(context, json, place);
  if (isWellKnown(type) && !(isObject(json) && hasPlainForm(type))) {
    return readLeaf(context, type.name, json, readWellKnown(type, exact(json)), place) as object | undefined;
  }
  if (!isObject(json)) {
    report(context, place.path, `expected an object (${type.fullName.slice(1)}), got ${show(json)}`);
    return undefined;
  }
  return readFields(context, type, json, place);
}

function readFields(context: Context, type: protobuf.Type, json: Json, place: Place): object {
  const message: Json = {};
  const fields = fieldsByJsonName(type);
  const seen = new Set<protobuf.Field>();
  const chosen = new Map<protobuf.OneOf, string>();
  for (const [name, value] of Object.entries(json)) {
    const field = fields.get(name);
    const at = below(place, field?.name ?? name);
    if (field === undefined) {
      report(context, at.path, unknownField(type, name));
      continue;
    }
    if (seen.has(field)) report(context, at.path, `set twice, once as ${name}`);
    seen.add(field);
    if (value === undefined || (value === null && !acceptsNull(field))) continue;
    const other = field.partOf ? chosen.get(field.partOf) : undefined;
    if (other !== undefined) {
      report(context, at.path, `${other} is set too, and only one of ${namesOf(field.partOf)} may be set`);
    }
    if (field.partOf) chosen.set(field.partOf, field.name);
    const read = readField(context, field, value, at);
    if (read !== undefined) message[field.name] = read;
  }
  return message;
}

const namesOf = (oneof: protobuf.OneOf | null): string => oneof?.oneof.join(', ') ?? '';

function unknownField(type: protobuf.Type, name: string): string {
  const names = type.fieldsArray.map((field) => field.name);
  return `unknown field of ${type.fullName.slice(1)}${allowedNames(name, names)}`;
}

/** null is a value of google.protobuf.Value alone; elsewhere it means that the field is absent. */
function acceptsNull(field: protobuf.Field): boolean {
  return !field.map && !field.repeated && field.resolvedType?.fullName === '.google.protobuf.Value';
}

function readField(context: Context, field: protobuf.Field, value: unknown, place: Place): unknown {
  if (field instanceof protobuf.MapField) return readMap(context, field, value, place);
  if (!field.repeated) return readSingle(context, field, value, place);
  // Envoy reads what is no list as a list of one.
  if (!Array.isArray(value)) return [readSingle(context, field, value, place)];
  return value.map((item, index) => {
    const at = { ...place, path: `${place.path}[${index}]` };
    if (item === null && field.resolvedType?.fullName !== '.google.protobuf.Value') {
      report(context, at.path, 'null is not allowed in a list');
      return undefined;
    }
    return readSingle(context, field, item, at);
  });
}

function readMap(context: Context, field: protobuf.MapField, value: unknown, place: Place): unknown {
  if (!isObject(value)) {
    report(context, place.path, `expected an object (a map), got ${show(value)}`);
    return undefined;
  }
  const map: Json = {};
  for (const [name, item] of Object.entries(value)) {
    const at = { ...place, path: `${place.path}[${JSON.stringify(name)}]` };
    const key = readMapKey(context, field, name, at);
    if (key === undefined) continue;
    if (item === null && field.resolvedType?.fullName !== '.google.protobuf.Value') {
      report(context, at.path, 'null is not allowed in a map');
      continue;
    }
    setOwn(map, key, readSingle(context, field, item, at));
  }
  return map;
}

function readMapKey(context: Context, field: protobuf.MapField, key: string, place: Place): string | undefined {
  if (field.keyType === 'string') return key;
  const leaf = readScalar(field.keyType, key);
  if (leaf.ok) return String(leaf.value);
  report(context, place.path, `invalid map key, expected ${leaf.expected}`);
  return undefined;
}

function readSingle(context: Context, field: protobuf.FieldBase, value: unknown, place: Place): unknown {
  if (field.resolvedType instanceof protobuf.Type) return readMessage(context, field.resolvedType, value, place);
  if (field.resolvedType instanceof protobuf.Enum) return readEnum(context, field.resolvedType, value, place);
  return readLeaf(context, field.type, value, readScalar(field.type, exact(value)), place);
}

function readEnum(context: Context, type: protobuf.Enum, value: unknown, place: Place): number | undefined {
  if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 0x7fffffff) return value;
  if (typeof value === 'string' && /^-?[0-9]{1,9}$/.test(value)) return Number(value);
  const names = Object.keys(type.values);
  if (typeof value === 'string') {
    const name =
      names.find((each) => each === value) ?? names.find((each) => each.toLowerCase() === value.toLowerCase());
    if (name !== undefined) return type.values[name];
  }
  report(
    context,
    place.path,
    `unknown value ${show(value)} of ${type.fullName.slice(1)}, allowed: ${names.join(', ')}`,
  );
  return undefined;
}

function readLeaf(context: Context, kind: string, json: unknown, leaf: Leaf, place: Place): unknown {
  if (leaf.ok) return leaf.value;
  const noun = kind === 'Duration' || kind === 'Timestamp' ? kind.toLowerCase() : 'value';
  report(context, place.path, `invalid ${noun} ${show(json)}, expected ${leaf.expected}`);
  return undefined;
}

function readAny(context: Context, json: unknown, place: Place): object | undefined {
  if (!isObject(json)) {
    report(context, place.path, `expected an object with "@type", got ${show(json)}`);
    return undefined;
  }
  const typeUrl = json['@type'];
  if (typeUrl === undefined && Object.keys(json).length === 0) return {};
  if (typeof typeUrl !== 'string') {
    report(
      context,
      place.path,
      '"@type" is missing: it names the type of this object, as in "type.googleapis.com/NAME"',
    );
    return undefined;
  }
  const typeName = typeNameOf(typeUrl);
  if (!/^[^/].*\//.test(typeUrl)) {
    report(context, `${place.path}.@type`, `${show(typeUrl)} is no type URL, expected "type.googleapis.com/NAME"`);
    return undefined;
  }
  const type = context.schema.find(typeName);
  if (type === undefined) {
    const near = nearest(typeName, context.schema.typeNames());
    report(
      context,
      `${place.path}.@type`,
      `unknown type ${show(typeUrl)}${near === undefined ? '' : `, did you mean ${near}?`}`,
    );
    return undefined;
  }
  const before = context.problems.length;
  const inner = readAnyBody(context, type, json, { path: place.path, depth: place.depth + 1 });
  if (context.problems.length > before || inner === undefined) return undefined;
  return { type_url: typeUrl, value: encodeInner(context, type, inner, place) };
}

function readAnyBody(context: Context, type: protobuf.Type, json: Json, place: Place): object | undefined {
  const { '@type': _, ...rest } = json;
  if (!isWellKnown(type) && type.fullName !== '.google.protobuf.Any') return readMessage(context, type, rest, place);
  const { value, ...others } = rest;
  for (const name of Object.keys(others)) {
    report(
      context,
      below(place, name).path,
      `unknown field: ${type.fullName.slice(1)} in an Any has only "@type" and "value"`,
    );
  }
  return readMessage(context, type, value, below(place, 'value'));
}

function encodeInner(context: Context, type: protobuf.Type, inner: object, place: Place): Uint8Array | undefined {
  try {
    return type.encode(inner).finish();
  } catch (error) {
    report(context, place.path, error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

const fieldIndexes = new WeakMap<protobuf.Type, ReadonlyMap<string, protobuf.Field>>();

/** A type's fields by each name that ProtoJSON knows them by. */
function fieldsByJsonName(type: protobuf.Type): ReadonlyMap<string, protobuf.Field> {
  let index = fieldIndexes.get(type);
  if (index === undefined) {
    index = new Map(
      type.fieldsArray.flatMap((field) => {
        field.resolve();
        return [
          [field.jsonName ?? protobuf.util.camelCase(field.name), field],
          [field.name, field],
        ];
      }),
    );
    fieldIndexes.set(type, index);
  }
  return index;
}
