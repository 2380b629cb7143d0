import type { BridgeConfig } from '../model/cluster.js';
import type { Problem } from '../model/verdict.js';
import type { FrameProtocol } from '../upstream/frame-protocol.js';
import type { BridgeCallbacks, HttpTcpBridge } from './api.js';

/**
 * A plugin with its configuration parsed, ready to make bridges: what the judge found good and the cluster then runs on.
 * Whoever it was given to releases it, once, when its last exchange has ended.
 */
export interface PreparedBridge {
  /** Identity of what runs (library content, plugin, meaning of its configuration): equal ids can stand for each other, as Pipeline.id in upstream/. */
  readonly id: string;
  readonly config: BridgeConfig;
  /** Hash of the library's content: part of the cluster's identity. */
  readonly libraryHash: string;
  readonly maxResponseBuffer: number;
  /** How exchanges share connections; without it each has one to itself. */
  readonly frames?: FrameProtocol | undefined;
  /** Makes a stack trace of the plugin readable: places in the bundle become places in its source files. */
  readonly mapStack?: (stack: string) => string;
  /** May throw: a plugin error of that exchange. */
  createBridge(callbacks: BridgeCallbacks): HttpTcpBridge;
  release(): void;
}

/** Loads libraries and parses plugin configurations: one runtime for scripts, one for Go libraries, and both as one in runtime.ts. */
export interface BridgeRuntime {
  /** Never rejects: what is wrong with the library or its configuration comes back as problems with paths inside `Config`. */
  prepare(
    config: BridgeConfig,
  ): Promise<
    | { readonly ok: true; readonly bridge: PreparedBridge }
    | { readonly ok: false; readonly problems: readonly Problem[] }
  >;
  /** The content hash of the file now, to see whether an unchanged resource must be judged again; undefined when it can't be read. */
  currentHash(config: BridgeConfig): Promise<string | undefined>;
}
