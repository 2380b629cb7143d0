import type { HeaderMap } from '../bridge/header-map.js';
import type { HeaderMatch, PathMatch, QueryParameterMatch } from '../model/route.js';
import { compileRegex, compileStringMatch, type StringTest } from '../string-match.js';

export type { StringTest } from '../string-match.js';

export type HeaderTest = (headers: HeaderMap) => boolean;
/** Tests the request's path; parameters are those of its query. */
export type QueryTest = (parameters: ReadonlyMap<string, string>) => boolean;

/** The part of a request target that routes look at: without query and fragment. */
export function pathOnly(target: string): string {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  const fragment = path.indexOf('#');
  return fragment < 0 ? path : path.slice(0, fragment);
}

/** Tests a path without its query. `connect` is no matter of the path: the caller sees to it. */
export function compilePathMatch(match: PathMatch): StringTest {
  switch (match.kind) {
    case 'connect':
      return () => true;
    case 'safe_regex':
      return compileRegex(match.pattern);
    case 'path':
      return compileStringMatch({ kind: 'exact', value: match.value, ignoreCase: !match.caseSensitive });
    case 'prefix':
      return compileStringMatch({ kind: 'prefix', value: match.value, ignoreCase: !match.caseSensitive });
    case 'path_separated_prefix': {
      const prefix = compileStringMatch({ kind: 'prefix', value: match.value, ignoreCase: !match.caseSensitive });
      const { length } = match.value;
      return (path) => prefix(path) && (path.length === length || path[length] === '/');
    }
  }
}

/** In Envoy, `host` and `:authority` are one header. */
export function canonicalHeaderName(name: string): string {
  const lower = name.toLowerCase();
  return lower === 'host' ? ':authority' : lower;
}

/** Several values of one name are matched as one, joined with a comma. */
function joinedValue(headers: HeaderMap, name: string): string | undefined {
  const first = headers.get(name);
  if (first === undefined) return undefined;
  const values = headers.values(name);
  return values.length === 1 ? first : values.join(',');
}

/** A whole decimal number that fits 64 bits, as absl::SimpleAtoi reads it; else undefined. */
export function parseInt64(value: string): bigint | undefined {
  if (!/^\s*[+-]?\d+\s*$/.test(value)) return undefined;
  const parsed = BigInt(value.trim().replace(/^\+/, ''));
  return BigInt.asIntN(64, parsed) === parsed ? parsed : undefined;
}

/** envoy.config.route.v3.HeaderMatcher. Throws on an invalid regular expression. */
export function compileHeaderMatch(match: HeaderMatch): HeaderTest {
  const name = canonicalHeaderName(match.name);
  const { test, invert, treatMissingAsEmpty } = match;
  if (test.kind === 'present') {
    return (headers) => {
      const found = treatMissingAsEmpty || headers.has(name);
      return (found ? test.present : !test.present) !== invert;
    };
  }
  const matches = test.kind === 'string' ? compileStringMatch(test.match) : rangeTest(test.start, test.end);
  return (headers) => {
    const value = joinedValue(headers, name) ?? (treatMissingAsEmpty ? '' : undefined);
    // A missing header fails even an inverted match.
    return value !== undefined && matches(value) !== invert;
  };
}

function rangeTest(start: bigint, end: bigint): StringTest {
  return (value) => {
    const number = parseInt64(value);
    return number !== undefined && number >= start && number < end;
  };
}

/** envoy.config.route.v3.QueryParameterMatcher: the first value of the name counts. Throws on an invalid regular expression. */
export function compileQueryMatch(match: QueryParameterMatch): QueryTest {
  const { name, test } = match;
  if (test.kind === 'present') return (parameters) => parameters.has(name) === test.present;
  const matches = compileStringMatch(test.match);
  return (parameters) => {
    const value = parameters.get(name);
    return value !== undefined && matches(value);
  };
}

/** The query's parameters as they are written (nothing is decoded, as in Envoy); the first of a name wins. */
export function parseQuery(target: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  const start = target.indexOf('?');
  if (start < 0 || start === target.length - 1) return parameters;
  for (const pair of target.slice(start + 1).split('&')) {
    const equals = pair.indexOf('=');
    const name = equals < 0 ? pair : pair.slice(0, equals);
    if (!parameters.has(name)) parameters.set(name, equals < 0 ? '' : pair.slice(equals + 1));
  }
  return parameters;
}
