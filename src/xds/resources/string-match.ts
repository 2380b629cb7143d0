import { RE2JS } from 're2js';
import type { StringMatch } from '../../model/route.js';
import type { RegexMatcher__Output } from '../../protobuf/generated/envoy/type/matcher/v3/RegexMatcher.js';
import type { StringMatcher__Output } from '../../protobuf/generated/envoy/type/matcher/v3/StringMatcher.js';
import { join } from './findings.js';
import { checkFields } from './support/check.js';
import { stringMatcherSupport } from './support/route.js';
import type { Context } from './translate.js';

/** Longer expressions are refused: they come from outside, and compiling takes time and memory in proportion. */
const maxPatternLength = 16 * 1024;

/** Compiles the expression once, to find out whether RE2 takes it. */
export function readRegex(context: Context, matcher: RegexMatcher__Output, path: string): string | undefined {
  const { findings } = context;
  const at = join(path, 'regex');
  if (matcher.regex.length > maxPatternLength) {
    findings.malformed.push({
      path: at,
      message: `is longer than ${maxPatternLength} characters`,
    });
    return undefined;
  }
  try {
    RE2JS.compile(matcher.regex);
    return matcher.regex;
  } catch (error) {
    findings.malformed.push({
      path: at,
      message: error instanceof Error ? error.message : String(error),
    });
    return undefined;
  }
}

/** https://www.envoyproxy.io/docs/envoy/latest/api-v3/type/matcher/v3/string.proto */
export function readStringMatch(
  context: Context,
  matcher: StringMatcher__Output,
  path: string,
): StringMatch | undefined {
  checkFields(stringMatcherSupport, matcher, path, context.findings);
  const ignoreCase = matcher.ignore_case;
  switch (matcher.match_pattern) {
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'contains':
      return {
        kind: matcher.match_pattern,
        value: matcher[matcher.match_pattern] ?? '',
        ignoreCase,
      };
    case 'safe_regex': {
      const pattern = matcher.safe_regex && readRegex(context, matcher.safe_regex, join(path, 'safe_regex'));
      return pattern ? { kind: 'safe_regex', pattern } : undefined;
    }
    default:
      return undefined;
  }
}
