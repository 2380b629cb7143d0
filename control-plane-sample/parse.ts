import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, type ParsedNode, parseAllDocuments } from 'yaml';
import { parseJson } from '../src/protobuf/json.js';
import type { Schema } from '../src/protobuf/schema.js';
import { referencesOf } from './references.js';
import { findKind, kindsInOrder, type ResourceKind } from './resource-kind.js';
import { hash, type Resource } from './snapshot.js';

/** Where and what is wrong: `clusters/web.yaml:7:5: clusters "web": type: unknown value "STATICC"…`. */
export interface FileProblem {
  /** The file's name, or what the text came from. */
  readonly source: string;
  /** From 1; 0 where there is no text. */
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface ParseResult {
  readonly resources: readonly Resource[];
  readonly problems: readonly FileProblem[];
}

/** A value and the place in its text, as far as there is one. */
interface Located {
  readonly value: unknown;
  /** The text's node, for finding the place of a field. */
  readonly node: Node | null | undefined;
  readonly lines: LineCounter | undefined;
}

/** YAML aliases may not multiply a small file into a huge one. */
const maxAliases = 1_000;

export function formatProblem({ source, line, column, message }: FileProblem): string {
  return line > 0 ? `${source}:${line}:${column}: ${message}` : `${source}: ${message}`;
}

/**
 * Reads resources from YAML (or JSON, which is YAML). A document is one resource, a list of them, or groups
 * (`clusters: [...]`, `resources: [...]`). The type of a resource is its `@type`, else its group's, else `kind`.
 */
export function parseText(schema: Schema, text: string, source: string, kind: ResourceKind | undefined): ParseResult {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const resources: Resource[] = [];
  const problems: FileProblem[] = [];
  if ('empty' in documents || documents.every((document) => document.contents === null)) {
    // A file that is just being written is empty for a moment; that must not delete what it had.
    return {
      resources,
      problems: [{ source, line: 1, column: 1, message: 'the file is empty; delete it to remove its resources' }],
    };
  }
  for (const document of documents) {
    const error = document.errors[0];
    if (error) {
      const { line, col } = lines.linePos(error.pos[0]);
      problems.push({ source, line, column: col, message: error.message });
      continue;
    }
    if (document.contents === null) continue;
    try {
      const value: unknown = document.toJS({ maxAliasCount: maxAliases });
      const result = parseValue(schema, { value, node: document.contents as ParsedNode, lines }, source, kind);
      resources.push(...result.resources);
      problems.push(...result.problems);
    } catch (error) {
      problems.push({ source, line: 1, column: 1, message: error instanceof Error ? error.message : String(error) });
    }
  }
  return { resources, problems };
}

/** Reads resources that are plain objects already: the same shapes as in a file, or `{}` for none. */
export function parseObject(schema: Schema, value: object, source: string): ParseResult {
  if (Object.keys(value).length === 0) return { resources: [], problems: [] };
  return parseValue(schema, { value, node: undefined, lines: undefined }, source, undefined);
}

function parseValue(schema: Schema, located: Located, source: string, kind: ResourceKind | undefined): ParseResult {
  const resources: Resource[] = [];
  const problems: FileProblem[] = [];
  for (const item of flatten(located, kind)) {
    const result = parseResource(schema, item.located, source, item.kind);
    if ('name' in result) resources.push(result);
    else problems.push(...result.problems);
  }
  return { resources, problems };
}

interface Item {
  readonly located: Located;
  readonly kind: ResourceKind | undefined;
}

/** The single resources in a list or in groups. */
function flatten(located: Located, kind: ResourceKind | undefined): Item[] {
  const { value } = located;
  if (Array.isArray(value)) return value.map((_, index) => ({ located: child(located, index), kind }));
  if (!isGroups(value)) return [{ located, kind }];
  return Object.keys(value).flatMap((group) =>
    flatten(child(located, group), group === 'resources' ? kind : findKind(group)),
  );
}

const groupNames = new Set([...kindsInOrder.map(({ group }) => group), 'resources']);

/** Whether all keys are names of groups with lists. A resource always has its name besides. */
function isGroups(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const entries = Object.entries(value);
  return entries.length > 0 && entries.every(([key, item]) => groupNames.has(key) && Array.isArray(item));
}

function child({ value, node, lines }: Located, key: string | number): Located {
  return { value: (value as Record<string | number, unknown>)[key], node: childNode(node, key), lines };
}

function parseResource(
  schema: Schema,
  located: Located,
  source: string,
  givenKind: ResourceKind | undefined,
): Resource | { readonly problems: FileProblem[] } {
  const problem = (path: string, message: string) => ({ source, ...locate(located, path), message });
  const { value } = located;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { problems: [problem('', 'a resource is expected here: an object')] };
  }
  const { '@type': typeUrl, ...fields } = value as Record<string, unknown>;
  const kind = typeUrl === undefined ? givenKind : findKind(String(typeUrl));
  if (!kind) {
    const allowed = kindsInOrder.map((each) => each.typeUrl).join(', ');
    const groups = kindsInOrder.map((each) => each.group).join(', ');
    const message =
      typeUrl === undefined
        ? `what type of resource is this? Put the file in a folder named ${groups}, the resource in a list of that name, or set "@type"`
        : `@type: ${JSON.stringify(typeUrl)} is not served here; allowed are ${allowed}`;
    return { problems: [problem(typeUrl === undefined ? '' : '@type', message)] };
  }
  const parsed = parseJson(schema, kind.typeName, fields);
  const label = `${kind.group} ${JSON.stringify(fields[kind.nameField] ?? fields[camelCase(kind.nameField)] ?? '?')}`;
  if (!parsed.ok) {
    return {
      problems: parsed.problems.map(({ path, message }) =>
        problem(path, `${label}: ${path === '' ? '' : `${path}: `}${message}`),
      ),
    };
  }
  const name = (parsed.message as Record<string, unknown>)[kind.nameField];
  if (typeof name !== 'string' || name === '' || name === '*') {
    return {
      problems: [problem(kind.nameField, `${label}: ${kind.nameField}: a name is required, and it can't be "*"`)],
    };
  }
  try {
    const references = referencesOf(schema, kind, name, parsed.message);
    return { kind, name, version: hash([parsed.bytes]), bytes: parsed.bytes, source, references };
  } catch (error) {
    return { problems: [problem('', `${label}: ${error instanceof Error ? error.message : String(error)}`)] };
  }
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Line and column of a field path, or of the nearest that holds it. */
function locate({ node, lines }: Located, path: string): { line: number; column: number } {
  let found: Node | null | undefined = node;
  for (const [, key, quoted, index] of path.matchAll(/([^.[\]]+)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]/g)) {
    const next = childNode(found, index === undefined ? (key ?? quoted ?? '') : Number(index));
    if (!next) break;
    found = next;
  }
  const offset = found?.range?.[0];
  if (offset === undefined || !lines) return { line: 0, column: 0 };
  const { line, col } = lines.linePos(offset);
  return { line, column: col };
}

function childNode(node: Node | null | undefined, key: string | number): Node | null | undefined {
  if (isSeq(node)) return node.items[Number(key)] as Node | undefined;
  if (!isMap(node)) return undefined;
  const pair = node.items.find((item: Pair) => {
    const name = isScalar(item.key) ? String(item.key.value) : '';
    return name === key || camelCase(String(key)) === name;
  });
  // A field without a value stands where its name does.
  return (pair?.value ?? pair?.key) as Node | null | undefined;
}
