import type { HeaderMatch, PathMatch, QueryParameterMatch, RouteMatch, StringMatch } from '../../model/route.js';
import type { HeaderMatcher__Output } from '../../protobuf/generated/envoy/config/route/v3/HeaderMatcher.js';
import type { QueryParameterMatcher__Output } from '../../protobuf/generated/envoy/config/route/v3/QueryParameterMatcher.js';
import type { RouteMatch__Output } from '../../protobuf/generated/envoy/config/route/v3/RouteMatch.js';
import { join } from './findings.js';
import { readRegex, readStringMatch } from './string-match.js';
import { checkFields } from './support/check.js';
import {
  headerMatcherSupport,
  queryMatcherSupport,
  routeMatchSupport,
  runtimeFractionSupport,
} from './support/route.js';
import type { Context } from './translate.js';

const denominators: Readonly<Record<string, number>> = {
  HUNDRED: 100,
  TEN_THOUSAND: 10_000,
  MILLION: 1_000_000,
};

function readPath(context: Context, match: RouteMatch__Output, path: string): PathMatch | undefined {
  const caseSensitive = match.case_sensitive?.value ?? true;
  switch (match.path_specifier) {
    case 'prefix':
    case 'path':
    case 'path_separated_prefix':
      return {
        kind: match.path_specifier,
        value: match[match.path_specifier] ?? '',
        caseSensitive,
      };
    case 'safe_regex': {
      const pattern = match.safe_regex && readRegex(context, match.safe_regex, join(path, 'safe_regex'));
      return pattern ? { kind: 'safe_regex', pattern } : undefined;
    }
    case 'connect_matcher':
      return { kind: 'connect' };
    default:
      return undefined;
  }
}

/** What a header is compared with; `present` for a matcher without any specifier, as in Envoy. */
function readHeaderTest(
  context: Context,
  matcher: HeaderMatcher__Output,
  path: string,
): HeaderMatch['test'] | undefined {
  const literal = (kind: 'exact' | 'prefix' | 'suffix' | 'contains', value = ''): HeaderMatch['test'] => ({
    kind: 'string',
    match: { kind, value, ignoreCase: false },
  });
  const string = (match: StringMatch | undefined): HeaderMatch['test'] | undefined =>
    match && { kind: 'string', match };
  switch (matcher.header_match_specifier) {
    case 'exact_match':
      return literal('exact', matcher.exact_match);
    case 'prefix_match':
      return literal('prefix', matcher.prefix_match);
    case 'suffix_match':
      return literal('suffix', matcher.suffix_match);
    case 'contains_match':
      return literal('contains', matcher.contains_match);
    case 'safe_regex_match': {
      const regex = matcher.safe_regex_match;
      const pattern = regex && readRegex(context, regex, join(path, 'safe_regex_match'));
      return string(pattern ? { kind: 'safe_regex', pattern } : undefined);
    }
    case 'string_match':
      return string(
        matcher.string_match ? readStringMatch(context, matcher.string_match, join(path, 'string_match')) : undefined,
      );
    case 'range_match':
      return {
        kind: 'range',
        start: BigInt(matcher.range_match?.start ?? 0),
        end: BigInt(matcher.range_match?.end ?? 0),
      };
    case 'present_match':
      return { kind: 'present', present: matcher.present_match ?? false };
    default:
      return { kind: 'present', present: true };
  }
}

function readHeaderMatch(context: Context, matcher: HeaderMatcher__Output, path: string): HeaderMatch | undefined {
  checkFields(headerMatcherSupport, matcher, path, context.findings);
  const test = readHeaderTest(context, matcher, path);
  return (
    test && {
      name: matcher.name.toLowerCase(),
      test,
      invert: matcher.invert_match,
      treatMissingAsEmpty: matcher.treat_missing_header_as_empty,
    }
  );
}

/** All matchers of a list that can be read; the others are findings. */
export function readHeaderMatches(
  context: Context,
  matchers: readonly HeaderMatcher__Output[],
  path: string,
): HeaderMatch[] {
  return present(matchers.map((matcher, index) => readHeaderMatch(context, matcher, join(path, `[${index}]`))));
}

function readQueryMatch(
  context: Context,
  matcher: QueryParameterMatcher__Output,
  path: string,
): QueryParameterMatch | undefined {
  checkFields(queryMatcherSupport, matcher, path, context.findings);
  if (matcher.string_match) {
    const match = readStringMatch(context, matcher.string_match, join(path, 'string_match'));
    return match && { name: matcher.name, test: { kind: 'string', match } };
  }
  const present = matcher.query_parameter_match_specifier === 'present_match' ? (matcher.present_match ?? false) : true;
  return { name: matcher.name, test: { kind: 'present', present } };
}

/** `grpc: {}` as the header rule that it stands for: content-type is application/grpc or begins with application/grpc+. */
const grpcContentType: HeaderMatch = {
  name: 'content-type',
  test: {
    kind: 'string',
    match: { kind: 'safe_regex', pattern: 'application/grpc(\\+.*)?' },
  },
  invert: false,
  treatMissingAsEmpty: false,
};

function present<T>(values: readonly (T | undefined)[]): T[] {
  return values.filter((value): value is T => value !== undefined);
}

/** https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-routematch */
export function readRouteMatch(context: Context, match: RouteMatch__Output, path: string): RouteMatch | undefined {
  checkFields(routeMatchSupport, match, path, context.findings);
  const pathMatch = readPath(context, match, path);
  const headers = readHeaderMatches(context, match.headers, join(path, 'headers'));
  const queryParameters = present(
    match.query_parameters.map((query, i) => readQueryMatch(context, query, join(path, `query_parameters[${i}]`))),
  );
  if (pathMatch === undefined) return undefined;
  if (match.runtime_fraction)
    checkFields(runtimeFractionSupport, match.runtime_fraction, join(path, 'runtime_fraction'), context.findings);
  const fraction = match.runtime_fraction?.default_value;
  return {
    path: pathMatch,
    headers: match.grpc === null ? headers : [...headers, grpcContentType],
    queryParameters,
    fraction: fraction
      ? {
          numerator: fraction.numerator,
          denominator: denominators[fraction.denominator] ?? 100,
        }
      : undefined,
  };
}
