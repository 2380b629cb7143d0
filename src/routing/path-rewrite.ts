import type { PathMatch } from '../model/route.js';
import { pathOnly } from './matchers.js';
import { compileRegexRewrite } from './regex-rewrite.js';

/** Makes a new request target (path and query) of the old one. */
export type PathRewrite = (target: string) => string;

export interface PathRewriteConfig {
  /** Takes the place of what the route matched. */
  readonly prefix: string | undefined;
  /** Applies to the whole path without the query. */
  readonly regex: { readonly pattern: string; readonly substitution: string } | undefined;
}

/** undefined: nothing to rewrite (an empty prefix is none, as in Envoy). Throws on an invalid regular expression. */
export function compilePathRewrite(match: PathMatch, { prefix, regex }: PathRewriteConfig): PathRewrite | undefined {
  if (prefix) {
    return (target) => {
      // A regular expression or CONNECT matched the whole path.
      const matched = 'value' in match ? match.value.length : pathOnly(target).length;
      return prefix + target.slice(matched);
    };
  }
  if (!regex) return undefined;
  const rewrite = compileRegexRewrite(regex.pattern, regex.substitution);
  return (target) => {
    const path = pathOnly(target);
    return rewrite(path) + target.slice(path.length);
  };
}
