import type { StreamInfo } from '../access-log/stream-info.js';
import type { ActiveCluster, AvoidedHosts } from '../upstream/cluster-manager.js';
import type { PoolFailure } from '../upstream/connection.js';
import type { Host } from '../upstream/host.js';
import type { HeaderMap } from './header-map.js';
import type { PreparedBridge } from './prepared-bridge.js';

/** The body of the 500 that a plugin's error becomes: the text of Envoy's SDK, for both runtimes. */
export const pluginErrorBody = 'error happened in golang http-tcp bridge\r\n';

/** Why an exchange ended without a whole response. `routing/` turns it into an HTTP reply and a response flag, or retries. */
export type ExchangeFailure =
  | { readonly kind: 'pool'; readonly failure: PoolFailure }
  /** The server closed or reset before the response had ended; also FIN in the middle of a frame. */
  | { readonly kind: 'upstream_closed'; readonly reason: string }
  /** The connection was closed because the server sent what is not the protocol's. */
  | { readonly kind: 'protocol_error'; readonly reason: string }
  /** Logged and counted already. `error` is an Error of our own, safe to print, whatever the plugin threw. */
  | {
      readonly kind: 'plugin_error';
      readonly plugin: string;
      readonly error: unknown;
    }
  | { readonly kind: 'request_too_large' }
  | { readonly kind: 'response_too_large' }
  /** The version that it ran on was replaced and the drain time is over. */
  | { readonly kind: 'drain_timeout' };

/**
 * The side that `routing/` implements: what goes back to the client. Every exchange that isn't cancelled ends with exactly one of: `onHeaders` or `onData`
 * with `endStream`, `onLocalReply`, `onFailure`. At that time the bridge is destroyed, the connection given back and the cluster unpinned.
 * No callback comes from within `startExchange`.
 */
export interface ExchangeCallbacks {
  /** There is a connection, `host` is known. Again when another one takes its place. */
  onConnected(): void;
  onHeaders(headers: HeaderMap, endStream: boolean): void;
  /** False: `onDownstreamWritable` will be called on the exchange later. */
  onData(data: Buffer, endStream: boolean): boolean;
  /**
   * The plugin answers instead of the server. Only before `onHeaders`. `headers` holds neither `:status` nor `content-length`.
   * 204 and 304 come without a body; what answers HEAD comes with it, for its length: it must not be sent.
   */
  onLocalReply(status: number, body: Buffer, headers: HeaderMap): void;
  /** Nothing follows. Headers may be out already: then the stream must be reset. */
  onFailure(failure: ExchangeFailure): void;
  /** At most one pause is open at a time, and each is resumed: at the latest right before the last callback, or within `cancel`. */
  pauseRequest(): void;
  resumeRequest(): void;
}

export interface ExchangeOptions {
  readonly cluster: ActiveCluster<PreparedBridge>;
  readonly priority: 'default' | 'high';
  readonly routeName: string;
  /** Must not change while the exchange lasts. */
  readonly requestHeaders: HeaderMap;
  readonly requestEndStream: boolean;
  /** Hard bound of whole-body buffering, bytes. */
  readonly requestBufferLimit: number;
  /** Written before anything else: the PROXY protocol header. */
  readonly preface: Buffer | undefined;
  /** For a retry. */
  readonly avoidHosts: AvoidedHosts | undefined;
  /** The exchange fills in the upstream's host, local address and times. */
  readonly info: StreamInfo;
  readonly callbacks: ExchangeCallbacks;
}

/** One attempt of one request: a bridge object, a connection, and the state machine between them. */
export interface Exchange {
  /** The server that it has, or had, a connection to; undefined before. `routing/` counts successes, errors and timeouts on it. */
  readonly host: Host | undefined;
  /** What the plugin said of the request (`setIdempotent`); undefined: nothing. Stays when the exchange has ended. */
  readonly idempotent: boolean | undefined;
  /** The last piece has `endStream`. Harmless after the exchange has ended: the rest of a request that was answered early goes nowhere. */
  onRequestData(data: Buffer, endStream: boolean): void;
  onDownstreamWritable(): void;
  /** The client went away, or the router gave up (timeout): close the connection, destroy the bridge. No callback follows. */
  cancel(): void;
}
