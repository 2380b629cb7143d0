import type { DownstreamStream } from '../bridge/stream.js';
import type { ServerTls } from '../tls/server-tls.js';

/** What answers the requests of one filter chain. */
export interface ChainRoutes {
  /** undefined: plain text. */
  readonly tls?: ServerTls | undefined;
  /** Called for every request. */
  handle(stream: DownstreamStream): void;
}

/** What answers the requests of one version of a listener, and what else it needs from outside. */
export interface RouteProvider {
  /**
   * Resolves when the version can serve: its requests can be routed (RDS: the route configuration came, or its fetch timeout passed), and it
   * has its certificates. Undefined: it can already.
   */
  readonly ready: Promise<void> | undefined;
  /** Resolves when what is missing did not come in time, so that nothing else should wait for the version any more. */
  readonly overdue?: Promise<void> | undefined;
  /** What is missing, for people; absent: its routes. */
  waitingFor?(): readonly string[];
  /** In the order of the listener's filter chains. */
  readonly chains: readonly ChainRoutes[];
  /** The version was replaced or removed, and its last request has ended. Called once, also for one that never was ready. */
  close(): void;
}
