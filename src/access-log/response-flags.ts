/**
 * Envoy's response flags, as bits so that several can be set. The short names are what %RESPONSE_FLAGS% prints. Envoy prints them in the order in which they were
 * set: those about retries come before what the last attempt came to.
 */
export const responseFlags = {
  URX: 1 << 15, // upstream retry limit exceeded
  UO: 1 << 7, // upstream overflow
  LH: 1 << 0, // failed local health check
  UH: 1 << 1, // no healthy upstream
  UT: 1 << 2, // upstream request timeout
  LR: 1 << 3, // local reset
  UR: 1 << 4, // upstream remote reset
  UF: 1 << 5, // upstream connection failure
  UC: 1 << 6, // upstream connection termination
  NR: 1 << 8, // no route found
  DI: 1 << 9, // delay injected
  FI: 1 << 10, // fault injected
  RL: 1 << 11, // rate limited
  UAEX: 1 << 12, // unauthorized by external service
  RLSE: 1 << 13, // rate limit service error
  DC: 1 << 14, // downstream connection termination
  SI: 1 << 16, // stream idle timeout
  IH: 1 << 17, // invalid Envoy request headers
  DPE: 1 << 18, // downstream protocol error
  UMSDR: 1 << 19, // upstream max stream duration reached
  RFCF: 1 << 20, // response from cache filter
  NFCF: 1 << 21, // no filter config found
  DT: 1 << 22, // duration timeout
  UPE: 1 << 23, // upstream protocol error
  NC: 1 << 24, // no cluster found
  OM: 1 << 25, // overload manager
  DF: 1 << 26, // DNS resolution failed
  DO: 1 << 27, // dropped overload
  DR: 1 << 28, // downstream remote reset
} as const;

/** A bit set of `responseFlags`. */
export type ResponseFlag = number;

/** `URX,UF`, in Envoy's order, or `-` for none. */
export function formatResponseFlags(flags: ResponseFlag): string {
  if (flags === 0) return '-';
  return Object.entries(responseFlags)
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name]) => name)
    .join(',');
}

/** What %RESPONSE_FLAGS_LONG% prints. */
const longNames: Record<keyof typeof responseFlags, string> = {
  LH: 'FailedLocalHealthCheck',
  UH: 'NoHealthyUpstream',
  UT: 'UpstreamRequestTimeout',
  LR: 'LocalReset',
  UR: 'UpstreamRemoteReset',
  UF: 'UpstreamConnectionFailure',
  UC: 'UpstreamConnectionTermination',
  UO: 'UpstreamOverflow',
  NR: 'NoRouteFound',
  DI: 'DelayInjected',
  FI: 'FaultInjected',
  RL: 'RateLimited',
  UAEX: 'UnauthorizedExternalService',
  RLSE: 'RateLimitServiceError',
  DC: 'DownstreamConnectionTermination',
  URX: 'UpstreamRetryLimitExceeded',
  SI: 'StreamIdleTimeout',
  IH: 'InvalidEnvoyRequestHeaders',
  DPE: 'DownstreamProtocolError',
  UMSDR: 'UpstreamMaxStreamDurationReached',
  RFCF: 'ResponseFromCacheFilter',
  NFCF: 'NoFilterConfigFound',
  DT: 'DurationTimeout',
  UPE: 'UpstreamProtocolError',
  NC: 'NoClusterFound',
  OM: 'OverloadManagerTerminated',
  DF: 'DnsResolutionFailed',
  DO: 'DropOverload',
  DR: 'DownstreamRemoteReset',
};

/** `UpstreamConnectionFailure,…` in Envoy's order, or `-` for none. */
export function formatLongResponseFlags(flags: ResponseFlag): string {
  if (flags === 0) return '-';
  return formatResponseFlags(flags)
    .split(',')
    .map((name) => longNames[name as keyof typeof responseFlags])
    .join(',');
}
