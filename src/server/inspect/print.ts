import type { ConfigDiff, ResourceChange } from './diff.js';
import type { ExplainedLink, Explanation } from './explain.js';
import type { Json } from './view.js';

/** Fields of one resource that are told; --json has all. */
const mostFields = 20;
const longestValue = 60;

function short(value: Json | undefined): string {
  if (value === undefined) return '(not set)';
  const text = JSON.stringify(value);
  return text.length > longestValue ? `${text.slice(0, longestValue)}…` : text;
}

const signs = { added: '+', removed: '-', changed: '~' } as const;

function verdictText({ change, verdict: { before, after } }: ResourceChange): string {
  if (change === 'added') return `${after}`;
  if (change === 'removed') return `was ${before}`;
  return before === after ? `${after}` : `${before} → ${after}`;
}

function changeLines(change: ResourceChange): string[] {
  const { kind, name, fields, reasons, effect } = change;
  const consequence = effect === 'nothing' ? 'nothing that runs changes' : effect;
  const more = fields.length - mostFields;
  return [
    `${signs[change.change]} ${kind} ${name}: ${verdictText(change)}; ${consequence}`,
    ...fields.slice(0, mostFields).map(({ path, before, after }) => `    ${path}: ${short(before)} → ${short(after)}`),
    ...(more > 0 ? [`    and ${more} more fields`] : []),
    ...reasons.map((reason) => `    ${change.verdict.after}: ${reason}`),
  ];
}

export function diffLines({ before, after, changes, compared }: ConfigDiff): string[] {
  if (changes.length === 0) return [`no difference in meaning: ${compared} resources compared`];
  const count = (what: ResourceChange['change']) => changes.filter(({ change }) => change === what).length;
  return [
    `--- ${before}`,
    `+++ ${after}`,
    ...changes.flatMap(changeLines),
    `${count('added')} added, ${count('removed')} removed, ${count('changed')} changed of ${compared} compared`,
  ];
}

function linkLines(links: readonly ExplainedLink[], indent: string): string[] {
  return links.flatMap(({ kind, name, field, verdict, links: further }) => [
    `${indent}${kind ? `${kind} ` : ''}${name}: ${verdict} (${field})`,
    ...linkLines(further, `${indent}  `),
  ]);
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`  ${title}:`, ...lines];
}

export function explanationLines(explanation: Explanation): string[] {
  const { kind, name, verdict, reasons, origin, version, since, stale, refused, referredToBy, refersTo, missing } =
    explanation;
  return [
    `${kind} ${name}: ${verdict}`,
    `  source: ${origin}${stale ? ', from a snapshot: no control plane has spoken of it' : ''}`,
    ...(version === '' ? [] : [`  version: ${version}`]),
    ...(since === undefined ? [] : [`  since: ${since}`]),
    ...(refused ? [`  refused: version '${refused.version}'${refused.at ? ` at ${refused.at}` : ''}`] : []),
    ...section(
      verdict === 'warned' ? 'ignored' : 'why',
      reasons.map((reason) => `    ${reason}`),
    ),
    ...section('referred to by', linkLines(referredToBy, '    ')),
    ...section('refers to', linkLines(refersTo, '    ')),
    ...section(
      'missing',
      missing.map((line) => `    ${line}`),
    ),
  ];
}
