import { type Json, JsonNumber, type JsonObject } from './values.js';

/** The text is no JSON, or beyond a limit. */
export class JsonError extends Error {}

/** Longer numbers are refused: whoever computes with one pays for every digit. */
const maxNumberLength = 1024;

const space = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** Up to the first quote, backslash or control character. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: exactly those must not be in a string
const plain = /[^"\\\u0000-\u001f]*/y;
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/**
 * Reads JSON (RFC 8259) without changing it: a number stays the text that it is. A name that comes twice in an object is refused, because readers differ in
 * which one counts. Throws a JsonError with the place.
 *
 * @param maxDepth arrays and objects inside each other
 */
export function readJson(text: string, maxDepth: number): Json {
  let at = 0;

  const fail = (what: string): never => {
    throw new JsonError(`character ${at + 1}: ${what}`);
  };
  const match = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const [found = ''] = pattern.exec(text) ?? [];
    at += found.length;
    return found;
  };
  const skip = (): void => {
    const code = text.charCodeAt(at);
    if (code <= 0x20) match(space);
  };
  const expected = (what: string): never =>
    fail(`${what} expected, ${at < text.length ? `not ${JSON.stringify(text[at])}` : 'not the end'}`);

  const word = (name: string, value: Json): Json => {
    if (!text.startsWith(name, at)) return expected('a value');
    at += name.length;
    return value;
  };
  const escaped = (): string => {
    const letter = text[at] ?? '';
    at += 1;
    const known = escapes[letter];
    if (known !== undefined) return known;
    const digits = text.slice(at, at + 4);
    if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(digits)) {
      at -= 1;
      fail('no such escape');
    }
    at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  };
  const string = (): string => {
    at += 1;
    let value = match(plain);
    while (text[at] === '\\') {
      at += 1;
      value += escaped() + match(plain);
    }
    if (text[at] !== '"') fail(at < text.length ? 'control characters must be escaped' : 'the string does not end');
    at += 1;
    return value;
  };
  const array = (depth: number): Json[] => {
    const items: Json[] = [];
    at += 1;
    skip();
    if (text[at] === ']') {
      at += 1;
      return items;
    }
    for (;;) {
      items.push(value(depth));
      skip();
      const next = text[at];
      if (next !== ',' && next !== ']') expected('"," or "]"');
      at += 1;
      if (next === ']') return items;
    }
  };
  const object = (depth: number): JsonObject => {
    const members = new Map<string, Json>();
    at += 1;
    skip();
    if (text[at] === '}') {
      at += 1;
      return members;
    }
    for (;;) {
      skip();
      if (text[at] !== '"') expected('a name in quotes');
      const start = at;
      const name = string();
      if (members.has(name)) {
        at = start;
        fail(`the name ${JSON.stringify(name)} is there twice`);
      }
      skip();
      if (text[at] !== ':') expected('":"');
      at += 1;
      members.set(name, value(depth));
      skip();
      const next = text[at];
      if (next !== ',' && next !== '}') expected('"," or "}"');
      at += 1;
      if (next === '}') return members;
    }
  };
  const value = (depth: number): Json => {
    skip();
    switch (text[at]) {
      case '"':
        return string();
      case '{':
      case '[':
        if (depth === maxDepth) fail(`deeper than ${maxDepth}`);
        return text[at] === '[' ? array(depth + 1) : object(depth + 1);
      case 't':
        return word('true', true);
      case 'f':
        return word('false', false);
      case 'n':
        return word('null', null);
      default: {
        const digits = match(number);
        if (digits === '') expected('a value');
        if (digits.length > maxNumberLength) fail(`a number of ${digits.length} characters`);
        return new JsonNumber(digits);
      }
    }
  };

  const result = value(0);
  skip();
  if (at < text.length) expected('the end');
  return result;
}
