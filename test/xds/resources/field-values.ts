import type protobuf from 'protobufjs';
import type { Schema } from '../../../src/protobuf/schema.js';
import type { FieldRule } from '../../../src/xds/resources/support/rules.js';

const scalars: Readonly<Record<string, unknown>> = { bool: true, bytes: 'YQ==' };

/** JSON of the well-known types, which is not that of their fields. */
const wellKnown: Readonly<Record<string, unknown>> = {
  BoolValue: true,
  StringValue: 'a',
  BytesValue: 'YQ==',
  DoubleValue: 1,
  FloatValue: 1,
  UInt32Value: 1,
  UInt64Value: 1,
  Int32Value: 1,
  Int64Value: 1,
  Duration: '1s',
  Timestamp: '2026-01-01T00:00:00Z',
  Struct: { a: 1 },
  Value: 1,
  ListValue: [1],
  Any: { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '1s' },
};

type Limits = Readonly<Record<string, unknown>>;

const seconds = (limit: unknown) => Number((limit as { seconds?: number | string } | undefined)?.seconds ?? 0);

/** The least value above 0 that the rules of the API allow. */
function leastNumber({ gt, gte, lte }: Limits): number {
  if (gt !== undefined) return Number(gt) + 1;
  return Math.max(Number(gte ?? 1), 1) > Number(lte ?? Number.MAX_VALUE) ? Number(lte) : Math.max(Number(gte ?? 1), 1);
}

function text({ in: allowed, prefix = '', suffix = '' }: Limits): string {
  if (allowed !== undefined) return String(Array.isArray(allowed) ? allowed[0] : allowed);
  return `${prefix}a${suffix}`;
}

const isLeast = (limits: Limits): boolean =>
  ['min_len', 'min_bytes', 'min_items', 'gt', 'gte', 'required'].some((name) => Boolean(limits[name]));

/** A message with what it must have. */
function leastMessage(type: protobuf.Type): object {
  const json: Record<string, unknown> = {};
  for (const field of type.fieldsArray)
    if (!field.partOf && Object.values((field.options?.rules ?? {}) as Record<string, Limits>).some(isLeast))
      json[field.name] = fieldValue(field);
  for (const { options, fieldsArray } of type.oneofsArray) {
    // The first may be a message that holds this one.
    const member = fieldsArray.find((field) => field.resolve().resolvedType === null) ?? fieldsArray[0];
    if (options?.required === true && member) json[member.name] = fieldValue(member);
  }
  return json;
}

function itemValue(field: protobuf.FieldBase, rules: Readonly<Record<string, Limits>>): unknown {
  const type = field.resolve().resolvedType;
  const limits = Object.entries(rules).find(([kind]) => kind !== 'message')?.[1] ?? {};
  if (type === null) {
    if (field.type === 'string') return text(limits);
    return scalars[field.type] ?? leastNumber(limits);
  }
  if ('values' in type) return Object.keys(type.values).find((name) => type.values[name] !== 0);
  if (!type.fullName.startsWith('.google.protobuf.') || !(type.name in wellKnown)) return leastMessage(type);
  if (type.name === 'Duration') return `${Math.max(7, seconds(limits.gte), seconds(limits.gt) + 1)}s`;
  return /Int|Float|Double/.test(type.name) ? leastNumber(limits) : wellKnown[type.name];
}

function fieldValue(field: protobuf.Field): unknown {
  const rules = (field.options?.rules ?? {}) as Readonly<Record<string, Limits>>;
  const item = itemValue(field, field.repeated ? ((rules.repeated?.items as typeof rules) ?? {}) : rules);
  if (field.map) return { a: item };
  return field.repeated ? [item] : item;
}

function fieldOf(schema: Schema, message: string, name: string): protobuf.Field {
  const field = schema.type(message).fields[name];
  if (field === undefined) throw new Error(`${message} has no ${name}`);
  return field;
}

/** Values that a rule is for: those that it names, otherwise one that is not the default. */
export function ruledValues(schema: Schema, message: string, { field, values }: FieldRule): readonly unknown[] {
  return values ?? [fieldValue(fieldOf(schema, message, field))];
}

/** Values of a field of which one is not what it has when it is not set. */
export function valuesFor(schema: Schema, message: string, name: string): readonly unknown[] {
  const field = fieldOf(schema, message, name);
  const type = field.resolve().resolvedType;
  if (type && 'values' in type) return Object.keys(type.values);
  if (field.type === 'bool' || type?.name === 'BoolValue') return [true, false];
  const value = fieldValue(field);
  return typeof value === 'number' ? [value, value + 1] : [value];
}
