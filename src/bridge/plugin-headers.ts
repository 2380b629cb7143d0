import type { RequestHeaderMap, ResponseHeaderMap } from './api.js';
import type { CallScope } from './buffer.js';
import type { HeaderMap } from './header-map.js';
import { checkHeaderName, checkHeaderValue, checkStatus } from './response-headers.js';

/** What is behind a view, for runtimes that copy all headers at once. */
export let requestHeadersOf: (view: RequestHeaderMap) => HeaderMap;

/** undefined: the headers were sent, and may not be looked at any more. */
export let responseHeadersOf: (view: ResponseHeaderMap) => HeaderMap | undefined;

/** The plugin's read-only view of the request's headers. It may be kept for as long as the plugin likes. */
export class RequestHeadersView implements RequestHeaderMap {
  static {
    requestHeadersOf = (view) => (view as RequestHeadersView).#headers;
  }

  readonly #headers: HeaderMap;

  constructor(headers: HeaderMap) {
    this.#headers = headers;
  }

  get(name: string): string | undefined {
    return this.#headers.get(lower(name));
  }

  values(name: string): string[] {
    return this.#headers.values(lower(name));
  }

  range(visit: (name: string, value: string) => boolean | undefined): void {
    this.#headers.forEach(visit);
  }

  getAllHeaders(): Record<string, string[]> {
    return allHeaders(this.#headers);
  }

  get method(): string {
    return this.#headers.get(':method') ?? '';
  }

  get path(): string {
    return this.#headers.get(':path') ?? '';
  }

  get host(): string {
    return this.#headers.get(':authority') ?? '';
  }

  get scheme(): string {
    return this.#headers.get(':scheme') ?? '';
  }
}

/** The plugin's view of the response's headers: it works during the plugin's calls, until the headers are sent. */
export class ResponseHeadersView implements ResponseHeaderMap {
  static {
    responseHeadersOf = (view) => {
      const own = view as ResponseHeadersView;
      return own.#sent ? undefined : own.#headers;
    };
  }

  readonly #headers: HeaderMap;
  readonly #scope: CallScope;
  #sent = false;

  constructor(headers: HeaderMap, scope: CallScope) {
    this.#headers = headers;
    this.#scope = scope;
  }

  markSent(): void {
    this.#sent = true;
  }

  get(name: string): string | undefined {
    return this.#open().get(lower(name));
  }

  values(name: string): string[] {
    return this.#open().values(lower(name));
  }

  range(visit: (name: string, value: string) => boolean | undefined): void {
    // A copy, because `visit` may change the map.
    this.#open().clone().forEach(visit);
  }

  getAllHeaders(): Record<string, string[]> {
    return allHeaders(this.#open());
  }

  get status(): number {
    return Number(this.#open().get(':status') ?? 200);
  }

  set status(status: number) {
    this.#open().set(':status', String(checkStatus(status)));
  }

  set(name: string, value: string): void {
    this.#change(name, value, false);
  }

  add(name: string, value: string): void {
    this.#change(name, value, true);
  }

  del(name: string): void {
    this.#open().delete(lower(name));
  }

  #change(name: string, value: string, add: boolean): void {
    const headers = this.#open();
    if (name === ':status') {
      headers.set(':status', String(checkStatus(/^\d{3}$/.test(value) ? Number(value) : value)));
      return;
    }
    const checked = checkHeaderName(name);
    if (add) headers.add(checked, checkHeaderValue(checked, value));
    else headers.set(checked, checkHeaderValue(checked, value));
  }

  #open(): HeaderMap {
    if (this.#sent) throw new Error('the response headers were sent already');
    if (!this.#scope.active) throw new Error('response headers can only be used during a call of the bridge');
    return this.#headers;
  }
}

function lower(name: string): string {
  return typeof name === 'string' ? name.toLowerCase() : '';
}

function allHeaders(headers: HeaderMap): Record<string, string[]> {
  // No prototype: a header may be called __proto__.
  const all: Record<string, string[]> = Object.create(null);
  headers.forEach((name, value) => {
    const values = all[name];
    if (values === undefined) all[name] = [value];
    else values.push(value);
  });
  return all;
}
