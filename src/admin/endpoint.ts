/** One admin request, already checked: method, path, query. */
export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
}

/**
 * A text body is given whole or in pieces, so that a large dump is never one string. Pieces are made when the reader is ready for them, with
 * pauses in between; an empty piece is a place for one. So each shows its part of the configuration as it is at that moment.
 */
export interface AdminResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Iterable<string>;
}

/** A path of the admin interface. Names, methods and answers are Envoy's: https://www.envoyproxy.io/docs/envoy/latest/operations/admin */
export interface AdminEndpoint {
  readonly path: string;
  /** POST: changes something, and GET is refused. */
  readonly method: 'GET' | 'POST';
  readonly help: string;
  /** Query parameter → what it does. */
  readonly parameters?: Readonly<Record<string, string>>;
  /** It reads or changes what is counted of requests, which other processes may serve: theirs is collected before `handle` is called. */
  readonly needsNumbers?: true;
  handle(request: AdminRequest): AdminResponse;
}

/** Plain text. */
export function text(body: string | Iterable<string>, status = 200): AdminResponse {
  return { status, contentType: 'text/plain; charset=UTF-8', body };
}

/** JSON, indented as Envoy does. */
export function json(value: unknown): AdminResponse {
  return {
    status: 200,
    contentType: 'application/json',
    body: `${JSON.stringify(value, null, 1)}\n`,
  };
}

/** JSON as in `json`, inside of something: indented by `depth` spaces, without the first line's indent. */
export const indented = (value: unknown, depth: number): string =>
  JSON.stringify(value, null, 1).replace(/\n/g, `\n${' '.repeat(depth)}`);
