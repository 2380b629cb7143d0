import { RE2JS } from 're2js';

/** Replaces every match in a string. */
export type RegexRewrite = (value: string) => string;

/**
 * envoy.type.matcher.v3.RegexMatchAndSubstitute. In `substitution`, `\1` to `\9` stand for groups, `\0` for the whole match and `\\` for a
 * backslash: https://github.com/google/re2/blob/main/re2/re2.h. Throws on an invalid pattern or substitution.
 */
export function compileRegexRewrite(pattern: string, substitution: string): RegexRewrite {
  const regex = RE2JS.compile(pattern);
  const parts = parseSubstitution(substitution, regex.groupCount());
  return (value) => {
    const matcher = regex.matcher(value);
    let result = '';
    let end = 0;
    for (let first = true; matcher.find(); first = false) {
      // RE2 takes no empty match right after another match.
      if (!first && matcher.start() === end && matcher.end() === end) continue;
      result += value.slice(end, matcher.start());
      for (const part of parts) result += typeof part === 'string' ? part : (matcher.group(part) ?? '');
      end = matcher.end();
    }
    return result + value.slice(end);
  };
}

function parseSubstitution(substitution: string, groups: number): (string | number)[] {
  const parts: (string | number)[] = [];
  for (const match of substitution.matchAll(/\\(.?)|[^\\]+/gs)) {
    const escaped = match[1];
    if (escaped === undefined) parts.push(match[0]);
    else if (escaped === '\\') parts.push('\\');
    else if (!/^\d$/.test(escaped))
      throw new Error(`substitution "${substitution}" has "${match[0]}"; after \\ comes a digit or another \\`);
    else if (Number(escaped) > groups)
      throw new Error(`substitution "${substitution}" names group ${escaped}, but the pattern has ${groups}`);
    else parts.push(Number(escaped));
  }
  return parts;
}
