import type { DownstreamStream } from '../bridge/stream.js';

/** What answers the requests of one version of a listener. */
export interface RouteProvider {
  /** Resolves when requests can be routed (RDS: the route configuration came, or its fetch timeout passed). Undefined: they can already. */
  readonly ready: Promise<void> | undefined;
  /** Called for every request of the version. */
  handle(stream: DownstreamStream): void;
  /** The version was replaced or removed, and its last request has ended. Called once, also for one that never was ready. */
  close(): void;
}
