import jspb from 'google-protobuf';
import anyPb from 'google-protobuf/google/protobuf/any_pb.js';
import structPb from 'google-protobuf/google/protobuf/struct_pb.js';
import type { DeltaDiscoveryRequest, DiscoveryRequest, DiscoveryResponse, ErrorDetail, Node } from './discovery.js';
import type { Resource } from './snapshot.js';

// The messages of envoy/service/discovery/v3/discovery.proto, written and read with google-protobuf: another library than the
// one that Pontoon uses, so that the two check each other's bytes. Field numbers are those of the .proto files.

type Writer = InstanceType<typeof jspb.BinaryWriter>;
type Reader = InstanceType<typeof jspb.BinaryReader>;

const identifier = 'pontoon-control-plane-sample';
/** Node metadata beyond this is not kept. */
const maxMetadataBytes = 16_384;

/** Serializes a DiscoveryResponse. */
export function encodeDiscoveryResponse(response: DiscoveryResponse): Buffer {
  return encodeResponse(response, anyField, (writer) => {
    writer.writeString(4, response.typeUrl);
    writer.writeString(5, response.nonce);
    writer.writeMessage(6, identifier, writeControlPlane);
  });
}

/** Serializes a DeltaDiscoveryResponse. */
export function encodeDeltaDiscoveryResponse(response: DiscoveryResponse): Buffer {
  return encodeResponse(response, resourceField, (writer) => {
    writer.writeString(4, response.typeUrl);
    writer.writeString(5, response.nonce);
    writer.writeRepeatedString(6, response.removed);
    writer.writeMessage(7, identifier, writeControlPlane);
  });
}

/** Resources are written once for all clients; only what is around them is a client's own. */
function encodeResponse(
  { version, resources }: DiscoveryResponse,
  field: (resource: Resource) => Uint8Array,
  writeRest: (writer: Writer) => void,
): Buffer {
  const head = written((writer) => writer.writeString(1, version));
  return Buffer.concat([head, ...resources.map(field), written(writeRest)]);
}

function written(write: (writer: Writer) => void): Uint8Array {
  const writer = new jspb.BinaryWriter();
  write(writer);
  return writer.getResultBuffer();
}

/** Field 2 of a response, for as long as the resource is served. */
function oncePerResource(write: (resource: Resource, writer: Writer) => void): (resource: Resource) => Uint8Array {
  const fields = new WeakMap<Resource, Uint8Array>();
  return (resource) => {
    const known = fields.get(resource);
    if (known) return known;
    const field = written((writer) => write(resource, writer));
    fields.set(resource, field);
    return field;
  };
}

const anyField = oncePerResource((resource, writer) => writer.writeMessage(2, pack(resource), writeAny));
const resourceField = oncePerResource((resource, writer) => writer.writeMessage(2, resource, writeResource));

/** Reads a DiscoveryRequest. Throws on bytes that are none. */
export function decodeDiscoveryRequest(bytes: Uint8Array): DiscoveryRequest {
  const request = {
    node: undefined as Node | undefined,
    typeUrl: '',
    versionInfo: '',
    resourceNames: [] as string[],
    responseNonce: '',
    errorDetail: undefined as ErrorDetail | undefined,
  };
  readFields(new jspb.BinaryReader(bytes), {
    1: (reader) => {
      request.versionInfo = reader.readString();
    },
    2: (reader) => {
      request.node = readNode(reader);
    },
    3: (reader) => {
      request.resourceNames.push(reader.readString());
    },
    4: (reader) => {
      request.typeUrl = reader.readString();
    },
    5: (reader) => {
      request.responseNonce = reader.readString();
    },
    6: (reader) => {
      request.errorDetail = readStatus(reader);
    },
  });
  return request;
}

/** Reads a DeltaDiscoveryRequest. Throws on bytes that are none. */
export function decodeDeltaDiscoveryRequest(bytes: Uint8Array): DeltaDiscoveryRequest {
  const request = {
    node: undefined as Node | undefined,
    typeUrl: '',
    versionInfo: '',
    subscribe: [] as string[],
    unsubscribe: [] as string[],
    initialResourceVersions: new Map<string, string>(),
    responseNonce: '',
    errorDetail: undefined as ErrorDetail | undefined,
  };
  readFields(new jspb.BinaryReader(bytes), {
    1: (reader) => {
      request.node = readNode(reader);
    },
    2: (reader) => {
      request.typeUrl = reader.readString();
    },
    3: (reader) => {
      request.subscribe.push(reader.readString());
    },
    4: (reader) => {
      request.unsubscribe.push(reader.readString());
    },
    5: (reader) => {
      const entry = { name: '', version: '' };
      readMessage(reader, {
        1: (inner) => {
          entry.name = inner.readString();
        },
        2: (inner) => {
          entry.version = inner.readString();
        },
      });
      request.initialResourceVersions.set(entry.name, entry.version);
    },
    6: (reader) => {
      request.responseNonce = reader.readString();
    },
    7: (reader) => {
      request.errorDetail = readStatus(reader);
    },
  });
  return request;
}

function pack(resource: Resource): anyPb.Any {
  const any = new anyPb.Any();
  any.pack(resource.bytes, resource.kind.typeName);
  return any;
}

function writeAny(any: anyPb.Any, writer: Writer): void {
  anyPb.Any.serializeBinaryToWriter(any, writer);
}

/** envoy.service.discovery.v3.Resource */
function writeResource(resource: Resource, writer: Writer): void {
  writer.writeString(1, resource.version);
  writer.writeMessage(2, pack(resource), writeAny);
  writer.writeString(3, resource.name);
}

/** envoy.config.core.v3.ControlPlane */
function writeControlPlane(value: string, writer: Writer): void {
  writer.writeString(1, value);
}

type FieldReaders = Readonly<Record<number, (reader: Reader) => void>>;

/** Reads the fields that there is a reader for, and skips the others, as protobuf wants it. */
function readFields(reader: Reader, fields: FieldReaders): void {
  while (reader.nextField() && !reader.isEndGroup()) {
    const read = fields[reader.getFieldNumber()];
    if (read) read(reader);
    else reader.skipField();
  }
}

function readMessage(reader: Reader, fields: FieldReaders): void {
  // The library fills the message that it is given; ours are filled by the field readers.
  reader.readMessage({} as jspb.Message, (_message: unknown, inner: Reader) => readFields(inner, fields));
}

/** envoy.config.core.v3.Node */
function readNode(reader: Reader): Node {
  const node = {
    id: '',
    cluster: '',
    userAgentName: '',
    userAgentVersion: '',
    metadata: {} as Record<string, unknown>,
  };
  readMessage(reader, {
    1: (inner) => {
      node.id = inner.readString();
    },
    2: (inner) => {
      node.cluster = inner.readString();
    },
    3: (inner) => {
      const struct = new structPb.Struct();
      const bytes = inner.readBytes();
      if (bytes.length > maxMetadataBytes) return;
      structPb.Struct.deserializeBinaryFromReader(struct, new jspb.BinaryReader(bytes));
      node.metadata = struct.toJavaScript();
    },
    6: (inner) => {
      node.userAgentName = inner.readString();
    },
    7: (inner) => {
      node.userAgentVersion = inner.readString();
    },
    8: (inner) => {
      node.userAgentVersion = readBuildVersion(inner);
    },
  });
  return node;
}

/** envoy.config.core.v3.BuildVersion: its envoy.type.v3.SemanticVersion as text. */
function readBuildVersion(reader: Reader): string {
  const numbers = [0, 0, 0];
  const set = (index: number) => (inner: Reader) => {
    numbers[index] = inner.readUint32();
  };
  readMessage(reader, { 1: (version) => readMessage(version, { 1: set(0), 2: set(1), 3: set(2) }) });
  return numbers.join('.');
}

/** google.rpc.Status */
function readStatus(reader: Reader): ErrorDetail {
  const status = { code: 0, message: '' };
  readMessage(reader, {
    1: (inner) => {
      status.code = inner.readInt32();
    },
    2: (inner) => {
      status.message = inner.readString();
    },
  });
  return status;
}
