import jspb from 'google-protobuf';
import anyPb from 'google-protobuf/google/protobuf/any_pb.js';
import durationPb from 'google-protobuf/google/protobuf/duration_pb.js';

const typeUrl = 'type.googleapis.com/envoy.service.discovery.v3.Resource';

/** The Any with envoy.service.discovery.v3.Resource that SotW has around what lives for a time; written by another encoder than the client's. */
export function wrapResource(resource: {
  readonly name: string;
  readonly version: string;
  readonly any?: { readonly type_url: string; readonly value: Uint8Array };
  readonly ttl?: { readonly seconds: number; readonly nanos?: number };
}): { type_url: string; value: Buffer } {
  const { name, version, any, ttl } = resource;
  const writer = new jspb.BinaryWriter();
  writer.writeString(1, version);
  if (any) {
    const message = new anyPb.Any();
    message.setTypeUrl(any.type_url);
    message.setValue(any.value);
    writer.writeMessage(2, message, anyPb.Any.serializeBinaryToWriter);
  }
  writer.writeString(3, name);
  if (ttl) {
    const message = new durationPb.Duration();
    message.setSeconds(ttl.seconds);
    message.setNanos(ttl.nanos ?? 0);
    writer.writeMessage(6, message, durationPb.Duration.serializeBinaryToWriter);
  }
  return { type_url: typeUrl, value: Buffer.from(writer.getResultBuffer()) };
}
