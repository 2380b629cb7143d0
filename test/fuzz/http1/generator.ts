import * as words from './words.js';

/** Numbers from 0 up to, not including, 1. */
export type Random = () => number;

/** Where numbers come from, and how many faults to make: 1 is many, 0 none. */
interface Source {
  readonly random: Random;
  readonly faults: number;
}

const chance = ({ random }: Source, probability: number): boolean => random() < probability;
const upTo = ({ random }: Source, count: number): number => Math.floor(random() * count);
const pick = <T>(source: Source, list: readonly T[]): T => list[upTo(source, list.length)] as T;
const several = (source: Source, most: number, make: () => string): string =>
  Array.from({ length: upTo(source, most + 1) }, make).join('');
const fault = ({ random, faults }: Source, probability: number): boolean => random() < probability * faults;
const unlessFault = (source: Source, usual: string, odd: readonly string[], probability = 0.05): string =>
  fault(source, probability) ? pick(source, odd) : usual;

/** The bytes of one connection, as latin1: requests by the grammar with faults in them, then bytes changed at random. */
export function generateInput(random: Random): string {
  const source = { random, faults: pick({ random, faults: 0 }, [0, 0.2, 1]) };
  let input = chance(source, 0.1) ? several(source, 3, () => pick(source, ['\r\n', '\n', '\r'])) : '';
  for (let requests = 1 + upTo(source, 3); requests > 0; requests--) {
    // A client that sends the same head again may be read in another way.
    input += request(source).repeat(chance(source, 0.15) ? 2 + upTo(source, 4) : 1);
    if (chance(source, 0.05)) input += pick(source, ['\r\n', '\n', '\r']);
    if (fault(source, 0.05)) input += pick(source, [' ', '\x00', 'garbage\r\n\r\n', '0\r\n\r\n']);
  }
  for (let changes = fault(source, 0.6) ? 1 + upTo(source, 3) : 0; changes > 0; changes--)
    input = change(source, input);
  return chance(source, 0.1) ? input.slice(0, upTo(source, input.length)) : input;
}

/** Cuts `data` at random places, or after each byte. */
export function split(random: Random, data: Buffer): Buffer[] {
  const source = { random, faults: 0 };
  if (chance(source, 0.05)) return Array.from(data, (_, i) => data.subarray(i, i + 1));
  const cuts = Array.from({ length: upTo(source, 6) }, () => upTo(source, data.length + 1)).sort((a, b) => a - b);
  return [0, ...cuts].map((cut, i) => data.subarray(cut, cuts[i] ?? data.length)).filter(({ length }) => length > 0);
}

const lineEnd = (source: Source): string => unlessFault(source, '\r\n', words.oddLineEnds, 0.01);

function request(source: Source): string {
  const gap = (): string => unlessFault(source, ' ', words.oddSpaces, 0.01);
  const method = unlessFault(source, pick(source, words.methods), words.oddMethods);
  const target = method === 'CONNECT' ? 'b.example:443' : chance(source, 0.7) ? '/' : pick(source, words.targets);
  const version = unlessFault(source, chance(source, 0.1) ? 'HTTP/1.0' : 'HTTP/1.1', words.oddVersions);
  const line = `${method}${gap()}${unlessFault(source, target, words.oddTargets)}${gap()}${version}`;
  const host = unlessFault(source, `Host: a${lineEnd(source)}`, words.oddHosts);
  const fields = several(source, chance(source, 0.03) ? 60 : 4, () => field(source));
  const { header, body } = framing(source);
  const headers = chance(source, 0.5) ? host + fields + header : fields + header + host;
  return `${line}${lineEnd(source)}${headers}${lineEnd(source)}${body}`;
}

function field(source: Source): string {
  const end = lineEnd(source);
  if (chance(source, 0.1)) {
    const options = chance(source, 0.7) ? words.connectionOptions : words.lastConnectionOptions;
    const value = unlessFault(source, pick(source, options), words.oddConnectionOptions, 0.3);
    return `${pick(source, words.connectionNames)}:${pick(source, [' ', '', '\t'])}${value}${end}`;
  }
  if (chance(source, 0.02)) return `Upgrade: ${pick(source, ['h2c', 'websocket', ''])}${end}`;
  if (chance(source, 0.02)) return `Expect: 100-continue${end}`;
  const name = unlessFault(source, pick(source, words.names), words.oddNames);
  const value = unlessFault(source, pick(source, words.values), words.oddValues);
  const before = pick(source, ['', ' ', ' ', '  ', '\t', ' \t ']);
  return `${name}:${before}${value}${pick(source, ['', '', '', ' ', '\t'])}${end}`;
}

function framing(source: Source): { readonly header: string; readonly body: string } {
  if (chance(source, 0.3)) return { header: '', body: '' };
  const space = pick(source, [' ', '', '  ']);
  if (chance(source, 0.4)) {
    const body = 'b'.repeat(upTo(source, 20));
    const wrong = [...words.oddLengths, String(body.length + upTo(source, 7) - 3)];
    const name = unlessFault(source, pick(source, words.lengthNames), words.oddLengthNames);
    const header = `${name}:${space}${unlessFault(source, String(body.length), wrong)}${lineEnd(source)}`;
    return { header: contradicted(source, header, 'Transfer-Encoding: chunked\r\n'), body };
  }
  const name = unlessFault(source, pick(source, words.codingNames), words.oddCodingNames);
  const coding = unlessFault(source, pick(source, ['chunked', 'chunked', 'Chunked']), words.oddCodings);
  const header = `${name}:${space}${coding}${lineEnd(source)}`;
  return { header: contradicted(source, header, 'Content-Length: 3\r\n'), body: chunkedBody(source) };
}

function contradicted(source: Source, header: string, other: string): string {
  return unlessFault(source, header, [header + header, header + other, other + header], 0.08);
}

function chunkedBody(source: Source): string {
  const chunk = (): string => {
    const data = pick(source, words.chunkData);
    const size = data.length.toString(16);
    const written = chance(source, 0.1) ? size.toUpperCase().padStart(4, '0') : size;
    const odd = [
      `0x${size}`,
      `+${size}`,
      `-${size}`,
      ` ${size}`,
      `${size} `,
      `${size}\t`,
      `${size}_`,
      ...words.oddSizes,
    ];
    const behind = unlessFault(source, '\r\n', ['XX', ...words.oddLineEnds], 0.01);
    return `${unlessFault(source, written, odd)}${extension(source)}${lineEnd(source)}${data}${behind}`;
  };
  const chunks = several(source, 3, chunk);
  const last = unlessFault(source, pick(source, ['0', '0', '00', '000000']), words.oddLastSizes) + extension(source);
  const trailer = (): string => unlessFault(source, field(source), words.oddTrailers, 0.1);
  const trailers = chance(source, 0.2) ? several(source, 3, trailer) : '';
  return `${chunks}${last}${lineEnd(source)}${trailers}${lineEnd(source)}`;
}

const extension = (source: Source): string =>
  unlessFault(source, chance(source, 0.1) ? pick(source, words.extensions) : '', words.oddExtensions, 0.02);

function change(source: Source, text: string): string {
  const at = upTo(source, text.length + 1);
  const length = upTo(source, chance(source, 0.7) ? 2 : 12);
  const before = text.slice(0, at);
  switch (upTo(source, 5)) {
    case 0:
      return before + pick(source, words.changes) + text.slice(at);
    case 1:
      return before + pick(source, words.changes) + text.slice(at + 1);
    case 2:
      return before + text.slice(at + 1 + length);
    case 3:
      return text.slice(0, at + length) + text.slice(at);
    default:
      return before + String.fromCharCode(upTo(source, 256)) + text.slice(at + length);
  }
}
