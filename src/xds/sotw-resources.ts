import { type Any, wrappedResourceType } from './discovery.js';
import { readWrappedResource, type UnreadMessages } from './response-reader.js';
import {
  type Holder,
  type RawResources,
  type ReceivedResource,
  type ReceivedResources,
  readOr,
  timeToLive,
  unwrap,
} from './subscription.js';

/**
 * The resources of a state-of-the-world response. Most of them are held already, because it repeats all there is: those are recognised where
 * they are in the response, and nothing is made of them.
 */
export class SotwResources implements ReceivedResources {
  readonly #unread: UnreadMessages<Any>;
  readonly #version: string;
  #typeUrl = '';
  /** How an Any of that type begins, up to the length of its value. */
  #beginning: Uint8Array | undefined;

  constructor(unread: UnreadMessages<Any>, version: string) {
    this.#unread = unread;
    this.#version = version;
  }

  get length(): number {
    return this.#unread.length;
  }

  get raw(): RawResources {
    return this.#unread;
  }

  /** Where its value starts, if it is an Any of that type in the usual form. */
  #valueStart(index: number, end: number, typeUrl: string): number | undefined {
    if (typeUrl !== this.#typeUrl) {
      this.#typeUrl = typeUrl;
      this.#beginning = beginningOfAny(typeUrl);
    }
    const { bytes } = this.#unread;
    return this.#beginning && valueStart(bytes, this.#unread.start(index), end, this.#beginning);
  }

  at(index: number): ReceivedResource | undefined {
    if (index >= this.length) return undefined;
    return readOr(() => unpackResource(this.#unread.read(index), this.#version));
  }

  repeats<H extends Holder>(index: number, typeUrl: string, held: (name: string) => H | undefined): H | undefined {
    const { bytes } = this.#unread;
    const end = this.#unread.end(index);
    const start = this.#valueStart(index, end, typeUrl);
    const name = start === undefined ? undefined : guessName(bytes, start, end);
    const found = name === undefined ? undefined : held(name);
    const known = found?.accepted?.bytes;
    if (!known || start === undefined || known.length !== end - start) return undefined;
    return bytes.compare(known, 0, known.length, start, end) === 0 ? found : undefined;
  }
}

const lengthDelimited = 2;
const field1 = (1 << 3) | lengthDelimited;
const field2 = (2 << 3) | lengthDelimited;
/** The longest that one byte says. */
const longestShort = 127;

/** An Any with its fields in their order, as encoders write it: https://protobuf.dev/programming-guides/encoding/ */
function beginningOfAny(typeUrl: string): Uint8Array | undefined {
  const text = Buffer.from(typeUrl);
  if (text.length > longestShort) return undefined;
  return Buffer.concat([Buffer.of(field1, text.length), text, Buffer.of(field2)]);
}

/** Where the value of an Any starts that is its last field; undefined: it has another form. */
function valueStart(bytes: Buffer, start: number, end: number, beginning: Uint8Array): number | undefined {
  for (let index = 0; index < beginning.length; index++) {
    if (bytes[start + index] !== beginning[index]) return undefined;
  }
  let pos = start + beginning.length;
  let length = 0;
  for (let factor = 1; factor < 2 ** 32; factor *= 128) {
    const byte = bytes[pos++] ?? 0;
    length += (byte & 127) * factor;
    if (byte < 128) return pos + length === end ? pos : undefined;
  }
  return undefined;
}

/**
 * The short string that a message begins with, if it has one as field 1: in all likelihood its name. Somewhere in `bytes`, between `start` and
 * `end`.
 */
function guessName(bytes: Buffer, start: number, end: number): string | undefined {
  const length = bytes[start + 1];
  if (bytes[start] !== field1 || length === undefined || length > longestShort) return undefined;
  return bytes.toString('utf8', start + 2, Math.min(start + 2 + length, end));
}

function unpackResource(any: Any, version: string): ReceivedResource {
  if (any.type_url !== `type.googleapis.com/${wrappedResourceType}`) {
    return {
      name: undefined,
      version,
      body: { kind: 'message', typeUrl: any.type_url, bytes: any.value },
    };
  }
  try {
    const wrapped = readWrappedResource(any.value);
    return { name: wrapped.name, version, ttlMs: timeToLive(wrapped), body: unwrap(wrapped) };
  } catch (error) {
    const problem = `the ${wrappedResourceType} around it cannot be decoded: ${String(error)}`;
    return { name: undefined, version, body: { kind: 'malformed', problem } };
  }
}
