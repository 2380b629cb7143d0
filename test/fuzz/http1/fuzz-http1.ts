import { createRandom } from '../../support/random.js';
import { findDifference, sameReading } from './compare.js';
import { generateInput, split } from './generator.js';
import { readByNode } from './node-reader.js';
import type { Observed } from './observed.js';
import { maxHeadBytes, readByUs } from './own-reader.js';

/** A case in which our parser is wrong. */
export interface Finding {
  readonly seed: number;
  readonly difference: string;
  /** The shortest input found that shows it, as a JSON string of latin1. */
  readonly input: string;
}

export interface FuzzSummary {
  readonly cases: number;
  /** Requests that both read. */
  readonly accepted: number;
  /** What the cases came to, for people. */
  readonly outcome: string;
  readonly findings: readonly Finding[];
}

export interface FuzzOptions {
  readonly cases: number;
  /** The first case's; each has the next one, and can be repeated alone. */
  readonly seed: number;
  /** Told from time to time. */
  readonly onProgress?: (done: number) => void;
}

const mostFindings = 20;

/** Gives the same bytes to our parser, whole and split, and to Node's. */
export function fuzzHttp1({ cases, seed, onProgress }: FuzzOptions): FuzzSummary {
  const findings: Finding[] = [];
  let accepted = 0;
  let stricter = 0;
  let done = 0;
  for (; done < cases && findings.length < mostFindings; done++) {
    const random = createRandom(seed + done);
    const input = generateInput(random);
    const data = Buffer.from(input, 'latin1');
    const ours = readByUs([data]);
    const nodes = readByNode(data, maxHeadBytes);
    accepted += ours.requests.length;
    if (ours.end === 'refused' && nodes.requests.length > ours.requests.length) stricter++;
    const difference = findDifference(ours, nodes) ?? splitDifference(ours, split(random, data));
    if (difference !== undefined) findings.push({ seed: seed + done, difference, input: shortest(input, difference) });
    if (done % 100_000 === 99_999) onProgress?.(done + 1);
  }
  const outcome = `${accepted} requests accepted, stricter than Node in ${stricter} cases`;
  return { cases: done, accepted, outcome, findings };
}

function splitDifference(whole: Observed, pieces: readonly Buffer[]): string | undefined {
  const inPieces = readByUs(pieces);
  if (sameReading(whole, inPieces)) return undefined;
  const sizes = pieces.map(({ length }) => length);
  return `in pieces of ${sizes.join(', ')} bytes it is ${JSON.stringify(inPieces)}, whole it is ${JSON.stringify(whole)}`;
}

/** Leaves out what isn't needed. */
function shortest(input: string, difference: string): string {
  if (difference.startsWith('in pieces')) return JSON.stringify(input);
  let text = input;
  for (let size = Math.ceil(text.length / 2); size > 0; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < text.length; ) {
      const shorter = text.slice(0, at) + text.slice(at + size);
      const data = Buffer.from(shorter, 'latin1');
      if (findDifference(readByUs([data]), readByNode(data, maxHeadBytes)) !== undefined) text = shorter;
      else at += size;
    }
  }
  return JSON.stringify(text);
}
