import protobuf from 'protobufjs';
import { asBuffer } from '../as-buffer.js';
import type { DurationValue } from '../protobuf/duration.js';
import { DecodeError } from '../protobuf/schema.js';
import type { Any, DeltaDiscoveryResponse, DiscoveryResponse, WrappedResource } from './discovery.js';

/** More resources than this in one response are no configuration: two bytes each would make gigabytes of objects. */
const mostResources = 1_000_000;

const [varint, fixed64, lengthDelimited, fixed32] = [0, 1, 2, 5];

type Fields<T> = { -readonly [K in keyof T]: T[K] };

/** Readers of a message's fields by their tags. What nobody reads is skipped. */
type FieldReaders<T> = Readonly<Record<number, (reader: protobuf.Reader, into: T) => void>>;

const tag = (field: number): number => (field << 3) | lengthDelimited;

function readFields<T>(reader: protobuf.Reader, end: number, readers: FieldReaders<T>, into: T): T {
  while (reader.pos < end) {
    const key = reader.uint32();
    const read = readers[key];
    if (read) read(reader, into);
    else skip(reader, key);
  }
  if (reader.pos !== end) throw new RangeError(`a field goes beyond its message, which ends at ${end}`);
  return into;
}

function skip(reader: protobuf.Reader, key: number): void {
  const wireType = key & 7;
  if (key >>> 3 === 0) throw new RangeError('field number 0');
  if (![varint, fixed64, lengthDelimited, fixed32].includes(wireType)) throw new RangeError(`wire type ${wireType}`);
  reader.skipType(wireType);
}

/** The length of a message in it, as the place where it ends. */
function endOf(reader: protobuf.Reader): number {
  const length = reader.uint32();
  if (length > reader.len - reader.pos) throw new RangeError(`a message of ${length} bytes goes beyond the end`);
  return reader.pos + length;
}

function readWhole<T>(typeName: string, bytes: Uint8Array, readers: FieldReaders<T>, into: T): T {
  try {
    const reader = protobuf.Reader.create(asBuffer(bytes));
    return readFields(reader, reader.len, readers, into);
  } catch (error) {
    throw new DecodeError(`not a valid ${typeName}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const anyFields: FieldReaders<Fields<Any>> = {
  [tag(1)]: (reader, any) => {
    any.type_url = reader.string();
  },
  [tag(2)]: (reader, any) => {
    any.value = reader.bytes();
  },
};

const nothing = new Uint8Array();

const readAny = (reader: protobuf.Reader, into: Fields<Any>): Any => readFields(reader, endOf(reader), anyFields, into);

const durationFields: FieldReaders<Fields<DurationValue>> = {
  [(1 << 3) | varint]: (reader, duration) => {
    duration.seconds = Number(reader.int64());
  },
  [(2 << 3) | varint]: (reader, duration) => {
    duration.nanos = reader.int32();
  },
};

type Wrapped = Fields<WrappedResource> & { aliases: string[] };

const wrappedFields: FieldReaders<Wrapped> = {
  [tag(1)]: (reader, wrapped) => {
    wrapped.version = reader.string();
  },
  [tag(2)]: (reader, wrapped) => {
    wrapped.resource = readAny(reader, wrapped.resource ?? emptyAny());
  },
  [tag(3)]: (reader, wrapped) => {
    wrapped.name = reader.string();
  },
  [tag(4)]: (reader, wrapped) => {
    wrapped.aliases.push(reader.string());
  },
  [tag(6)]: (reader, wrapped) => {
    const ttl = (wrapped.ttl as Fields<DurationValue> | null) ?? { seconds: 0, nanos: 0 };
    wrapped.ttl = readFields(reader, endOf(reader), durationFields, ttl);
  },
};

const emptyWrapped = (): Wrapped => ({ name: '', aliases: [], version: '', resource: null, ttl: null });

/**
 * envoy.service.discovery.v3.Resource. The value in it is a view of `bytes`.
 * @throws DecodeError for bytes that are no such message
 */
export function readWrappedResource(bytes: Uint8Array): WrappedResource {
  return readWhole('envoy.service.discovery.v3.Resource', bytes, wrappedFields, emptyWrapped());
}

/** The messages of one field, which are read when somebody asks for them. Until then they are two numbers each. */
export class UnreadMessages<T> {
  /** The whole that they are in. */
  readonly bytes: Buffer;
  readonly #readers: FieldReaders<Fields<T>>;
  readonly #empty: () => Fields<T>;
  /** Where they start and end, by turns. */
  readonly #places: number[] = [];

  constructor(bytes: Buffer, readers: FieldReaders<Fields<T>>, empty: () => Fields<T>) {
    this.bytes = bytes;
    this.#readers = readers;
    this.#empty = empty;
  }

  get length(): number {
    return this.#places.length / 2;
  }

  /** Takes the next one without looking into it. */
  add(reader: protobuf.Reader): void {
    if (this.length >= mostResources) throw new RangeError(`more than ${mostResources} resources`);
    const end = endOf(reader);
    this.#places.push(reader.pos, end);
    reader.pos = end;
  }

  /** Where its fields start in `bytes`. */
  start(index: number): number {
    return this.#places[2 * index] as number;
  }

  end(index: number): number {
    return this.#places[2 * index + 1] as number;
  }

  /** @throws DecodeError for bytes that are no such message */
  read(index: number): T {
    const bytes = this.bytes.subarray(this.start(index), this.end(index));
    return readWhole('resource', bytes, this.#readers, this.#empty());
  }
}

/** A response whose resources were not looked at yet. */
export type UnreadResponse<R, T> = Omit<R, 'resources'> & { readonly resources: UnreadMessages<T> };

type Filled<R, T> = Fields<Omit<R, 'resources'>> & { readonly resources: UnreadMessages<T> };

const emptyAny = (): Fields<Any> => ({ type_url: '', value: nothing });

const responseFields: FieldReaders<Filled<DiscoveryResponse, Any>> = {
  [tag(1)]: (reader, response) => {
    response.version_info = reader.string();
  },
  [tag(2)]: (reader, response) => {
    response.resources.add(reader);
  },
  [tag(4)]: (reader, response) => {
    response.type_url = reader.string();
  },
  [tag(5)]: (reader, response) => {
    response.nonce = reader.string();
  },
};

/**
 * Reads no more than what is around the resources, which are views of `bytes` once they are read.
 * @throws DecodeError for bytes that are no such message
 */
export function readDiscoveryResponse(bytes: Uint8Array): UnreadResponse<DiscoveryResponse, Any> {
  const resources = new UnreadMessages(asBuffer(bytes), anyFields, emptyAny);
  const empty = { version_info: '', resources, type_url: '', nonce: '' };
  return readWhole('envoy.service.discovery.v3.DiscoveryResponse', bytes, responseFields, empty);
}

/** The strings of one field, each read when it is its turn. */
export class UnreadStrings implements Iterable<string> {
  readonly #bytes: Buffer;
  /** Where they start and end, by turns. */
  readonly #places: number[] = [];

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  add(reader: protobuf.Reader): void {
    if (this.#places.length >= 2 * mostResources) throw new RangeError(`more than ${mostResources} resources`);
    const end = endOf(reader);
    this.#places.push(reader.pos, end);
    reader.pos = end;
  }

  *[Symbol.iterator](): Iterator<string> {
    for (let index = 0; index < this.#places.length; index += 2)
      yield this.#bytes.toString('utf8', this.#places[index], this.#places[index + 1]);
  }
}

type DeltaResponse = Omit<DeltaDiscoveryResponse, 'removed_resources'> & { readonly removed: UnreadStrings };

const deltaFields: FieldReaders<Filled<DeltaResponse, WrappedResource>> = {
  [tag(1)]: (reader, response) => {
    response.system_version_info = reader.string();
  },
  [tag(2)]: (reader, response) => {
    response.resources.add(reader);
  },
  [tag(4)]: (reader, response) => {
    response.type_url = reader.string();
  },
  [tag(5)]: (reader, response) => {
    response.nonce = reader.string();
  },
  [tag(6)]: (reader, response) => {
    response.removed.add(reader);
  },
};

/** As `readDiscoveryResponse`. @throws DecodeError for bytes that are no such message */
export function readDeltaDiscoveryResponse(bytes: Uint8Array): UnreadResponse<DeltaResponse, WrappedResource> {
  const readers = wrappedFields as FieldReaders<Fields<WrappedResource>>;
  const resources = new UnreadMessages<WrappedResource>(asBuffer(bytes), readers, emptyWrapped);
  const empty = {
    system_version_info: '',
    resources,
    type_url: '',
    removed: new UnreadStrings(asBuffer(bytes)),
    nonce: '',
  };
  return readWhole('envoy.service.discovery.v3.DeltaDiscoveryResponse', bytes, deltaFields, empty);
}
