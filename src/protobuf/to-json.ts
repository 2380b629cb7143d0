import protobuf from 'protobufjs';
import protojson from 'protobufjs/ext/protojson.js';
import { isTypedStruct, setOwn, typeNameOf } from './any.js';
import { parseJson } from './parse-json.js';
import { isWellKnown, type Schema } from './schema.js';

/** Nested Anys are decoded one by one, so the decoder's own limit doesn't hold for the whole. */
const MAX_DEPTH = 100;
const REDACTED = '[redacted]';

export interface JsonForm {
  /** Hide what the API marks as sensitive (private keys, passwords, tokens), as Envoy's config dump does. Default: false. */
  readonly redact?: boolean;
}

type Json = Record<string, unknown>;

interface Context {
  readonly schema: Schema;
  readonly redact: boolean;
  /** Whether a field around this one is hidden. */
  readonly hidden: boolean;
  readonly depth: number;
}

/**
 * A serialized message as Envoy's admin prints it: proto field names, defaults left out, Anys expanded with `@type`.
 * What cannot be expanded (an unknown type, bytes that are not of the type) is `{"@type": …, "value": base64}`.
 * https://protobuf.dev/programming-guides/json/
 * @throws DecodeError when the bytes of the outermost message are malformed
 */
export function toJson(schema: Schema, typeName: string, bytes: Uint8Array, form: JsonForm = {}): unknown {
  const context: Context = { schema, redact: form.redact === true, hidden: false, depth: 0 };
  return writeMessage(context, schema.type(typeName), schema.decodeRaw(typeName, bytes));
}

function writeMessage(context: Context, type: protobuf.Type, message: object): unknown {
  if (type.fullName === '.google.protobuf.Any') return writeAny(context, message as AnyMessage);
  if (isWellKnown(type)) return writeWellKnown(context, type, message);
  const json: Json = {};
  for (const field of type.fieldsArray) {
    if (!Object.hasOwn(message, field.name)) continue;
    const value = writeField(context, field, (message as Json)[field.name]);
    if (value !== undefined) json[field.name] = value;
  }
  return context.redact && isTypedStruct(type.fullName.slice(1)) ? redactTypedStruct(context, json) : json;
}

/** A duration or time out of its range has no ProtoJSON form; it is shown with its parts. */
function writeWellKnown(context: Context, type: protobuf.Type, message: object): unknown {
  if (context.hidden) return hide(type.name);
  try {
    return protojson.toJson(type, message);
  } catch {
    return type.toObject(message as protobuf.Message, { longs: String, enums: String, bytes: String, json: true });
  }
}

/** What stands for a hidden well-known value. */
function hide(typeName: string): unknown {
  if (typeName === 'StringValue' || typeName === 'Value') return REDACTED;
  if (typeName === 'BytesValue') return Buffer.from(REDACTED).toString('base64');
  return typeName === 'Struct' ? {} : undefined;
}

function writeField(outer: Context, field: protobuf.Field, value: unknown): unknown {
  if (value === null || value === undefined || isImplicitDefault(field, value)) return undefined;
  const context = outer.redact && field.options?.sensitive === true ? { ...outer, hidden: true } : outer;
  if (field.map) {
    const map: Json = {};
    for (const [key, item] of Object.entries(value)) setOwn(map, mapKey(field, key), writeSingle(context, field, item));
    return Object.keys(map).length > 0 ? map : undefined;
  }
  if (!field.repeated) return writeSingle(context, field, value);
  const items = (value as unknown[]).map((item) => writeSingle(context, field, item));
  return items.length > 0 ? items : undefined;
}

/** Whether a value of a field without presence is the default, which is not written. */
function isImplicitDefault(field: protobuf.Field, value: unknown): boolean {
  if (field.hasPresence || field.repeated || field.map || field.resolvedType instanceof protobuf.Type) return false;
  if (field.type === 'bytes') return (value as Uint8Array).length === 0;
  return typeof value === 'object' ? String(value) === '0' : value === 0 || value === '' || value === false;
}

function mapKey(field: protobuf.Field, key: string): string {
  const { keyType } = field as unknown as protobuf.MapField;
  const unsigned = keyType.startsWith('u') || keyType === 'fixed64';
  return keyType.endsWith('64') ? protobuf.util.longFromKey(key, unsigned).toString() : key;
}

function writeSingle(context: Context, field: protobuf.Field, value: unknown): unknown {
  const type = field.resolvedType;
  if (type instanceof protobuf.Type)
    return writeMessage({ ...context, depth: context.depth + 1 }, type, value as object);
  if (context.hidden)
    return field.type === 'string' ? REDACTED : hide(field.type === 'bytes' ? 'BytesValue' : field.type);
  if (type instanceof protobuf.Enum) return type.valuesById[value as number] ?? value;
  if (field.type === 'bytes') return Buffer.from(value as Uint8Array).toString('base64');
  if (field.type === 'float') return shortestFloat(value as number);
  if (field.type === 'double') return Number.isFinite(value) ? value : String(value);
  return typeof value === 'object' ? String(value) : value;
}

/** The fewest digits that read back as the same 32-bit float. */
function shortestFloat(value: number): number | string {
  if (!Number.isFinite(value)) return String(value);
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

interface AnyMessage {
  readonly type_url?: string;
  readonly value?: Uint8Array;
}

function writeAny(context: Context, any: AnyMessage): unknown {
  const typeUrl = any.type_url ?? '';
  // Absent bytes are an empty plain array on the prototype.
  const bytes = any.value?.length ? any.value : new Uint8Array();
  if (typeUrl === '' && bytes.length === 0) return {};
  const type = context.schema.find(typeNameOf(typeUrl));
  const message =
    type && context.depth < MAX_DEPTH ? decodeOrNothing(context.schema, typeNameOf(typeUrl), bytes) : undefined;
  if (type === undefined || message === undefined) {
    return {
      '@type': typeUrl,
      value: (context.hidden ? Buffer.from(REDACTED) : Buffer.from(bytes)).toString('base64'),
    };
  }
  const body = writeMessage({ ...context, depth: context.depth + 1 }, type, message);
  if (isWellKnown(type) || type.fullName === '.google.protobuf.Any') return { '@type': typeUrl, value: body };
  return { '@type': typeUrl, ...(body as Json) };
}

function decodeOrNothing(schema: Schema, typeName: string, bytes: Uint8Array): object | undefined {
  try {
    return schema.decodeRaw(typeName, bytes);
  } catch {
    return undefined;
  }
}

/** The value of a TypedStruct is hidden by the rules of the message that it stands for, where that is known. */
function redactTypedStruct(context: Context, json: Json): Json {
  const typeName = typeNameOf(String(json.type_url ?? ''));
  if (context.hidden || json.value === undefined || !context.schema.has(typeName)) return json;
  const parsed = parseJson(context.schema, typeName, json.value);
  if (!parsed.ok) return json;
  return { ...json, value: toJson(context.schema, typeName, parsed.bytes, { redact: true }) };
}
