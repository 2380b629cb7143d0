import type { Clock, Timer } from '../../clock.js';
import type { Logger } from '../../log.js';
import type { Schema } from '../../protobuf/schema.js';
import type { StatsStore } from '../../stats/store.js';
import { type ClusterLoadsOptions, createClusterLoads } from '../../upstream/cluster-load.js';
import type { ClusterStatus } from '../../upstream/cluster-manager.js';
import { AdsStream, type StreamOptions } from '../../xds/ads-stream.js';
import { type ReportedCluster, writeLoadStatsRequest } from './load-stats-request.js';

const method = '/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats';
const responseType = 'envoy.service.load_stats.v3.LoadStatsResponse';

/** A server that asks for reports without a pause gets one this often. Envoy sends as fast as it can. */
const shortestIntervalMs = 100;

export interface LoadReporterOptions {
  readonly channel: StreamOptions['channels'][0];
  readonly retry: StreamOptions['retry'];
  /** The message envoy.config.core.v3.Node. */
  readonly node: object;
  readonly schema: Schema;
  readonly clock: Clock;
  /** From 0 up to but not including 1. */
  readonly random: () => number;
  readonly stats: StatsStore;
  readonly log: Logger;
  readonly clusters: {
    snapshot(): readonly ClusterStatus[];
    status(name: string): ClusterStatus | undefined;
  };
  readonly droppedOf: ClusterLoadsOptions['droppedOf'];
  /** Brings the numbers of `clusters` up to date. undefined: they always are. */
  readonly collect: (() => Promise<void>) | undefined;
}

export interface LoadReporter {
  start(): void;
  close(): void;
}

interface LoadStatsResponse {
  readonly clusters: readonly string[];
  readonly send_all_clusters: boolean;
  readonly load_reporting_interval: { readonly seconds: string; readonly nanos: number } | null;
  readonly report_endpoint_granularity: boolean;
}

function intervalMsOf({ load_reporting_interval: interval }: LoadStatsResponse): number {
  const ms = interval === null ? 0 : Number(interval.seconds) * 1000 + interval.nanos / 1_000_000;
  return Math.max(ms, shortestIntervalMs);
}

/** The name is optional for clusters of which it is the same; a control plane takes the cluster's then. */
function serviceNameOf({ name, active }: ClusterStatus): string | undefined {
  const discovery = active?.config.discovery;
  return discovery?.type === 'EDS' && discovery.serviceName !== name ? discovery.serviceName : undefined;
}

/**
 * Tells a server how much load each cluster had, as often and of which clusters it asks. Envoy's LoadStatsReporter:
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/load_stats/v3/lrs.proto
 *
 * Nothing that was counted is lost while the server is away or does not read: it is in the next report. Different from Envoy, which also keeps
 * silent of localities without a new request, and of a cluster's first interval when all clusters are asked for.
 */
export function createLoadReporter(options: LoadReporterOptions): LoadReporter {
  const { schema, clock, random, stats, log, clusters, collect } = options;
  const counts = {
    requests: stats.counter('load_reporter.requests'),
    responses: stats.counter('load_reporter.responses'),
    errors: stats.counter('load_reporter.errors'),
    retries: stats.counter('load_reporter.retries'),
  };
  const loads = createClusterLoads({ droppedOf: options.droppedOf, countsHostsThatLeft: collect === undefined });
  /** Since when each cluster is counted, ms. */
  let tracked = new Map<string, number>();
  let asked: LoadStatsResponse | undefined;
  /** When the clusters that are there were last looked through. */
  let lookedAt = 0;
  /** Changes with every stream, so that what began on one does not go out on another. */
  let streamNumber = 0;
  let writable = true;
  let timer: Timer | undefined;
  /** Reports and answers take turns. */
  let last: Promise<void> = Promise.resolve();

  const stream = new AdsStream({
    method,
    channels: [options.channel],
    retry: options.retry,
    somethingMissing: () => false,
    clock,
    random,
    log,
    handlers: {
      onConnected() {
        writable = true;
        const number = ++streamNumber;
        inTurn(() => report(number));
      },
      onMessage,
      onWritable() {
        writable = true;
      },
      onDisconnected(ended) {
        streamNumber++;
        timer?.cancel();
        counts.retries.value++;
        if (!ended) counts.errors.value++;
      },
    },
  });

  function inTurn(work: () => Promise<void>): void {
    last = last.then(work).catch((error: unknown) => log.error({ err: error }, 'no load report'));
  }

  const active = (): readonly ClusterStatus[] => clusters.snapshot().filter((status) => status.active);

  function onMessage(bytes: Buffer): void {
    let response: LoadStatsResponse;
    try {
      response = schema.decode(responseType, bytes);
    } catch (error) {
      stream.abandon(error instanceof Error ? error.message : String(error));
      return;
    }
    stream.succeeded();
    counts.requests.value++;
    // One answer at a time: a server that sends many waits.
    stream.setPaused(true);
    const number = streamNumber;
    inTurn(async () => {
      await collect?.();
      stream.setPaused(false);
      if (number !== streamNumber) return;
      asked = response;
      beginPeriod(response);
      waitForReport(number, response);
    });
  }

  /** Clusters that were asked for before go on, others begin. */
  function beginPeriod({ send_all_clusters: all, clusters: names }: LoadStatsResponse): void {
    const now = clock.monotonic();
    const before = tracked;
    tracked = new Map();
    lookedAt = now;
    for (const name of all ? active().map((status) => status.name) : names) {
      const since = before.get(name);
      tracked.set(name, since ?? now);
      const status = since === undefined ? clusters.status(name) : undefined;
      if (status?.active) loads.begin(status);
    }
    for (const name of before.keys()) if (!tracked.has(name)) loads.forget(name);
  }

  /** Where all are asked for: those that came are counted from their beginning, those that went are forgotten. */
  function trackAll(): void {
    const now = new Set<string>();
    for (const { name } of active()) {
      now.add(name);
      if (!tracked.has(name)) tracked.set(name, lookedAt);
    }
    for (const name of tracked.keys()) {
      if (now.has(name)) continue;
      tracked.delete(name);
      loads.forget(name);
    }
    lookedAt = clock.monotonic();
  }

  function waitForReport(number: number, response: LoadStatsResponse): void {
    timer?.cancel();
    timer = clock.setTimeout(() => inTurn(() => report(number)), intervalMsOf(response));
  }

  function* readClusters(taken: (() => void)[]): Generator<ReportedCluster> {
    for (const [name, since] of tracked) {
      const status = clusters.status(name);
      if (!status?.active) continue;
      const now = clock.monotonic();
      const load = loads.read(status);
      taken.push(() => {
        load.take();
        tracked.set(name, now);
      });
      yield { name, serviceName: serviceNameOf(status), load, intervalMs: now - since };
    }
  }

  async function report(number: number): Promise<void> {
    if (number !== streamNumber) return;
    // Without an answer yet, the first message says who is there.
    const answer = asked;
    if (writable) {
      if (answer) await collect?.();
      if (answer?.send_all_clusters) trackAll();
      const taken: (() => void)[] = [];
      const endpoints = answer?.report_endpoint_granularity === true;
      const bytes = await writeLoadStatsRequest(schema, options.node, readClusters(taken), endpoints);
      if (number !== streamNumber) return;
      writable = stream.send(bytes);
      for (const take of taken) take();
      counts.responses.value++;
    }
    if (answer) waitForReport(number, answer);
  }

  return {
    start: () => stream.start(),
    close() {
      streamNumber++;
      timer?.cancel();
      stream.close();
    },
  };
}
