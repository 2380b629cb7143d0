/**
 * What must be known of a shared library before it is opened: for which machine it is, what it exports, what it needs. Read from the dynamic segment, which is what
 * the loader goes by (System V gABI, chapter 5: https://gabi.xinuos.com/). The file is not trusted: every offset is checked, every loop has a bound.
 */
export interface ElfLibrary {
  /** 32 or 64. */
  readonly bits: number;
  readonly littleEndian: boolean;
  /** `e_machine`. */
  readonly machine: number;
  /** Names of the functions that it defines for others. */
  readonly functions: ReadonlySet<string>;
  /** Versions that it needs of other libraries, such as `GLIBC_2.34`. */
  readonly neededVersions: readonly string[];
}

/** The file is no shared library that could be opened; the message is for people. */
export class ElfError extends Error {}

const sharedObject = 3;
const segment = { load: 1, dynamic: 2 } as const;
const tag = {
  hash: 4,
  stringTable: 5,
  symbolTable: 6,
  stringSize: 10,
  gnuHash: 0x6ffffef5,
  versionNeed: 0x6ffffffe,
  versionNeedCount: 0x6fffffff,
} as const;
const mostSegments = 256;
const mostDynamicEntries = 4096;
const mostSymbols = 1 << 20;
const mostVersions = 4096;
const longestName = 4096;
const symbolSize = 24;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

/** Reads what `ElfLibrary` tells. Throws an ElfError. Of 32-bit and big-endian files only the header is read: none can be opened here. */
export function readElf(file: Buffer): ElfLibrary {
  try {
    return read(file);
  } catch (error) {
    if (error instanceof RangeError) throw new ElfError('it is damaged: it points outside of itself');
    throw error;
  }
}

function read(file: Buffer): ElfLibrary {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46) throw new ElfError('it is not an ELF file');
  const bits = file[4] === 1 ? 32 : 64;
  const littleEndian = file[5] === 1;
  const machine = littleEndian ? file.readUInt16LE(18) : file.readUInt16BE(18);
  const header = { bits, littleEndian, machine };
  if (bits !== 64 || !littleEndian) return { ...header, functions: new Set(), neededVersions: [] };
  if (file.readUInt16LE(16) !== sharedObject) throw new ElfError('it is not a shared library (ET_DYN)');
  const segments = readSegments(file);
  const dynamic = readDynamic(file, segments);
  const strings = stringTable(file, segments, dynamic);
  return {
    ...header,
    functions: readFunctions(file, segments, dynamic, strings),
    neededVersions: readVersions(file, segments, dynamic, strings),
  };
}

/** 64 bits as a number. Throws a RangeError when it can't be an offset in any file. */
function word(file: Buffer, at: number): number {
  const value = file.readBigUInt64LE(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError('out of range');
  return Number(value);
}

function readSegments(file: Buffer): Segment[] {
  const offset = word(file, 32);
  const size = file.readUInt16LE(54);
  const count = file.readUInt16LE(56);
  if (size < 56 || count > mostSegments) throw new ElfError('its program headers are out of all bounds');
  return Array.from({ length: count }, (_, i) => {
    const at = offset + i * size;
    return {
      type: file.readUInt32LE(at),
      offset: word(file, at + 8),
      address: word(file, at + 16),
      size: word(file, at + 32),
    };
  });
}

/** Tag → value; of tags that come more than once the last. */
function readDynamic(file: Buffer, segments: readonly Segment[]): Map<number, number> {
  const dynamic = segments.find(({ type }) => type === segment.dynamic);
  if (dynamic === undefined) throw new ElfError('it has no dynamic segment');
  const entries = new Map<number, number>();
  for (let i = 0; i < Math.min(dynamic.size / 16, mostDynamicEntries); i++) {
    const at = dynamic.offset + i * 16;
    const name = file.readBigUInt64LE(at);
    if (name === 0n) break;
    // Tags and values that are no small numbers mean nothing here.
    const value = file.readBigUInt64LE(at + 8);
    if (name <= 0xffffffffn && value <= BigInt(Number.MAX_SAFE_INTEGER)) entries.set(Number(name), Number(value));
  }
  return entries;
}

/** Where in the file the byte is that gets this address in memory. */
function offsetOf(segments: readonly Segment[], address: number | undefined): number | undefined {
  if (address === undefined) return undefined;
  const home = segments.find(
    (each) => each.type === segment.load && address >= each.address && address < each.address + each.size,
  );
  if (home === undefined) throw new RangeError('out of range');
  return address - home.address + home.offset;
}

function stringTable(
  file: Buffer,
  segments: readonly Segment[],
  dynamic: Map<number, number>,
): (offset: number) => string {
  const start = offsetOf(segments, dynamic.get(tag.stringTable));
  const size = dynamic.get(tag.stringSize);
  if (start === undefined || size === undefined) throw new ElfError('it has no dynamic symbols');
  const table = file.subarray(start, start + size);
  return (offset) => {
    const end = table.indexOf(0, offset);
    if (offset >= table.length || end < 0 || end - offset > longestName) throw new RangeError('out of range');
    return table.toString('latin1', offset, end);
  };
}

function readFunctions(
  file: Buffer,
  segments: readonly Segment[],
  dynamic: Map<number, number>,
  strings: (offset: number) => string,
): Set<string> {
  const functions = new Set<string>();
  const start = offsetOf(segments, dynamic.get(tag.symbolTable));
  if (start === undefined) throw new ElfError('it has no dynamic symbols');
  const count = symbolCount(file, segments, dynamic);
  if (count > mostSymbols) throw new ElfError('it has more symbols than any library');
  for (let i = 1; i < count; i++) {
    const at = start + i * symbolSize;
    const info = file.readUInt8(at + 4);
    const binding = info >> 4;
    // STT_FUNC, STB_GLOBAL or STB_WEAK, and defined here.
    if ((info & 15) !== 2 || (binding !== 1 && binding !== 2) || file.readUInt16LE(at + 6) === 0) continue;
    functions.add(strings(file.readUInt32LE(at)));
  }
  return functions;
}

/** The table's length is nowhere but in the hash tables over it. */
function symbolCount(file: Buffer, segments: readonly Segment[], dynamic: Map<number, number>): number {
  const hash = offsetOf(segments, dynamic.get(tag.hash));
  if (hash !== undefined) return file.readUInt32LE(hash + 4);
  const gnu = offsetOf(segments, dynamic.get(tag.gnuHash));
  if (gnu === undefined) throw new ElfError('it has no symbol hash table');
  const buckets = file.readUInt32LE(gnu);
  const firstHashed = file.readUInt32LE(gnu + 4);
  const bucketsAt = gnu + 16 + file.readUInt32LE(gnu + 8) * 8;
  if (buckets > mostSymbols) throw new ElfError('it has more symbols than any library');
  let last = 0;
  for (let i = 0; i < buckets; i++) last = Math.max(last, file.readUInt32LE(bucketsAt + i * 4));
  if (last < firstHashed) return firstHashed;
  // The chain of the last bucket ends with an odd hash.
  const chainsAt = bucketsAt + buckets * 4;
  while (last < mostSymbols && (file.readUInt32LE(chainsAt + (last - firstHashed) * 4) & 1) === 0) last += 1;
  return last + 1;
}

/** https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html */
function readVersions(
  file: Buffer,
  segments: readonly Segment[],
  dynamic: Map<number, number>,
  strings: (offset: number) => string,
): string[] {
  const versions: string[] = [];
  let at = offsetOf(segments, dynamic.get(tag.versionNeed));
  const count = Math.min(dynamic.get(tag.versionNeedCount) ?? 0, mostVersions);
  for (let i = 0; at !== undefined && i < count; i++) {
    let entry = at + file.readUInt32LE(at + 8);
    const entries = file.readUInt16LE(at + 2);
    for (let j = 0; j < entries && versions.length < mostVersions; j++) {
      versions.push(strings(file.readUInt32LE(entry + 8)));
      entry += file.readUInt32LE(entry + 12);
    }
    const next = file.readUInt32LE(at + 12);
    at = next === 0 ? undefined : at + next;
  }
  return versions;
}
