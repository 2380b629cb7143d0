import { typeNameOf, unpackTypedStruct } from '../protobuf/any.js';
import { toJson } from '../protobuf/json.js';
import type { Schema } from '../protobuf/schema.js';

/**
 * A plugin_config as plain data: a TypedStruct as the object of its Struct, another known message as ProtoJSON.
 *
 * @throws Error for a type that the schema does not have, and for bytes that are none of it
 */
export function unpackPluginConfig(schema: Schema, typeUrl: string, value: Uint8Array): unknown {
  const any = { type_url: typeUrl, value };
  const struct = unpackTypedStruct(schema, any);
  if (struct !== undefined) return struct.value;
  const typeName = typeNameOf(typeUrl);
  if (!schema.has(typeName)) {
    throw new Error(`plugin_config: ${typeUrl} is not a known type; use xds.type.v3.TypedStruct, or read the bytes`);
  }
  return toJson(schema, typeName, value);
}
