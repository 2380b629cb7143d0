import type { KeptBytes } from '../kept-bytes.js';
import type { UpstreamConnection } from '../upstream/connection.js';
import { ByteQueue, PluginBuffer } from './buffer.js';
import type { RequestPhase } from './exchange-state.js';
import { HeaderMap } from './header-map.js';
import { pluginError } from './plugin-error.js';
import { ResponseHeadersView } from './plugin-headers.js';
import type { PluginSession } from './plugin-session.js';
import { lengthContradiction, type ResponseHead, responseHead } from './response-headers.js';

/** What belongs to one bridge on one connection; a stale connection's replacement starts over with a new one. */
export interface OpenState {
  readonly name: 'open';
  connection: UpstreamConnection;
  readonly session: PluginSession;
  request: RequestPhase;
  /** `encodeData` was called. */
  sawBody: boolean;
  /** What goes to the server, until it's whole: on a shared connection. */
  frame: KeptBytes | undefined;
  halfClosed: boolean;
  /** The server is slow: the connection is above its watermark. */
  upstreamBlocked: boolean;
  /** The request's body as it came, for a replay; undefined when none can be or need be kept. */
  replay: ByteQueue | undefined;

  /** A byte came from the server. */
  answered: boolean;
  /** The server's FIN came. */
  serverEnded: boolean;
  /** From the server, not yet sent on: what StopAndBuffer kept. */
  readonly received: ByteQueue;
  readonly responseBuffer: PluginBuffer;
  /** As the plugin sets them. */
  readonly responseHeaders: HeaderMap;
  readonly responseHeadersView: ResponseHeadersView;
  /** What went out to the client; undefined: nothing yet. */
  response: ResponseHead | undefined;
  /** Body bytes that the client was given. */
  responseBytes: number;
  /** The client is slow: reading from the server is paused. */
  readingPaused: boolean;
}

/** Of the array for the response's headers: so many pairs need no larger one. */
const usualHeaders = 6;

export function openState(connection: UpstreamConnection, session: PluginSession): OpenState {
  const received = new ByteQueue();
  const responseHeaders = new HeaderMap(new Array<string>(2 * usualHeaders), 0);
  return {
    name: 'open',
    connection,
    session,
    request: 'streaming',
    sawBody: false,
    frame: undefined,
    halfClosed: false,
    upstreamBlocked: false,
    replay: undefined,
    answered: false,
    serverEnded: false,
    received,
    responseBuffer: new PluginBuffer(received, session),
    responseHeaders,
    responseHeadersView: new ResponseHeadersView(responseHeaders, session),
    response: undefined,
    responseBytes: 0,
    readingPaused: false,
  };
}

/** How much of a request's body is kept for a replay on another connection, bytes. */
const replayLimit = 65_536;

/** Keeps a piece of the body that just came, as long as a replay needs it. */
export function keepForReplay(open: OpenState, data: Buffer): void {
  if (open.replay === undefined) return;
  if (open.replay.length + data.length > replayLimit) open.replay = undefined;
  // A copy: the plugin may change its piece in place.
  else open.replay.append(Buffer.from(data));
}

/**
 * Whether the end of the connection may only mean that the pooled connection was stale, and the request can begin again: either the server
 * can't have seen it, or seeing it twice does no harm (RFC 9110 section 9.2.2); and its body is still there.
 */
export function canReplace(open: OpenState, idempotent: boolean): boolean {
  if (!open.connection.reused || open.answered || open.halfClosed) return false;
  if (open.connection.wrote && !idempotent) return false;
  return !open.sawBody || open.replay !== undefined;
}

/** Whether the next exchange may have the connection, now that the plugin has ended this one. */
export function isReusable(open: OpenState): boolean {
  if (open.serverEnded || open.halfClosed || open.upstreamBlocked || open.received.length > 0) return false;
  // The switch was set when no write was left to carry it out: the plugin doesn't want this connection any more.
  if (open.session.selfHalfClose) return false;
  return !open.connection.wrote || open.request === 'sent';
}

/** A part of the response that goes to the client. */
export interface ResponsePart {
  readonly head: ResponseHead;
  /** The headers go out with it. */
  readonly first: boolean;
  readonly pieces: Buffer[];
  /** Instead of the pieces: they are not the body that the headers announced. */
  readonly contradiction: string | undefined;
}

/** Takes what is in `buffer` as the next, or last, part of the response. An Error: the headers can't be sent. */
export function takeResponsePart(
  open: OpenState,
  buffer: ByteQueue,
  last: boolean,
  method: string | undefined,
): ResponsePart | Error {
  const first = open.response === undefined;
  let head = open.response;
  if (head === undefined) {
    try {
      head = responseHead(open.responseHeaders, method);
    } catch (thrown) {
      return pluginError('response headers', thrown);
    }
    open.response = head;
    open.responseHeadersView.markSent();
    open.session.markHeadersSent();
  }
  if (!head.hasBody) buffer.clear();
  open.responseBytes += buffer.length;
  return { head, first, pieces: buffer.take(), contradiction: lengthContradiction(head, open.responseBytes, last) };
}
