import { createHash } from 'node:crypto';

/** One accepted resource, as it came. */
export interface SavedResource {
  /** Which of the bootstrap's sources it came from. */
  readonly source: string;
  readonly typeUrl: string;
  readonly name: string;
  readonly version: string;
  /** The serialized message, without its Any. */
  readonly bytes: Uint8Array;
  readonly acceptedAt: Date;
}

/** Whose configuration it is. Control planes give different nodes different resources. */
export interface SnapshotOwner {
  readonly nodeId: string;
  readonly nodeCluster: string;
}

export interface Snapshot {
  readonly owner: SnapshotOwner;
  readonly savedAt: Date;
  /** `pontoon/0.1.0` */
  readonly writtenBy: string;
  readonly resources: readonly SavedResource[];
}

/** What a file is made from. Resources may be made one at a time, too. */
export type UnsavedSnapshot = Omit<Snapshot, 'resources'> & {
  readonly resources: Iterable<SavedResource> & { readonly length: number };
};

/** A snapshot that can't be used; the message says why, without the file's name. */
export class SnapshotError extends Error {}

/** A file larger than this is neither written nor read, bytes. */
export const largestSnapshot = 256 * 1024 * 1024;
/** Of one resource, bytes: what a stream may bring. */
const largestResource = 64 * 1024 * 1024;

const magic = 'pontoon-snapshot ';
const formatVersion = 1;
const trailerLength = 'sha256:'.length + 64 + 1;
/** Bytes that are put together in one turn. */
const pieceSize = 64 * 1024;
const newline = 0x0a;

/** The bytes of a resource follow its line, and a newline follows them. */
interface ResourceLine {
  readonly source: string;
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly accepted_at: string;
  readonly length: number;
}

interface HeaderLine {
  readonly node_id: string;
  readonly node_cluster: string;
  readonly saved_at: string;
  readonly written_by: string;
  readonly resources: number;
}

/**
 * A snapshot as a file, in pieces that are quick to make one at a time: a line with the format's version, a line of JSON about the whole,
 * for each resource a line of JSON and its bytes, and the SHA-256 of all that. Without its last line a file is not whole.
 *
 * @throws SnapshotError when it would be too large to be read again
 */
export function* encodeSnapshot({ owner, savedAt, writtenBy, resources }: UnsavedSnapshot): Generator<Buffer> {
  const hash = createHash('sha256');
  let total = trailerLength;
  let parts: Uint8Array[] = [];
  let size = 0;
  const add = (part: Uint8Array): void => {
    parts.push(part);
    size += part.length;
  };
  const piece = (): Buffer => {
    const bytes = Buffer.concat(parts, size);
    hash.update(bytes);
    total += size;
    if (total > largestSnapshot) throw new SnapshotError(`is larger than ${largestSnapshot} bytes`);
    parts = [];
    size = 0;
    return bytes;
  };
  const header: HeaderLine = {
    node_id: owner.nodeId,
    node_cluster: owner.nodeCluster,
    saved_at: savedAt.toISOString(),
    written_by: writtenBy,
    resources: resources.length,
  };
  add(Buffer.from(`${magic}${formatVersion}\n${JSON.stringify(header)}\n`));
  for (const { source, typeUrl, name, version, bytes, acceptedAt } of resources) {
    const accepted_at = acceptedAt.toISOString();
    const line: ResourceLine = { source, type: typeUrl, name, version, accepted_at, length: bytes.length };
    add(Buffer.from(`${JSON.stringify(line)}\n`));
    add(bytes);
    add(Buffer.from('\n'));
    if (size >= pieceSize) yield piece();
  }
  yield piece();
  yield Buffer.from(`sha256:${hash.digest('hex')}\n`);
}

/** Whether a file that begins so says that it is a snapshot. */
export function looksLikeSnapshot(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, magic.length)).toString('latin1') === magic;
}

/**
 * The other way round. Resources are views of `file`.
 *
 * @throws SnapshotError for everything but a whole file of a format that is known
 */
export function decodeSnapshot(file: Buffer): Snapshot {
  if (!looksLikeSnapshot(file)) throw new SnapshotError('is not a snapshot');
  const reader = new LineReader(file, magic.length);
  const version = reader.line('its first line');
  if (!/^\d{1,9}$/.test(version)) throw new SnapshotError('is not a snapshot: its first line has no version');
  if (Number(version) !== formatVersion)
    throw new SnapshotError(`has format ${version}, and this version of Pontoon reads format ${formatVersion}`);
  checkWhole(file);
  const body = reader.upTo(file.length - trailerLength);
  const header = body.json<HeaderLine>('its header');
  checkFields(header, { node_id: 'string', node_cluster: 'string', written_by: 'string', resources: 'number' });
  const resources: SavedResource[] = [];
  while (!body.atEnd) resources.push(readResource(body));
  if (resources.length !== header.resources)
    throw new SnapshotError(`has ${resources.length} resources where its header says ${header.resources}`);
  return {
    owner: { nodeId: header.node_id, nodeCluster: header.node_cluster },
    savedAt: readDate(header.saved_at),
    writtenBy: header.written_by,
    resources,
  };
}

function checkWhole(file: Buffer): void {
  const trailer = file.subarray(Math.max(0, file.length - trailerLength)).toString('latin1');
  const said = /^sha256:([0-9a-f]{64})\n$/.exec(trailer)?.[1];
  if (said === undefined) throw new SnapshotError('is not whole: its end is missing');
  const found = createHash('sha256').update(file.subarray(0, -trailerLength)).digest('hex');
  if (found !== said) throw new SnapshotError('is damaged: its checksum does not match');
}

function readResource(body: LineReader): SavedResource {
  const line = body.json<ResourceLine>('a resource');
  checkFields(line, { source: 'string', type: 'string', name: 'string', version: 'string', length: 'number' });
  const { source, type: typeUrl, name, version, length } = line;
  return { source, typeUrl, name, version, acceptedAt: readDate(line.accepted_at), bytes: body.bytes(length) };
}

function checkFields(line: object, types: Readonly<Record<string, 'string' | 'number'>>): void {
  for (const [field, type] of Object.entries(types)) {
    if (typeof (line as Record<string, unknown>)[field] !== type)
      throw new SnapshotError(`is damaged: ${field} is not a ${type}`);
  }
}

function readDate(text: unknown): Date {
  const date = new Date(typeof text === 'string' ? text : Number.NaN);
  if (Number.isNaN(date.getTime())) throw new SnapshotError('is damaged: it has a time that is none');
  return date;
}

class LineReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** What is left before `end`. */
  upTo(end: number): LineReader {
    return new LineReader(this.#bytes.subarray(0, end), this.#at);
  }

  line(what: string): string {
    const end = this.#bytes.indexOf(newline, this.#at);
    if (end < 0) throw new SnapshotError(`is damaged: ${what} has no end`);
    const text = this.#bytes.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  json<T extends object>(what: string): T {
    const text = this.line(what);
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === 'object' && value !== null) return value as T;
    } catch {}
    throw new SnapshotError(`is damaged: ${what} is not JSON`);
  }

  bytes(length: number): Buffer {
    const end = this.#at + length;
    const fits = Number.isSafeInteger(length) && length >= 0 && length <= largestResource;
    if (!fits || this.#bytes[end] !== newline) throw new SnapshotError('is damaged: a resource has another length');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end + 1;
    return bytes;
  }
}
