import protobuf from 'protobufjs';
import { DecodeError } from './schema.js';

const stringWireType = 2;

/**
 * Reads only a message's string field number 1: the name of a Cluster, Listener, RouteConfiguration or ClusterLoadAssignment. '' when it
 * is absent; the last one counts when it comes twice, as in any protobuf decoder.
 *
 * @throws DecodeError when the bytes are not a protobuf message
 */
export function readNameField(bytes: Uint8Array): string {
  const reader = protobuf.Reader.create(bytes);
  let name = '';
  try {
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      if (tag === ((1 << 3) | stringWireType)) name = reader.string();
      else reader.skipType(tag & 7);
    }
  } catch (error) {
    throw new DecodeError(error instanceof Error ? error.message : String(error));
  }
  return name;
}
