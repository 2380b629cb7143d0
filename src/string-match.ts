import { RE2JS } from 're2js';
import type { StringMatch } from './model/route.js';

/** Tests one string. */
export type StringTest = (value: string) => boolean;

/** RE2 syntax, as Envoy's; the whole string must match. Throws on invalid syntax. */
export function compileRegex(pattern: string): StringTest {
  const regex = RE2JS.compile(pattern);
  return (value) => regex.testExact(value);
}

const stringTests: Record<'exact' | 'prefix' | 'suffix' | 'contains', (wanted: string) => StringTest> = {
  exact: (wanted) => (value) => value === wanted,
  prefix: (wanted) => (value) => value.startsWith(wanted),
  suffix: (wanted) => (value) => value.endsWith(wanted),
  contains: (wanted) => (value) => value.includes(wanted),
};

/** envoy.type.matcher.v3.StringMatcher. Throws on an invalid regular expression. */
export function compileStringMatch(match: StringMatch): StringTest {
  if (match.kind === 'safe_regex') return compileRegex(match.pattern);
  const wanted = match.ignoreCase ? match.value.toLowerCase() : match.value;
  const test = stringTests[match.kind](wanted);
  return match.ignoreCase ? (value) => test(value.toLowerCase()) : test;
}
