import { isIP, isIPv4, isIPv6 } from 'node:net';
import { RE2JS } from 're2js';
import { all, type Check, count, listOf, must, rejectUnknown, type StringRules } from './check.js';

/** https://github.com/bufbuild/protoc-gen-validate/blob/main/README.md#well-known-regexs */
const headerName = /^:?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what a header value must not contain
const headerValue = /^[^\u0000-\u0008\u000a-\u001f\u007f]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL, CR and LF would end or split a header
const headerText = /^[^\u0000\u000a\u000d]*$/;
const label = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i;
const uuid = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const uriCharacters = /^([\w\-.~:/?#[\]@!$&'()*+,;=]|%[0-9a-f]{2})*$/i;
const scheme = /^[a-z][a-z0-9+.-]*:/i;

/** RFC 1034 section 3.5: up to 253 characters, labels of up to 63. */
function isHostname(value: string): boolean {
  const host = value.endsWith('.') ? value.slice(0, -1) : value;
  return host.length <= 253 && host.split('.').every((part) => part.length <= 63 && label.test(part));
}

function isEmail(value: string): boolean {
  const at = value.lastIndexOf('@');
  return at > 0 && at <= 64 && !/[\s<>]/.test(value) && isHostname(value.slice(at + 1));
}

const forms: Readonly<Record<string, { test: (value: string) => boolean; words: string }>> = {
  email: { test: isEmail, words: 'an e-mail address' },
  hostname: { test: isHostname, words: 'a host name' },
  ip: { test: (value) => isIP(value) !== 0, words: 'an IP address' },
  ipv4: { test: isIPv4, words: 'an IPv4 address' },
  ipv6: { test: isIPv6, words: 'an IPv6 address' },
  uri: { test: (value) => scheme.test(value) && uriCharacters.test(value), words: 'an absolute URI' },
  uri_ref: { test: (value) => uriCharacters.test(value), words: 'a URI reference' },
  address: { test: (value) => isIP(value) !== 0 || isHostname(value), words: 'a host name or an IP address' },
  uuid: { test: (value) => uuid.test(value), words: 'a UUID' },
};

const ruleNames = [
  'const',
  'len',
  'min_len',
  'max_len',
  'len_bytes',
  'min_bytes',
  'max_bytes',
  'pattern',
  'prefix',
].concat(
  ['suffix', 'contains', 'not_contains', 'in', 'not_in', 'well_known_regex', 'strict', 'ignore_empty'],
  Object.keys(forms),
);

/** Lengths count code points, not UTF-16 units. */
function characters(value: string): number {
  let length = 0;
  for (const _ of value) length++;
  return length;
}

/** The check of a string against its rules. */
export function compileString(rules: StringRules): Check | undefined {
  rejectUnknown('string', rules, ruleNames);
  const check = all([...lengths(rules), ...contents(rules), ...wellKnown(rules)]);
  if (!check || !rules.ignore_empty) return check;
  return (value, problems) => {
    if (value !== '') check(value, problems);
  };
}

function lengths(rules: StringRules): Check[] {
  const { len, min_len: min, max_len: max, len_bytes: bytes, min_bytes: minBytes, max_bytes: maxBytes } = rules;
  const checks: Check[] = [];
  if (len !== undefined)
    checks.push(must((value: string) => characters(value) === len, `must be ${count(len, 'character')}`));
  if (min !== undefined) {
    // Nearly every rule asks for one character, and the bytes of a string needn't be counted for that.
    const test = min === 1 ? (value: string) => value !== '' : (value: string) => characters(value) >= min;
    checks.push(must(test, `must be at least ${count(min, 'character')}`));
  }
  if (max !== undefined)
    checks.push(must((value: string) => characters(value) <= max, `must be at most ${count(max, 'character')}`));
  if (bytes !== undefined)
    checks.push(must((value: string) => Buffer.byteLength(value) === bytes, `must be ${count(bytes, 'byte')}`));
  if (minBytes !== undefined) {
    checks.push(
      must((value: string) => Buffer.byteLength(value) >= minBytes, `must be at least ${count(minBytes, 'byte')}`),
    );
  }
  if (maxBytes !== undefined) {
    checks.push(
      must((value: string) => Buffer.byteLength(value) <= maxBytes, `must be at most ${count(maxBytes, 'byte')}`),
    );
  }
  return checks;
}

const quote = (value: string): string => JSON.stringify(value);

function contents(rules: StringRules): Check[] {
  const { const: only, pattern, prefix, suffix, contains, not_contains: without } = rules;
  const checks: Check[] = [];
  if (only !== undefined) checks.push(must((value: string) => value === only, `must be ${quote(only)}`));
  if (prefix !== undefined)
    checks.push(must((value: string) => value.startsWith(prefix), `must begin with ${quote(prefix)}`));
  if (suffix !== undefined)
    checks.push(must((value: string) => value.endsWith(suffix), `must end with ${quote(suffix)}`));
  if (contains !== undefined)
    checks.push(must((value: string) => value.includes(contains), `must contain ${quote(contains)}`));
  if (without !== undefined)
    checks.push(must((value: string) => !value.includes(without), `must not contain ${quote(without)}`));
  if (rules.in !== undefined) {
    const values = listOf(rules.in);
    checks.push(must((value: string) => values.includes(value), `must be one of ${values.map(quote).join(', ')}`));
  }
  if (rules.not_in !== undefined) {
    const values = listOf(rules.not_in);
    checks.push(must((value: string) => !values.includes(value), `must not be ${values.map(quote).join(', ')}`));
  }
  if (pattern !== undefined) {
    const compiled = RE2JS.compile(pattern);
    checks.push(must((value: string) => compiled.matcher(value).find(), `must match ${pattern}`));
  }
  return checks;
}

function wellKnown(rules: StringRules): Check[] {
  const checks: Check[] = [];
  for (const [name, form] of Object.entries(forms)) {
    if (rules[name as keyof StringRules] === true) checks.push(must(form.test, `must be ${form.words}`));
  }
  const strict = rules.strict !== false;
  if (rules.well_known_regex === 'HTTP_HEADER_NAME') {
    const regex = strict ? headerName : headerText;
    checks.push(
      must(
        (value: string) => regex.test(value),
        strict ? 'must be an HTTP header name' : 'must not contain NUL, CR or LF',
      ),
    );
  } else if (rules.well_known_regex === 'HTTP_HEADER_VALUE') {
    const regex = strict ? headerValue : headerText;
    checks.push(
      must(
        (value: string) => regex.test(value),
        strict ? 'must be an HTTP header value' : 'must not contain NUL, CR or LF',
      ),
    );
  } else if (rules.well_known_regex !== undefined) rejectUnknown('string', { [rules.well_known_regex]: true }, []);
  return checks;
}
