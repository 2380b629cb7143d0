import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import protobuf from 'protobufjs';
import { asBuffer } from '../as-buffer.js';
import { packageFolder } from '../own-files.js';
import { type Definition, definitionsIn, definitionsOf } from './definitions.js';
import { createTypeRegistry } from './type-registry.js';

/** Bytes that are no message of the type that they claim, or that would decode to more than a message may hold. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
}

/** A plain object that does not fit the message type that it was to be encoded as. */
export class EncodeError extends Error {
  override readonly name = 'EncodeError';
}

/**
 * The message types of Envoy's v3 API, of xds, udpa and of this project.
 *
 * Plain objects have the field names of the proto files, enums as names (unknown numbers stay numbers), 64-bit integers
 * as strings, bytes as Buffers (views of the decoded bytes: they keep the whole alive), `[]`, `{}` and zero values for
 * what is absent, `null` for absent messages, and per oneof a property with the name of the member that is set.
 */
export interface Schema {
  /** Whether a full name, as in `envoy.config.cluster.v3.Cluster`, is a known message type. */
  has(typeName: string): boolean;
  /** @throws DecodeError for malformed bytes, nesting deeper than 100 messages, or a message of unreasonable size in memory */
  decode<T>(typeName: string, bytes: Uint8Array): T;
  /** @throws EncodeError for values that the type cannot hold. Absent, undefined and null fields are left out. */
  encode(typeName: string, plain: object): Buffer;
  /** Decodes without the conversion to plain values: only what is set is an own property. @throws DecodeError as `decode` */
  decodeRaw(typeName: string, bytes: Uint8Array): protobuf.Message;
  /** The reflected type, for the readers of this folder. @throws Error when there is none */
  type(typeName: string): protobuf.Type;
  /** Like `type`, or undefined. */
  find(typeName: string): protobuf.Type | undefined;
  /** The full names of all message types. */
  typeNames(): Iterable<string>;
  /**
   * The named messages and services with all that they refer to, as the plain JSON that `fromJSON` of @grpc/proto-loader
   * takes. (It makes descriptors of all that it gets, which takes seconds for the whole API.) @throws Error for unknown names
   */
  subset(names: readonly string[]): protobuf.INamespace;
}

/**
 * The most object slots (fields of all messages, set or not) that one decoded message may take; a slot is some 8 bytes.
 * Two bytes on the wire can become a message with 80 fields: without a bound, 4 MiB would become gigabytes.
 * An EDS resource with 100,000 endpoints takes some 5 million.
 */
const MAX_SLOTS = 16_000_000;

const conversion: protobuf.IConversionOptions = {
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
};

interface BudgetedReader extends protobuf.Reader {
  slots: number;
  discardUnknown: boolean;
}

/** Charges every nested message to the reader's budget before it is decoded. */
function chargeSlots(type: protobuf.Type): void {
  const setup = type.setup;
  type.setup = function setupCharged(this: protobuf.Type): protobuf.Type {
    setup.call(this);
    const decode = this.decode as (reader: BudgetedReader, ...rest: unknown[]) => protobuf.Message;
    const cost = this.fieldsArray.length + 8;
    this.decode = ((reader: BudgetedReader, length: unknown, group: unknown, depth: unknown, into: unknown) => {
      reader.slots -= cost;
      if (reader.slots < 0) throw new Error(`the message is too large in memory (over ${MAX_SLOTS} fields)`);
      return decode.call(this, reader, length, group, depth, into);
    }) as protobuf.Type['decode'];
    return this;
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function decodeType(type: protobuf.Type, bytes: Uint8Array): protobuf.Message {
  const buffer = asBuffer(bytes);
  const reader = protobuf.Reader.create(buffer) as BudgetedReader;
  reader.slots = MAX_SLOTS;
  reader.discardUnknown = true;
  return type.decode(reader);
}

function guarded<R>(typeName: string, decode: () => R): R {
  try {
    return decode();
  } catch (error) {
    throw new DecodeError(`not a valid ${typeName}: ${messageOf(error)}`, { cause: error });
  }
}

const wellKnownTypes = new Set(
  ['Duration', 'Timestamp', 'FieldMask', 'Struct', 'ListValue', 'Value', 'DoubleValue', 'FloatValue', 'Int64Value']
    .concat(['UInt64Value', 'Int32Value', 'UInt32Value', 'BoolValue', 'StringValue', 'BytesValue'])
    .map((name) => `.google.protobuf.${name}`),
);

/** Whether ProtoJSON writes messages of this type in a form of its own (Any not counted). */
export function isWellKnown(type: protobuf.Type): boolean {
  return type.parent?.name === 'protobuf' && wellKnownTypes.has(type.fullName);
}

/**
 * A schema from protobufjs' JSON format.
 * @param json all references between types in it are absolute (they begin with a dot)
 */
export const createSchema = (json: protobuf.INamespace): Schema => schemaOf(definitionsOf(json));

function schemaOf(definitions: Iterable<Definition>): Schema {
  const types = createTypeRegistry(definitions, chargeSlots);
  const typeOf = (typeName: string): protobuf.Type => {
    const type = types.find(typeName);
    if (type === undefined) throw new Error(`unknown message type ${typeName}`);
    return type;
  };
  return {
    has: types.has,
    find: types.find,
    typeNames: types.names,
    subset: types.subset,
    type: typeOf,
    decodeRaw: (typeName, bytes) => guarded(typeName, () => decodeType(typeOf(typeName), bytes)),
    decode<T>(typeName: string, bytes: Uint8Array): T {
      const type = typeOf(typeName);
      return guarded(typeName, () => type.toObject(decodeType(type, bytes), conversion) as T);
    },
    encode(typeName, plain) {
      const type = typeOf(typeName);
      try {
        return Buffer.from(type.encode(type.fromObject(plain)).finish());
      } catch (error) {
        throw new EncodeError(`cannot be encoded as ${typeName}: ${messageOf(error)}`, { cause: error });
      }
    },
  };
}

let loaded: Schema | undefined;

/** The schema that the build wrote to `dist/schema.txt`. It is read once per process and never changes. */
export function loadSchema(): Schema {
  loaded ??= schemaOf(definitionsIn(readFileSync(join(packageFolder, 'dist', 'schema.txt'))));
  return loaded;
}
