import type { HttpConnectionManager } from '../model/listener.js';

type PathSettings = Pick<HttpConnectionManager, 'normalizePath' | 'mergeSlashes' | 'pathWithEscapedSlashes'>;

/** What becomes of a path: it goes on (perhaps changed), the client is sent to the changed one, or it is refused. */
export type NormalizedPath =
  | { readonly kind: 'continue'; readonly path: string }
  | { readonly kind: 'redirect'; readonly path: string }
  | { readonly kind: 'reject' };

/** Envoy's `ConnectionManagerUtility::maybeNormalizePath`: the query is left alone throughout. */
export function normalizePath(original: string, settings: PathSettings): NormalizedPath {
  // A target has no fragment (RFC 9112 section 3.2).
  if (original.includes('#')) return { kind: 'reject' };
  const queryStart = original.indexOf('?');
  let path = queryStart < 0 ? original : original.slice(0, queryStart);
  const query = queryStart < 0 ? '' : original.slice(queryStart);
  let redirect = false;
  if (settings.pathWithEscapedSlashes !== 'KEEP_UNCHANGED') {
    const unescaped = path.replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
    if (unescaped !== path) {
      if (settings.pathWithEscapedSlashes === 'REJECT_REQUEST') return { kind: 'reject' };
      redirect = settings.pathWithEscapedSlashes === 'UNESCAPE_AND_REDIRECT';
      path = unescaped;
    }
  }
  if (settings.normalizePath) {
    // The canonicalizer has no way to write a NUL.
    if (path.includes('%00')) return { kind: 'reject' };
    path = canonicalizePath(path);
  }
  if (settings.mergeSlashes) path = path.replace(/\/{2,}/g, '/');
  return { kind: redirect ? 'redirect' : 'continue', path: path + query };
}

/**
 * RFC 3986 section 6.2.2 as browsers do it (WHATWG URL): dot segments are resolved, a backslash is a slash, needless escapes are taken
 * away, and what may not stand in a path is escaped.
 */
function canonicalizePath(path: string): string {
  const segments: string[] = [];
  const parts = path.slice(1).split(/[/\\]/);
  parts.forEach((part, index) => {
    const last = index === parts.length - 1;
    const plain = part.replace(/%2e/gi, '.');
    if (plain === '..') segments.pop();
    if (plain === '.' || plain === '..') {
      if (last) segments.push('');
      return;
    }
    segments.push(canonicalizeSegment(part));
  });
  return `/${segments.join('/')}`;
}

function canonicalizeSegment(segment: string): string {
  return segment
    .replace(/%([0-9a-f]{2})/gi, (escaped, hex: string) => {
      const char = String.fromCharCode(Number.parseInt(hex, 16));
      return /[A-Za-z0-9\-._~]/.test(char) ? char : escaped;
    })
    .replace(/["<>`{}|^]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}
