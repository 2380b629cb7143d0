import type { Schema } from './schema.js';

/** A decoded google.protobuf.Any. */
export interface AnyValue {
  readonly type_url: string;
  readonly value: Uint8Array;
}

/** A decoded google.protobuf.Struct. */
export interface StructValue {
  readonly fields?: Readonly<Record<string, ValueValue>> | null;
}

/** A decoded google.protobuf.Value; `kind` names the member that is set. */
export interface ValueValue {
  readonly kind?: string;
  readonly nullValue?: unknown;
  readonly numberValue?: number;
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly structValue?: StructValue | null;
  readonly listValue?: { readonly values?: readonly ValueValue[] | null } | null;
}

export type PlainValue = null | boolean | number | string | PlainValue[] | PlainObject;
export interface PlainObject {
  [name: string]: PlainValue;
}

export type Unpacked<T> =
  | { readonly known: true; readonly typeName: string; readonly message: T }
  | { readonly known: false; readonly typeUrl: string; readonly bytes: Buffer };

/** Whether a message name is one of the two that TypedStruct has had. */
export function isTypedStruct(typeName: string): boolean {
  return typeName === 'xds.type.v3.TypedStruct' || typeName === 'udpa.type.v1.TypedStruct';
}

/** The full message name in a type URL: what follows its last slash. https://protobuf.dev/programming-guides/proto3/#any */
export function typeNameOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

/**
 * Decodes what an Any holds, when its type is known.
 * @throws DecodeError when the type is known and the bytes are not of it
 */
export function unpackAny<T>(schema: Schema, any: AnyValue): Unpacked<T> {
  const typeName = typeNameOf(any.type_url);
  if (schema.has(typeName)) return { known: true, typeName, message: schema.decode<T>(typeName, any.value) };
  return { known: false, typeUrl: any.type_url, bytes: Buffer.from(any.value) };
}

/**
 * The inner type URL and the value of a TypedStruct (xds.type.v3 or udpa.type.v1) in an Any; undefined for any other type.
 * https://github.com/cncf/xds/blob/main/xds/type/v3/typed_struct.proto
 * @throws DecodeError when the bytes are no TypedStruct
 */
export function unpackTypedStruct(schema: Schema, any: AnyValue): { typeUrl: string; value: PlainObject } | undefined {
  const typeName = typeNameOf(any.type_url);
  if (!isTypedStruct(typeName)) return undefined;
  const { type_url, value } = schema.decode<{ type_url: string; value: StructValue | null }>(typeName, any.value);
  return { typeUrl: type_url, value: structToObject(value) };
}

/** A google.protobuf.Struct as the object that it stands for. An absent Struct is `{}`. */
export function structToObject(struct: StructValue | null | undefined): PlainObject {
  const object: PlainObject = {};
  for (const [name, value] of Object.entries(struct?.fields ?? {})) setOwn(object, name, valueToPlain(value));
  return object;
}

/** Sets an own property, also where the name is `__proto__`. */
export function setOwn<V>(object: { [name: string]: V }, name: string, value: V): void {
  if (name === '__proto__') {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true });
  } else object[name] = value;
}

function valueToPlain(value: ValueValue): PlainValue {
  switch (value.kind) {
    case 'numberValue':
      return value.numberValue ?? 0;
    case 'stringValue':
      return value.stringValue ?? '';
    case 'boolValue':
      return value.boolValue ?? false;
    case 'structValue':
      return structToObject(value.structValue);
    case 'listValue':
      return (value.listValue?.values ?? []).map(valueToPlain);
    default:
      return null;
  }
}
