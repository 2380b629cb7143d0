import type { TlsInfo } from '../tls/tls-info.js';
import type { ResponseFlag } from './response-flags.js';

/** What is known of one request when it ends; the access log's source. Mutable: each room fills in what it knows. Times in ms of `Clock.monotonic()`. */
export interface StreamInfo {
  readonly startTime: number;
  /** Since the epoch. */
  readonly startWallTime: number;
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' | undefined;
  /** `ip:port` of the client, from x-forwarded-for where that is trusted. */
  readonly downstreamRemoteAddress: string;
  /** The connection's own remote address; undefined: the same as `downstreamRemoteAddress`. */
  readonly downstreamDirectRemoteAddress?: string;
  readonly downstreamLocalAddress: string;
  readonly connectionId: number;
  readonly requestedServerName: string | undefined;
  /** undefined: plain text. */
  readonly downstreamTls?: TlsInfo | undefined;
  /** '' : it has none. */
  readonly filterChainName?: string;
  requestBytes: number;
  responseBytes: number;
  responseCode: number;
  /** Envoy's %RESPONSE_CODE_DETAILS%, as in `via_upstream` or `route_not_found`. */
  responseCodeDetails: string | undefined;
  /** Bit set of ResponseFlag. */
  responseFlags: ResponseFlag;
  routeName: string | undefined;
  virtualHost: string | undefined;
  upstreamCluster: string | undefined;
  upstreamHost: string | undefined;
  upstreamLocalAddress: string | undefined;
  /** undefined: plain text, or no connection. */
  upstreamTls?: TlsInfo | undefined;
  upstreamTransportFailureReason: string | undefined;
  upstreamAttempts: number;
  lastDownstreamRxByte: number | undefined;
  firstUpstreamTxByte: number | undefined;
  lastUpstreamTxByte: number | undefined;
  firstUpstreamRxByte: number | undefined;
  lastUpstreamRxByte: number | undefined;
  firstDownstreamTxByte: number | undefined;
  lastDownstreamTxByte: number | undefined;
}
