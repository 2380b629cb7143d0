import type { BridgeConfig } from '../../model/cluster.js';

/**
 * A plugin_config as a serialized google.protobuf.Any, which is what a library gets; without one it is empty, as in Envoy.
 * https://protobuf.dev/programming-guides/encoding/
 */
export function serializeAny({ typeUrl, value }: BridgeConfig['pluginConfig']): Buffer {
  return Buffer.concat([field(1, Buffer.from(typeUrl)), field(2, Buffer.from(value))]);
}

function field(number: number, bytes: Buffer): Buffer {
  if (bytes.length === 0) return bytes;
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}
