import type { AccessLogManager } from '../access-log/access-logger.js';
import type { PreparedBridge } from '../bridge/prepared-bridge.js';
import { createBridgeRuntime } from '../bridge/runtime.js';
import type { Clock } from '../clock.js';
import type { Http1CodecName } from '../http/http1-codec.js';
import type { Logging } from '../log.js';
import type { Schema } from '../protobuf/schema.js';
import type { AdoptSocket } from '../sockets/stream-socket.js';
import type { StatsStore } from '../stats/store.js';
import type { Plane } from './plane.js';
import { createRequestPath } from './request-path.js';
import { unpackPluginConfig } from './unpack-plugin-config.js';

export interface LocalPlaneOptions {
  readonly schema: Schema;
  readonly logging: Logging;
  readonly clock: Clock;
  readonly stats: StatsStore;
  readonly accessLogs: AccessLogManager;
  readonly pluginRoots: readonly string[];
  readonly maxGoLibraries: number;
  readonly http1Codec: Http1CodecName;
  readonly adoptSocket: AdoptSocket;
}

/** One process does everything. */
export function createLocalPlane(options: LocalPlaneOptions): Plane<PreparedBridge> {
  const { schema, logging, clock, stats, accessLogs, pluginRoots, maxGoLibraries } = options;
  const { http1Codec, adoptSocket } = options;
  const judge = createBridgeRuntime({
    log: logging.logger('bridge'),
    goLog: logging.logger('golang'),
    watchLogLevel: (listener) => logging.watchLevel('golang', listener),
    stats,
    unpackPluginConfig: (typeUrl, value) => unpackPluginConfig(schema, typeUrl, value),
    pluginRoots,
    maxGoLibraries,
    cwd: process.cwd(),
  });
  return {
    judge,
    followers: undefined,
    serveWith: (clusters) => ({
      ...createRequestPath({ stats, logging, clock, accessLogs, http1Codec, adoptSocket, clusters }),
      clusters,
    }),
    followSecret: undefined,
    followRoutes: (subscribe) => subscribe,
    logging,
    reopenLogs: () => accessLogs.reopen(),
    collect: undefined,
    rolledBack: () => undefined,
    retryRolledBack: () => Promise.resolve(),
    workers: undefined,
    start: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
