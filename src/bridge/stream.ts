import type { StreamInfo } from '../access-log/stream-info.js';
import type { HeaderMap } from './header-map.js';

/** Why a stream is cut off without (the rest of) a response. */
export type StreamResetReason =
  | 'downstream_closed'
  | 'downstream_reset'
  | 'protocol_error'
  | 'local_reset'
  | 'draining';

/**
 * One HTTP request and its response, whatever the HTTP version: the narrow waist between the codecs and everything right of them.
 * Header maps hold pseudo headers (`:method`, `:path`, `:authority`, `:scheme`; `:status`) like any others.
 */
export interface DownstreamStream {
  readonly requestHeaders: HeaderMap;
  /** There is no body (none announced, or content-length 0). */
  readonly requestEndStream: boolean;
  readonly info: StreamInfo;
  /** The matched route's changes to response headers, for all replies that are ours: also those that the stream makes by itself (timeouts, a broken body). */
  mutateReply: ((headers: HeaderMap) => void) | undefined;
  /** Begins the delivery of the body. Called once; until then nothing of the body is read. */
  start(handler: DownstreamHandler): void;
  /** Backpressure on the client; counted, so that two pauses need two resumes. */
  pauseReading(): void;
  resumeReading(): void;
  /** The route's idle timeout instead of the connection manager's `stream_idle_timeout`: milliseconds without a byte either way; 0 means none. */
  setIdleTimeout(ms: number): void;
  /** Once per response (100-continue is the codec's own business). */
  sendHeaders(headers: HeaderMap, endStream: boolean): void;
  /** False: the client is slow, and `onWritable` will come. The stream keeps `data`: the caller must not change it afterwards. */
  sendData(data: Buffer, endStream: boolean): boolean;
  /** Ends the stream at once; closes an HTTP/1 connection. No more calls of the handler follow. */
  reset(reason: StreamResetReason): void;
}

/** Whoever answers the request. No call follows `onReset`, nor a piece with `endStream`. Calls never come from within `start` or the `send` functions. */
export interface DownstreamHandler {
  /** A piece of the body. The last one has `endStream` and may be empty (chunked end, trailers). */
  onData(data: Buffer, endStream: boolean): void;
  /** The client can take more after `sendData` returned false. */
  onWritable(): void;
  /** The client went away or broke the protocol before the response had ended. */
  onReset(reason: StreamResetReason): void;
}
