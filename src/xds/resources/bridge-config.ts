import type { BridgeConfig } from '../../model/cluster.js';
import { type PlainValue, typeNameOf, unpackTypedStruct } from '../../protobuf/any.js';
import type { Config__Output } from '../../protobuf/generated/envoy/extensions/upstreams/http/tcp/golang/v3alpha/Config.js';
import { toJson } from '../../protobuf/json.js';
import { DecodeError, type Schema } from '../../protobuf/schema.js';
import { join } from './findings.js';
import { type Context, readExtension } from './translate.js';

interface AnyMessage {
  readonly type_url: string;
  readonly value: Uint8Array;
}

/** JSON with sorted keys. A Struct's numbers are doubles, which JSON writes exactly. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value as Record<string, PlainValue>)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`);
    return `{${members.join(',')}}`;
  }
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : (JSON.stringify(value) ?? 'null');
}

/** @throws DecodeError when the type is known and the value is not of it */
function canonicalForm(schema: Schema, any: AnyMessage): string {
  const struct = unpackTypedStruct(schema, any);
  if (struct !== undefined) return `struct ${struct.typeUrl} ${canonicalJson(struct.value)}`;
  const typeName = typeNameOf(any.type_url);
  if (schema.has(typeName)) return `message ${typeName} ${canonicalJson(toJson(schema, typeName, any.value))}`;
  return `bytes ${any.type_url} ${Buffer.from(any.value).toString('base64')}`;
}

function readPluginConfig(context: Context, any: AnyMessage | null, path: string): BridgeConfig['pluginConfig'] {
  if (any === null) return { typeUrl: '', value: new Uint8Array(), canonical: '' };
  try {
    // A copy: the decoded bytes are a view that would keep the whole response alive.
    const value = Buffer.from(any.value);
    return {
      typeUrl: any.type_url,
      value,
      canonical: canonicalForm(context.schema, any),
    };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    context.findings.malformed.push({ path, message: error.message });
    return { typeUrl: any.type_url, value: any.value, canonical: '' };
  }
}

/** `any` is the bridge's configuration, as it is or as a TypedStruct. */
export function readBridgeConfig(context: Context, any: AnyMessage, path: string): BridgeConfig | undefined {
  const config = readExtension<Config__Output>(context, any, path);
  if (config === undefined) return undefined;
  return {
    libraryId: config.library_id,
    libraryPath: config.library_path,
    pluginName: config.plugin_name,
    pluginConfig: readPluginConfig(context, config.plugin_config, join(path, 'plugin_config')),
  };
}
