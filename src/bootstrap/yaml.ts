import { type Document, isMap, isScalar, parseAllDocuments, visit } from 'yaml';
import type { Problem } from '../model/verdict.js';

export type ParsedYaml =
  | { readonly ok: true; readonly json: unknown }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Files over this are refused before they are parsed. 10,000 clusters take some 10 MiB. */
export const maxBytes = 64 * 1024 * 1024;
/** Values in a file with all its aliases expanded: a few lines of YAML can stand for billions. */
const maxValues = 5_000_000;

function failed(message: string, path = ''): ParsedYaml {
  return { ok: false, problems: [{ path, message }] };
}

/** Envoy leaves out what has a key with the tag `!ignore`: a place for anchors. */
const ignoreTag = '!ignore';

/** Marks ignored keys by names that no field can have; anchors below them stay usable. */
function markIgnored(document: Document.Parsed): string[] {
  const names: string[] = [];
  visit(document, {
    Pair(_, pair) {
      if (!isScalar(pair.key) || pair.key.tag !== ignoreTag) return;
      const name = `\0ignored ${names.length}`;
      names.push(name);
      pair.key.value = name;
    },
  });
  return names;
}

/** Removes marked keys and counts values; false when there are too many (a cycle has no end). */
function prune(json: unknown, ignored: ReadonlySet<string>): boolean {
  const waiting: unknown[] = [json];
  for (let values = 0; waiting.length > 0; values++) {
    if (values > maxValues) return false;
    const value = waiting.pop();
    if (typeof value !== 'object' || value === null) continue;
    for (const [key, member] of Object.entries(value)) {
      if (ignored.has(key)) delete (value as Record<string, unknown>)[key];
      else waiting.push(member);
    }
  }
  return true;
}

function documentProblems(document: Document.Parsed): Problem[] {
  const notes = document.warnings.filter((warning) => !warning.message.includes(ignoreTag));
  // What follows a syntax error is mostly the parser's confusion about it.
  return [...document.errors.slice(0, 1), ...notes].map((error) => {
    const at = error.linePos?.[0];
    const [message = ''] = error.message.split(/ at line \d+|\n/);
    return { path: at ? `line ${at.line}, column ${at.col}` : '', message };
  });
}

/**
 * Reads YAML, and JSON as the part of YAML that it is: one document, anchors and merge keys allowed, no key twice.
 * Aliases are expanded within bounds.
 */
export function parseYaml(text: string): ParsedYaml {
  if (text.length > maxBytes) return failed(`is larger than ${maxBytes} bytes`);
  try {
    const documents = parseAllDocuments(text, {
      merge: true,
      uniqueKeys: true,
      prettyErrors: true,
    });
    if (!Array.isArray(documents)) return failed('is empty');
    const [document, second] = documents;
    if (document === undefined || (document.contents === null && document.errors.length === 0))
      return failed('is empty');
    if (second !== undefined) return failed('has more than one YAML document; one is allowed');
    const problems = documentProblems(document);
    if (problems.length > 0) return { ok: false, problems };
    if (!isMap(document.contents)) return failed('must be a map of the fields of envoy.config.bootstrap.v3.Bootstrap');
    const ignored = new Set(markIgnored(document));
    const json: unknown = document.toJS({ maxAliasCount: -1 });
    if (!prune(json, ignored)) return failed(`expands to more than ${maxValues} values`);
    return { ok: true, json };
  } catch (error) {
    if (error instanceof RangeError) return failed('is nested too deeply');
    return failed(error instanceof Error ? error.message : String(error));
  }
}
