/** envoy.type.matcher.v3.StringMatcher; `pattern` is RE2 syntax and matches the whole string. */
export type StringMatch =
  | {
      readonly kind: 'exact' | 'prefix' | 'suffix' | 'contains';
      readonly value: string;
      readonly ignoreCase: boolean;
    }
  | { readonly kind: 'safe_regex'; readonly pattern: string };

export type PathMatch =
  | {
      readonly kind: 'prefix' | 'path' | 'path_separated_prefix';
      readonly value: string;
      readonly caseSensitive: boolean;
    }
  | { readonly kind: 'safe_regex'; readonly pattern: string }
  /** CONNECT requests only. */
  | { readonly kind: 'connect' };

export interface HeaderMatch {
  readonly name: string;
  readonly test:
    | { readonly kind: 'present'; readonly present: boolean }
    | { readonly kind: 'range'; readonly start: bigint; readonly end: bigint }
    | { readonly kind: 'string'; readonly match: StringMatch };
  readonly invert: boolean;
  readonly treatMissingAsEmpty: boolean;
}

export interface QueryParameterMatch {
  readonly name: string;
  readonly test:
    | { readonly kind: 'present'; readonly present: boolean }
    | { readonly kind: 'string'; readonly match: StringMatch };
}

export interface RouteMatch {
  readonly path: PathMatch;
  readonly headers: readonly HeaderMatch[];
  readonly queryParameters: readonly QueryParameterMatch[];
  /** runtime_fraction's default value, numerator over denominator; undefined: always. */
  readonly fraction: { readonly numerator: number; readonly denominator: number } | undefined;
}

/** What a route's requests go to. Weights of `weighted` are relative. */
export type ClusterSpecifier =
  | { readonly kind: 'cluster'; readonly name: string }
  | { readonly kind: 'cluster_header'; readonly header: string }
  | {
      readonly kind: 'weighted';
      readonly clusters: readonly {
        readonly name: string;
        readonly weight: number;
      }[];
    };

export type ProxyProtocolVersion = 'V1' | 'V2';

/** What an attempt may have come to for another one to follow. */
export const retryOnWords = [
  '5xx',
  'gateway-error',
  'connect-failure',
  'reset',
  'reset-before-request',
  'retriable-4xx',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
] as const;

/** The same by the gRPC status in the response's headers. */
export const retryGrpcOnWords = [
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
] as const;

export type RetryOn = (typeof retryOnWords)[number] | (typeof retryGrpcOnWords)[number];

/** envoy.config.route.v3.RetryPolicy. */
export interface RetryPolicy {
  readonly retryOn: readonly RetryOn[];
  readonly numRetries: number;
  /** 0 means none. Also of a request that is never retried. */
  readonly perTryTimeoutMs: number;
  readonly backOff: { readonly baseMs: number; readonly maxMs: number };
  readonly retriableStatusCodes: readonly number[];
  /** Of responses; one of them must match. */
  readonly retriableHeaders: readonly HeaderMatch[];
  /** Where there are any, one of them must match the request for it to be retried. */
  readonly retriableRequestHeaders: readonly HeaderMatch[];
  /** From the `previous_hosts` predicate. */
  readonly avoidPreviousHosts: boolean;
  /** How many more times a host is chosen when the first choice was one to avoid. */
  readonly hostSelectionMaxAttempts: number;
}

export interface ForwardAction {
  readonly kind: 'route';
  readonly cluster: ClusterSpecifier;
  readonly clusterNotFoundStatus: 503 | 404 | 500;
  /** 0 means none. */
  readonly timeoutMs: number;
  /** 0 means none; undefined: the connection manager's. */
  readonly idleTimeoutMs: number | undefined;
  readonly prefixRewrite: string | undefined;
  readonly regexRewrite: { readonly pattern: string; readonly substitution: string } | undefined;
  readonly hostRewrite: string | undefined;
  readonly priority: 'default' | 'high';
  /** undefined: the virtual host's, as a whole. */
  readonly retryPolicy: RetryPolicy | undefined;
  /** From upgrade_configs' CONNECT entry. */
  readonly connect: { readonly proxyProtocol: ProxyProtocolVersion | undefined } | undefined;
}

export interface DirectResponseAction {
  readonly kind: 'direct_response';
  readonly status: number;
  readonly body: Uint8Array;
}

export interface RedirectAction {
  readonly kind: 'redirect';
  readonly status: 301 | 302 | 303 | 307 | 308;
  readonly scheme: { readonly kind: 'https' } | { readonly kind: 'scheme'; readonly value: string } | undefined;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly path:
    | { readonly kind: 'path'; readonly value: string }
    | { readonly kind: 'prefix_rewrite'; readonly value: string }
    | {
        readonly kind: 'regex_rewrite';
        readonly pattern: string;
        readonly substitution: string;
      }
    | undefined;
  readonly stripQuery: boolean;
}

/** Header changes of a route, virtual host or route configuration; values are literal. */
export interface HeaderMutations {
  readonly add: readonly {
    readonly name: string;
    readonly value: string;
    readonly action: 'append' | 'add_if_absent' | 'overwrite' | 'overwrite_if_exists';
  }[];
  readonly remove: readonly string[];
}

export interface Route {
  readonly name: string;
  readonly match: RouteMatch;
  readonly action: ForwardAction | DirectResponseAction | RedirectAction;
  /** Bounds whole-body buffering of the request; undefined: the virtual host's, else the listener's. */
  readonly requestBufferLimitBytes: number | undefined;
  readonly requestHeaders: HeaderMutations;
  readonly responseHeaders: HeaderMutations;
}

export interface VirtualHost {
  readonly name: string;
  /** As in the resource: `host`, `host:port`, `*.suffix`, `prefix.*`, `*`. */
  readonly domains: readonly string[];
  readonly routes: readonly Route[];
  readonly requireTls: 'NONE' | 'EXTERNAL_ONLY' | 'ALL';
  readonly requestBufferLimitBytes: number | undefined;
  readonly retryPolicy: RetryPolicy | undefined;
  /** Servers are told which attempt it is: x-envoy-attempt-count. */
  readonly includeRequestAttemptCount: boolean;
  /** Clients are told how many attempts there were. */
  readonly includeAttemptCountInResponse: boolean;
  /** Servers are told, with a retry, whether the attempt before it timed out: x-envoy-is-timeout-retry. */
  readonly includeIsTimeoutRetryHeader: boolean;
  readonly requestHeaders: HeaderMutations;
  readonly responseHeaders: HeaderMutations;
}

/** envoy.config.route.v3.RouteConfiguration. */
export interface RouteConfiguration {
  readonly name: string;
  readonly virtualHosts: readonly VirtualHost[];
  readonly ignorePortInHostMatching: boolean;
  readonly maxDirectResponseBodySizeBytes: number;
  readonly requestHeaders: HeaderMutations;
  readonly responseHeaders: HeaderMutations;
}
