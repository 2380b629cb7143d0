import { HeaderMap } from './header-map.js';

/** token, RFC 9110 section 5.6.2; upper case never gets here. */
const validName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** field-value, RFC 9110 section 5.5, one character per byte. */
const forbiddenInValue = /[^\t\x20-\x7e\x80-\xff]/;
const outerWhitespace = /^[ \t]+|[ \t]+$/g;

/** Of a content-length: so many are exact in a number. */
const mostDigits = 15;
/** Up to so many characters a loop looks at them faster than a regular expression does. */
const shortText = 32;

/** They speak of one connection, which is the codec's, not the plugin's (RFC 9110 section 7.6.1). */
const connectionHeaders: ReadonlySet<string> = new Set([
  'connection',
  'transfer-encoding',
  'upgrade',
  'keep-alive',
  'proxy-connection',
]);

/** Lower-cases a response header's name. Throws a TypeError when it has forbidden bytes, a colon in front included. */
export function checkHeaderName(name: string): string {
  if (typeof name === 'string' && isPlainName(name)) return name;
  const lower = typeof name === 'string' ? name.toLowerCase() : '';
  if (!validName.test(lower)) throw new TypeError(`invalid response header name ${quote(name)}`);
  return lower;
}

/** The value without whitespace around it (RFC 9110 section 5.5). Throws a TypeError when it has forbidden bytes: CR, LF, NUL and other controls. */
export function checkHeaderValue(name: string, value: string): string {
  if (typeof value !== 'string') throw new TypeError(`the value of response header ${name} must be a string`);
  if (isPlainValue(value)) return value;
  if (forbiddenInValue.test(value)) throw new TypeError(`invalid value of response header ${name}: ${quote(value)}`);
  return hasOuterWhitespace(value) ? value.replace(outerWhitespace, '') : value;
}

/** A short one of small letters and hyphens, as most are. */
function isPlainName(name: string): boolean {
  const { length } = name;
  if (length === 0 || length > shortText) return false;
  for (let i = 0; i < length; i++) {
    const code = name.charCodeAt(i);
    if ((code < 0x61 || code > 0x7a) && code !== 0x2d) return false;
  }
  return true;
}

/** A short one of visible US-ASCII without spaces, as numbers and most others are. */
function isPlainValue(value: string): boolean {
  const { length } = value;
  if (length === 0 || length > shortText) return false;
  for (let i = 0; i < length; i++) {
    const code = value.charCodeAt(i);
    if (code <= 0x20 || code > 0x7e) return false;
  }
  return true;
}

function hasOuterWhitespace(value: string): boolean {
  return value.charCodeAt(0) <= 0x20 || value.charCodeAt(value.length - 1) <= 0x20;
}

/** Throws a RangeError unless `status` is a final HTTP status. */
export function checkStatus(status: unknown): number {
  if (typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599) return status;
  throw new RangeError(`invalid response status ${quote(status)}: it must be 200-599`);
}

/** A response's headers as they go out, and what they promise about the body. */
export interface ResponseHead {
  /** `:status` first. */
  readonly headers: HeaderMap;
  /** False: there must be no body, whatever the plugin sends (HEAD, 204, 304). */
  readonly hasBody: boolean;
  /** What `content-length` announces, undefined when it isn't there or isn't about this body. */
  readonly contentLength: number | undefined;
}

/** Makes what the plugin has set fit to be sent, in the same map. Throws a TypeError when `content-length` is no length. */
export function responseHead(headers: HeaderMap, method: string | undefined): ResponseHead {
  const status = headers.get(':status') ?? '200';
  headers.setFirst(':status', status);
  headers.deleteAll(connectionHeaders);
  const hasBody = bodyAllowed(Number(status), method);
  const contentLength = readContentLength(headers);
  // RFC 9110 section 8.6: none with a 204.
  if (contentLength !== undefined && status === '204') headers.delete('content-length');
  return {
    headers,
    hasBody,
    contentLength: hasBody ? contentLength : undefined,
  };
}

/** What is wrong with the body so far, or at its `end`, against the announced content-length; undefined: nothing. */
export function lengthContradiction(head: ResponseHead, bytes: number, end: boolean): string | undefined {
  const announced = head.contentLength;
  if (announced === undefined || bytes === announced || (bytes < announced && !end)) return undefined;
  return `the response has content-length ${announced}, but its body ${end ? 'has' : 'has at least'} ${bytes} bytes`;
}

/** A local reply's headers: whole body known, so its length is the codec's to say. No `:status`, that goes beside them. */
export function localReplyHeaders(set: HeaderMap): HeaderMap {
  const headers = new HeaderMap();
  set.forEach((name, value) => {
    if (name !== ':status' && name !== 'content-length' && !connectionHeaders.has(name)) headers.add(name, value);
  });
  return headers;
}

/** RFC 9110 sections 9.3.2, 15.3.5 and 15.4.5. */
export function bodyAllowed(status: number, method: string | undefined): boolean {
  return method !== 'HEAD' && status !== 204 && status !== 304;
}

/** Of several that say the same, one is left. */
function readContentLength(headers: HeaderMap): number | undefined {
  const announced = headers.get('content-length');
  if (announced === undefined) return undefined;
  const length = parseContentLength(announced);
  let count = 0;
  for (let i = 0; i < headers.size; i++) {
    if (headers.nameAt(i) !== 'content-length') continue;
    count++;
    if (count > 1 && parseContentLength(headers.valueAt(i)) !== length)
      throw new TypeError('the response has two different content-length headers');
  }
  if (count > 1) headers.set('content-length', announced);
  return length;
}

function parseContentLength(value: string): number {
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9 || i === mostDigits) throw invalidContentLength(value);
    length = 10 * length + digit;
  }
  if (value === '') throw invalidContentLength(value);
  return length;
}

function invalidContentLength(value: string): TypeError {
  return new TypeError(`invalid content-length ${quote(value)}`);
}

function quote(value: unknown): string {
  return JSON.stringify(
    typeof value === 'string' ? value.slice(0, 100) : typeof value === 'number' ? value : typeof value,
  );
}
