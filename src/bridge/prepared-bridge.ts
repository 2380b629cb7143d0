import type { BridgeConfig } from '../model/cluster.js';
import type { Problem } from '../model/verdict.js';
import type { FrameProtocol } from '../upstream/frame-protocol.js';
import type { BridgeCallbacks, HttpTcpBridge } from './api.js';

/** A library's content in a place where nobody changes it any more: what other processes load instead of the file that was judged. */
export interface StoredLibrary {
  readonly kind: 'script' | 'go';
  /** The real path that it came from: for people, and what a script's imports of packages are relative to. */
  readonly path: string;
  readonly hash: string;
  /** The copy: a bundle as JSON, or the shared object. Its name has the hash in it. */
  readonly file: string;
}

/** A plugin and a configuration that were found good. Whoever it was given to releases it, once. */
export interface JudgedBridge {
  /** Identity of what runs (library content, plugin, meaning of its configuration): equal ids can stand for each other, as Pipeline.id in upstream/. */
  readonly id: string;
  readonly config: BridgeConfig;
  /** Hash of the library's content: part of the cluster's identity. */
  readonly libraryHash: string;
  release(): void;
}

/** What judging left of it for other processes; see `storeFolder` of the judge. */
export interface StoredBridge extends JudgedBridge {
  readonly library: StoredLibrary;
}

/**
 * Says whose call is on the stack: `cell[0]` is `number` while a plugin's code runs and 0 otherwise. In a worker the cell is memory
 * that the main process can read after the worker has crashed or while it hangs.
 */
export interface CallMark {
  readonly cell: Uint32Array;
  readonly number: number;
}

/**
 * A plugin with its configuration parsed, ready to make bridges: what the judge found good and the cluster then runs on.
 * It is released when its last exchange has ended.
 */
export interface PreparedBridge extends JudgedBridge {
  readonly mark: CallMark;
  readonly maxResponseBuffer: number;
  /** How exchanges share connections; without it each has one to itself. */
  readonly frames?: FrameProtocol | undefined;
  /** Makes a stack trace of the plugin readable: places in the bundle become places in its source files. */
  readonly mapStack?: (stack: string) => string;
  /** May throw: a plugin error of that exchange. */
  createBridge(callbacks: BridgeCallbacks): HttpTcpBridge;
}

/** Judges libraries and plugin configurations. */
export interface BridgeJudge<B extends JudgedBridge = JudgedBridge> {
  /** Never rejects: what is wrong with the library or its configuration comes back as problems with paths inside `Config`. */
  prepare(
    config: BridgeConfig,
  ): Promise<{ readonly ok: true; readonly bridge: B } | { readonly ok: false; readonly problems: readonly Problem[] }>;
  /** The content hash of the file now, to see whether an unchanged resource must be judged again; undefined when it can't be read. */
  currentHash(config: BridgeConfig): Promise<string | undefined>;
}

/** Loads libraries and parses plugin configurations: one runtime for scripts, one for Go libraries, and both as one in runtime.ts. */
export interface BridgeRuntime extends BridgeJudge<PreparedBridge> {
  /** Takes over what another process has judged and stored: it is opened and parsed, not judged, and where it came from is not looked at. */
  prepareStored(
    config: BridgeConfig,
    library: StoredLibrary,
    mark: CallMark,
  ): ReturnType<BridgeJudge<PreparedBridge>['prepare']>;
}
