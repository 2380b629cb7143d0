import protobuf from 'protobufjs';
import { isTypedStruct, typeNameOf } from './any.js';
import { parseJson } from './parse-json.js';
import type { Schema } from './schema.js';
import { toJson } from './to-json.js';

const REDACTED = '[redacted]';
/** As deep as messages are decoded. */
const MAX_DEPTH = 100;

interface Context {
  readonly schema: Schema;
  /** Whether a field around this one is hidden. */
  readonly hidden: boolean;
  readonly depth: number;
}

type Fields = Record<string, unknown>;

/**
 * A serialized message without what the API marks as sensitive (private keys, passwords, tokens): texts and bytes became `[redacted]`, other
 * values are left out, as Envoy's config dump has it. A message with nothing to hide is given back as it came, byte for byte.
 *
 * @throws DecodeError when the bytes of the outermost message are malformed
 */
export function redact(schema: Schema, typeName: string, bytes: Uint8Array): Uint8Array {
  const message = schema.decodeRaw(typeName, bytes);
  const type = schema.type(typeName);
  return redactMessage({ schema, hidden: false, depth: 0 }, type, message) ? type.encode(message).finish() : bytes;
}

/** Changes the message in place. Returns whether there was something to hide. */
function redactMessage(context: Context, type: protobuf.Type, message: object): boolean {
  if (context.depth > MAX_DEPTH) return false;
  const fields = message as Fields;
  if (type.fullName === '.google.protobuf.Any') return redactAny(context, fields);
  if (context.hidden && type.fullName === '.google.protobuf.Struct') return replace(fields, { fields: {} });
  if (context.hidden && type.fullName === '.google.protobuf.Value') return replace(fields, { stringValue: REDACTED });
  let changed = isTypedStruct(type.fullName.slice(1)) && redactTypedStruct(context, fields);
  for (const field of type.fieldsArray) {
    if (Object.hasOwn(fields, field.name) && redactField(context, field, fields)) changed = true;
  }
  return changed;
}

function replace(fields: Fields, by: Fields): true {
  for (const name of Object.keys(fields)) delete fields[name];
  Object.assign(fields, by);
  return true;
}

function redactField(outer: Context, field: protobuf.Field, fields: Fields): boolean {
  const value = fields[field.name];
  if (value === null || value === undefined) return false;
  const sensitive = field.options?.sensitive === true;
  const context = { ...outer, hidden: outer.hidden || sensitive, depth: outer.depth + 1 };
  const type = field.resolvedType;
  if (type instanceof protobuf.Type) {
    const items = field.map || field.repeated ? Object.values(value) : [value];
    // Every one of them, whatever became of the first.
    return items.map((item) => redactMessage(context, type, item as object)).some((changed) => changed);
  }
  if (!context.hidden) return false;
  const hide = field.type === 'string' ? REDACTED : field.type === 'bytes' ? Buffer.from(REDACTED) : undefined;
  if (hide === undefined) delete fields[field.name];
  else if (field.map) for (const key of Object.keys(value)) (value as Fields)[key] = hide;
  else fields[field.name] = field.repeated ? (value as unknown[]).map(() => hide) : hide;
  return true;
}

/** What is inside an Any of an unknown type can't be told apart: as a whole it is hidden, or not. */
function redactAny({ schema, hidden, depth }: Context, any: Fields): boolean {
  const typeName = typeNameOf(String(any.type_url ?? ''));
  const bytes = any.value as Uint8Array | undefined;
  if (!bytes?.length) return false;
  const type = schema.find(typeName);
  const message = type && decodeOrNothing(schema, typeName, bytes);
  if (type === undefined || message === undefined) {
    if (hidden) any.value = Buffer.from(REDACTED);
    return hidden;
  }
  const changed = redactMessage({ schema, hidden, depth: depth + 1 }, type, message);
  if (changed) any.value = type.encode(message).finish();
  return changed;
}

function decodeOrNothing(schema: Schema, typeName: string, bytes: Uint8Array): object | undefined {
  try {
    return schema.decodeRaw(typeName, bytes);
  } catch {
    return undefined;
  }
}

/** The value of a TypedStruct is hidden by the rules of the message that it stands for, where that is known. */
function redactTypedStruct({ schema }: Context, fields: Fields): boolean {
  const typeName = typeNameOf(String(fields.type_url ?? ''));
  if (!fields.value || !schema.has(typeName)) return false;
  const structType = schema.type('google.protobuf.Struct');
  const asJson = toJson(schema, structType.fullName.slice(1), structType.encode(fields.value).finish());
  const parsed = parseJson(schema, typeName, asJson);
  if (!parsed.ok) return false;
  const shown = toJson(schema, typeName, parsed.bytes, { redact: true });
  if (JSON.stringify(shown) === JSON.stringify(toJson(schema, typeName, parsed.bytes))) return false;
  const struct = parseJson(schema, 'google.protobuf.Struct', shown);
  fields.value = structType.decode(struct.ok ? struct.bytes : new Uint8Array());
  return true;
}
