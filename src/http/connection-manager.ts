import type { AccessLogger } from '../access-log/access-logger.js';
import type { DownstreamStream } from '../bridge/stream.js';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { HttpConnectionManager } from '../model/listener.js';
import type { StatsStore } from '../stats/store.js';
import { createHttpStats, createListenerHttpStats, type HttpStats, type ListenerHttpStats } from './http-stats.js';
import { createHttp1Codec, type Http1CodecName } from './http1-codec.js';
import type { Http1Codec } from './request-parser.js';
import { createDateSource } from './response-headers.js';
import { WrittenHeads } from './written-heads.js';

/** Answers requests: called once per request, whose body is not read before `stream.start`. May throw: that request gets a 500. */
export type StreamHandler = (stream: DownstreamStream) => void;

export interface ConnectionManagerOptions {
  readonly config: HttpConnectionManager;
  /** Of the filter chain, for access logs. */
  readonly filterChainName?: string;
  readonly stats: StatsStore;
  /** Scoped to the listener, for `listener.<address>.http.<stat_prefix>.*`. */
  readonly listenerStats: StatsStore;
  readonly log: Logger;
  readonly clock: Clock;
  readonly accessLogger: AccessLogger;
  readonly handle: StreamHandler;
  /** Stands for loopback clients in x-forwarded-for; see `localAddress()`. */
  readonly localAddress: string;
  /** 'own' unless set. */
  readonly http1Codec: Http1CodecName;
  /** Retired, and its last request has ended. */
  readonly onUnused?: () => void;
}

/** One version of an HttpConnectionManager, ready to serve. A request stays with the version that it began on. */
export interface ConnectionManager {
  readonly config: HttpConnectionManager;
  readonly filterChainName: string;
  readonly stats: HttpStats;
  readonly listenerStats: ListenerHttpStats;
  readonly log: Logger;
  readonly clock: Clock;
  readonly accessLogger: AccessLogger;
  readonly handle: StreamHandler;
  readonly localAddress: string;
  readonly codec: Http1Codec;
  /** Of its responses. */
  readonly writtenHeads: WrittenHeads;
  /** The Date header's text. */
  date(): string;
  /** A request begins, ends. */
  retain(): void;
  release(): void;
  /** No request will begin any more. */
  retire(): void;
}

export function createConnectionManager(options: ConnectionManagerOptions): ConnectionManager {
  const { config, clock } = options;
  let requests = 0;
  let retired = false;
  const checkUnused = (): void => {
    if (retired && requests === 0) options.onUnused?.();
  };
  return {
    config,
    filterChainName: options.filterChainName ?? '',
    clock,
    stats: createHttpStats(options.stats, config.statPrefix),
    listenerStats: createListenerHttpStats(options.listenerStats, config.statPrefix),
    log: options.log,
    accessLogger: options.accessLogger,
    handle: options.handle,
    localAddress: options.localAddress,
    codec: createHttp1Codec(options.http1Codec, config.maxRequestHeadersBytes),
    writtenHeads: new WrittenHeads(),
    date: createDateSource(clock),
    retain: () => {
      requests++;
    },
    release: () => {
      requests--;
      checkUnused();
    },
    retire: () => {
      if (retired) return;
      retired = true;
      checkUnused();
    },
  };
}
