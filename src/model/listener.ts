import type { ConfigSource } from './config-source.js';
import type { SocketAddress } from './endpoint.js';
import type { FilterChainMatch } from './filter-chain-match.js';
import type { RouteConfiguration } from './route.js';
import type { DownstreamTls } from './tls.js';

export interface AccessLogConfig {
  /** A file's path, or the process's own stream. */
  readonly target: { readonly kind: 'file'; readonly path: string } | { readonly kind: 'stdout' | 'stderr' };
  /** Envoy's default format unless set. `json` holds command strings as leaves. */
  readonly format:
    | { readonly kind: 'text'; readonly text: string }
    | { readonly kind: 'json'; readonly json: unknown }
    | undefined;
}

/** Durations in milliseconds, 0 means none. Defaults are Envoy's. */
export interface HttpConnectionManager {
  readonly statPrefix: string;
  readonly codecType: 'AUTO' | 'HTTP1';
  readonly routes:
    | { readonly kind: 'inline'; readonly config: RouteConfiguration }
    | {
        readonly kind: 'rds';
        readonly name: string;
        readonly source: ConfigSource;
      };
  readonly serverName: string;
  readonly serverHeader: 'OVERWRITE' | 'APPEND_IF_ABSENT' | 'PASS_THROUGH';
  /** Added to `via` of requests and responses when set. */
  readonly via: string;
  readonly useRemoteAddress: boolean;
  readonly xffNumTrustedHops: number;
  readonly skipXffAppend: boolean;
  readonly generateRequestId: boolean;
  readonly preserveExternalRequestId: boolean;
  readonly alwaysSetRequestIdInResponse: boolean;
  readonly normalizePath: boolean;
  readonly mergeSlashes: boolean;
  readonly pathWithEscapedSlashes:
    | 'KEEP_UNCHANGED'
    | 'REJECT_REQUEST'
    | 'UNESCAPE_AND_REDIRECT'
    | 'UNESCAPE_AND_FORWARD';
  readonly stripAnyHostPort: boolean;
  readonly stripMatchingHostPort: boolean;
  readonly stripTrailingHostDot: boolean;
  readonly maxRequestHeadersBytes: number;
  readonly maxHeadersCount: number;
  readonly headersWithUnderscores: 'ALLOW' | 'REJECT_REQUEST' | 'DROP_HEADER';
  readonly streamIdleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly requestHeadersTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  /** 0 means no limit. */
  readonly maxRequestsPerConnection: number;
  readonly drainTimeoutMs: number;
  readonly delayedCloseTimeoutMs: number;
  readonly http1: {
    readonly acceptHttp10: boolean;
    readonly defaultHostForHttp10: string;
    readonly allowAbsoluteUrl: boolean;
    readonly allowChunkedLength: boolean;
  };
  readonly proxy100Continue: boolean;
  readonly accessLogs: readonly AccessLogConfig[];
  /** router.suppress_envoy_headers: leaves out x-envoy-upstream-service-time and its like. */
  readonly suppressEnvoyHeaders: boolean;
  /** What becomes of x-forwarded-client-cert. */
  readonly forwardClientCert: ForwardClientCert;
}

/** forward_client_cert_details and set_current_client_cert_details of a connection manager. */
export interface ForwardClientCert {
  readonly mode: 'SANITIZE' | 'FORWARD_ONLY' | 'APPEND_FORWARD' | 'SANITIZE_SET' | 'ALWAYS_FORWARD_ONLY';
  /** What is told of the client's certificate besides its hash, in the order of telling. */
  readonly details: readonly ('cert' | 'chain' | 'subject' | 'uri' | 'dns')[];
}

/** What serves some of a listener's connections. */
export interface FilterChain {
  readonly name: string;
  /** undefined: of the chain for connections that no other one fits. */
  readonly match: FilterChainMatch | undefined;
  /** undefined: plain text. */
  readonly tls?: DownstreamTls | undefined;
  readonly httpConnectionManager: HttpConnectionManager;
}

/** How what a client sends first is looked at before its filter chain is chosen. */
export interface TlsInspection {
  /** How long it may take, milliseconds; 0 means no limit. */
  readonly timeoutMs: number;
  /** A client that takes longer is served as one that does not speak TLS. */
  readonly continueOnTimeout: boolean;
}

/** envoy.config.listener.v3.Listener, as far as Pontoon runs it: filter chains with an HTTP connection manager each. */
export interface Listener {
  readonly name: string;
  readonly statPrefix: string;
  /** Port 0 binds a free one. */
  readonly addresses: readonly SocketAddress[];
  readonly perConnectionBufferLimitBytes: number;
  readonly backlog: number;
  readonly ipv4Compat: boolean;
  /** At least one. The one without a match, if there is one, is the last. */
  readonly filterChains: readonly FilterChain[];
  /** undefined: nothing that it would find decides about a filter chain. */
  readonly tlsInspection?: TlsInspection | undefined;
}
