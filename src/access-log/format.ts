import type { AccessLogConfig } from '../model/listener.js';
import type { Problem } from '../model/verdict.js';
import { bytesOf, createExtractor, type Extractor, type LogContext } from './command-operators.js';

/** A compiled format: makes one line, one character per byte (write it as latin1). */
export type LineFormatter = (context: LogContext) => string;

/** Envoy's default format, to the character. */
export const defaultFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" ' +
  '%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% ' +
  '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
  '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

/** `%COMMAND(PARAMS):LENGTH%` at the start of what is left. */
const commandPattern = /%([A-Z0-9_]+)(?:\(([^\n]*?)\))?(?::([0-9]+))?%/y;

/** Literal text or an extractor, in order. Throws an Error that says what is wrong and where. */
function parse(format: string): (string | Extractor)[] {
  const segments: (string | Extractor)[] = [];
  let literal = '';
  const flush = (): void => {
    if (literal !== '') segments.push(bytesOf(literal));
    literal = '';
  };
  for (let position = 0; position < format.length; ) {
    const character = format[position] as string;
    if (character !== '%' || format[position + 1] === '%') {
      literal += character;
      position += character === '%' ? 2 : 1;
      continue;
    }
    commandPattern.lastIndex = position;
    const match = commandPattern.exec(format);
    if (!match) {
      throw new Error(
        `has no valid command at position ${position} ("${format.slice(position, position + 20)}"); a literal % is written %%`,
      );
    }
    flush();
    const maxLength = match[3] === undefined ? undefined : Number(match[3]);
    segments.push(createExtractor(match[1] as string, match[2] ?? '', maxLength));
    position = commandPattern.lastIndex;
  }
  flush();
  return segments;
}

/** What `value` is in a text line. Envoy's codecs keep control characters out of headers; here no value can break a line, wherever it came from. */
function printable(value: string | number | undefined): string {
  if (value === undefined) return '-';
  if (typeof value === 'number') return String(value);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  if (!/[\0-\x08\x0a-\x1f\x7f]/.test(value)) return value;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
  return value.replace(/[\0-\x08\x0a-\x1f\x7f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function compileText(format: string): LineFormatter {
  const segments = parse(format);
  return (context) => {
    let line = '';
    for (const segment of segments) line += typeof segment === 'string' ? segment : printable(segment(context));
    return line;
  };
}

/** A JSON string's inside. Bytes that are no UTF-8 are escaped one by one, as in Envoy. */
function jsonInside(value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON must escape them
  if (!/[\0-\x1f"\\\x7f-\xff]/.test(value)) return value;
  const bytes = Buffer.from(value, 'latin1');
  const text = bytes.toString('utf8');
  if (Buffer.from(text, 'utf8').equals(bytes)) return bytesOf(JSON.stringify(text).slice(1, -1));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: as above
  return value.replace(/[\0-\x1f"\\\x7f-\xff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function jsonValue(value: string | number | undefined): string {
  if (value === undefined) return 'null';
  return typeof value === 'number' ? String(value) : `"${jsonInside(value)}"`;
}

/** A leaf with commands: one command alone keeps its type, else all is one string. */
function compileJsonLeaf(template: string): (string | LineFormatter)[] {
  const segments = parse(template);
  const [only] = segments;
  if (segments.length === 1 && typeof only === 'function') return [(context) => jsonValue(only(context))];
  const inside = segments.map((segment): string | LineFormatter => {
    if (typeof segment === 'string') return jsonInside(segment);
    return (context) => {
      const value = segment(context);
      return value === undefined ? '-' : jsonInside(String(value));
    };
  });
  return ['"', ...inside, '"'];
}

/** Keys are sorted, as in Envoy, so that the line is the same everywhere. Errors name the leaf. */
function compileJsonNode(node: unknown, path: string, problems: Problem[]): (string | LineFormatter)[] {
  if (typeof node === 'string') {
    if (!node.includes('%')) return [`"${jsonInside(bytesOf(node))}"`];
    try {
      return compileJsonLeaf(node);
    } catch (error) {
      problems.push({ path, message: messageOf(error) });
      return [];
    }
  }
  if (Array.isArray(node)) {
    const items = node.map((item, index) => compileJsonNode(item, `${path}[${index}]`, problems));
    return ['[', ...items.flatMap((item, index) => (index === 0 ? item : [',', ...item])), ']'];
  }
  if (typeof node === 'object' && node !== null) {
    const members = Object.entries(node)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, value]) => [`"${jsonInside(bytesOf(key))}":`, ...compileJsonNode(value, `${path}.${key}`, problems)]);
    return ['{', ...members.flatMap((member, index) => (index === 0 ? member : [',', ...member])), '}'];
  }
  return [JSON.stringify(node) ?? 'null'];
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/**
 * Compiles a format; undefined is Envoy's default. Paths of problems begin at envoy.config.core.v3.SubstitutionFormatString
 * (`text_format`, `json_format.key`). Text gets no newline of its own, JSON gets one, as in Envoy.
 */
export function compileFormat(
  format: AccessLogConfig['format'],
):
  | { readonly ok: true; readonly formatter: LineFormatter }
  | { readonly ok: false; readonly problems: readonly Problem[] } {
  if (format?.kind !== 'json') {
    try {
      return { ok: true, formatter: compileText(format?.text ?? defaultFormat) };
    } catch (error) {
      return { ok: false, problems: [{ path: 'text_format', message: messageOf(error) }] };
    }
  }
  const problems: Problem[] = [];
  if (typeof format.json !== 'object' || format.json === null || Array.isArray(format.json)) {
    return {
      ok: false,
      problems: [{ path: 'json_format', message: 'must be an object whose leaves are format strings' }],
    };
  }
  const segments = compileJsonNode(format.json, 'json_format', problems);
  if (problems.length > 0) return { ok: false, problems };
  const joined = joinLiterals([...segments, '\n']);
  return {
    ok: true,
    formatter: (context) => {
      let line = '';
      for (const segment of joined) line += typeof segment === 'string' ? segment : segment(context);
      return line;
    },
  };
}

function joinLiterals(segments: readonly (string | LineFormatter)[]): (string | LineFormatter)[] {
  const joined: (string | LineFormatter)[] = [];
  for (const segment of segments) {
    const last = joined.at(-1);
    if (typeof segment === 'string' && typeof last === 'string') joined[joined.length - 1] = last + segment;
    else joined.push(segment);
  }
  return joined;
}

/** What is wrong with a format, for whoever judges configuration; see `compileFormat` for the paths. */
export function checkFormat(format: AccessLogConfig['format']): readonly Problem[] {
  const compiled = compileFormat(format);
  return compiled.ok ? [] : compiled.problems;
}
