import { type FSWatcher, watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Timer } from '../clock.js';
import { type AdsClient, type ClientOptions, clientOver, createMux } from './ads-client.js';
import { largestResponse } from './channel.js';
import type { DiscoveryRequest } from './discovery.js';
import { sotw } from './sotw-subscription.js';
import type { Variant } from './subscription.js';

export interface FileClientOptions extends ClientOptions {
  readonly path: string;
  /** What is watched for files that are moved in; by default the folder of `path`, for that name alone. */
  readonly watchedDirectory: string | undefined;
  /** For file systems that tell of no changes. */
  readonly pollIntervalMs?: number | undefined;
  readonly typeUrl: string;
  /** The file's content as a serialized DiscoveryResponse. Throws an Error that says what is wrong. */
  decode(content: Buffer): Uint8Array;
}

/** A swap is several events, and a file that is written in place is not complete at the first. */
const settleMs = 50;
/** After a watch that failed (the folder is gone), and for a file that can't be read. */
const retryMs = 5_000;

/** A file has all there is, also of types whose streams bring single resources: what it leaves out does not exist. */
const fileVariant: Variant = {
  ...sotw,
  unpack: (bytes) => ({ ...sotw.unpack(bytes), listsAll: true }),
};

/**
 * A config source that is a file with a DiscoveryResponse. It is read at the start, and again when another file is moved to its place (or
 * into the watched directory), as Envoy does: https://www.envoyproxy.io/docs/envoy/latest/configuration/overview/xds_api (filesystem)
 */
export function createFileClient(options: FileClientOptions): AdsClient {
  const { log, path } = options;
  const { mux, showConnected } = createMux(options, {
    variant: fileVariant,
    onlyType: options.typeUrl,
    node: {},
    nodeInEveryRequest: false,
    rateLimit: undefined,
  });
  const file = new WatchedFile(options, {
    onContent(content) {
      let decoded: Uint8Array;
      try {
        decoded = options.decode(content);
      } catch (error) {
        failed(error instanceof Error ? error.message : String(error));
        return;
      }
      bytes = Buffer.from(decoded);
      failure = '';
      if (!connected) {
        connected = true;
        showConnected(true);
        mux.streamStarted();
      }
      deliver();
    },
    onFailure: failed,
  });
  let bytes: Buffer | undefined;
  let connected = false;
  let asked: readonly string[] | undefined;
  let scheduled = false;
  let failure = '';

  /**
   * Nothing that ran is touched by a file that can't be read, and nothing waits for it: starting goes on, as in Envoy
   * (https://github.com/envoyproxy/envoy/blob/main/source/extensions/config_subscription/filesystem/filesystem_subscription_impl.cc).
   */
  function failed(reason: string): void {
    const level = reason === failure ? 'debug' : 'error';
    const goesOn = bytes ? 'what it said before goes on' : 'nothing waits for it; it is read again when it changes';
    log[level]({ path, reason }, `an xDS file cannot be used: ${goesOn}`);
    failure = reason;
    mux.attemptFailed();
    if (!bytes) mux.giveUp(reason);
  }
  function deliver(): void {
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(() => {
      scheduled = false;
      if (connected && asked && bytes) mux.receive(bytes);
    });
  }
  mux.attach({
    get connected() {
      return connected;
    },
    /** A request for other names is answered by the same file; an answer is not. */
    send(message) {
      const { resource_names: names } = options.codec.decode<DiscoveryRequest>(sotw.requestType, message);
      const before = asked;
      asked = names;
      const known = new Set(before);
      if (known.size !== names.length || names.some((name) => !known.has(name))) deliver();
      return true;
    },
    setPaused: () => undefined,
    succeeded: () => undefined,
    abandon: failed,
  });
  const source = {
    get connected() {
      return connected;
    },
    start: () => file.start(),
    close() {
      connected = false;
      file.close();
    },
  };
  const client = clientOver(mux, source, showConnected);
  return {
    ...client,
    get connected() {
      return connected;
    },
    subscribe(type, names, watcher) {
      const watch = client.subscribe(type, names, watcher);
      // It was found out before: who comes later hears of it once it has its handle.
      if (failure !== '' && !bytes) queueMicrotask(() => failure !== '' && !bytes && mux.giveUp(failure));
      return watch;
    },
  };
}

interface FileHandlers {
  onContent(content: Buffer): void;
  onFailure(reason: string): void;
}

/** Tells a file's content, at first and after each swap. */
class WatchedFile {
  readonly #options: FileClientOptions;
  readonly #handlers: FileHandlers;
  #watcher: FSWatcher | undefined;
  #timer: Timer | undefined;
  #pollTimer: Timer | undefined;
  #last: Buffer | undefined;
  #reading: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: FileClientOptions, handlers: FileHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  start(): void {
    this.#watch();
    this.#read();
    this.#poll();
  }

  close(): void {
    this.#closed = true;
    this.#watcher?.close();
    this.#timer?.cancel();
    this.#pollTimer?.cancel();
  }

  #poll(): void {
    const { clock, pollIntervalMs } = this.#options;
    if (!pollIntervalMs || this.#closed) return;
    this.#pollTimer = clock.setTimeout(() => {
      this.#read();
      this.#poll();
    }, pollIntervalMs);
  }

  #watch(): void {
    const { path, watchedDirectory } = this.#options;
    const name = basename(path);
    const lost = (error: Error) => {
      this.#watcher?.close();
      this.#watcher = undefined;
      this.#options.log.warn({ path, err: error, retryMs }, 'the folder of an xDS file cannot be watched');
      this.#after(retryMs, () => {
        this.#watch();
        this.#read();
      });
    };
    try {
      this.#watcher = watch(watchedDirectory ?? dirname(path), (event, changed) => {
        if (watchedDirectory === undefined && changed !== null && changed !== name) return;
        // Writing in place is no swap, but one that goes on is waited for.
        if (event === 'rename' || this.#timer) this.#after(settleMs, () => this.#read());
      });
      this.#watcher.on('error', lost);
      // The listener alone keeps no process alive.
      this.#watcher.unref();
    } catch (error) {
      lost(error as Error);
    }
  }

  #after(ms: number, then: () => void): void {
    this.#timer?.cancel();
    if (this.#closed) return;
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      then();
    }, ms);
  }

  #read(): void {
    this.#reading = this.#reading.then(() => this.#readOnce());
  }

  async #readOnce(): Promise<void> {
    const { path } = this.#options;
    try {
      const { size } = await stat(path);
      if (size > largestResponse) throw new Error(`${path} is ${size} bytes; the maximum is ${largestResponse}`);
      const content = await readFile(path);
      if (this.#closed || this.#last?.equals(content)) return;
      this.#last = content;
      this.#handlers.onContent(content);
    } catch (error) {
      if (this.#closed) return;
      this.#last = undefined;
      this.#handlers.onFailure(error instanceof Error ? error.message : String(error));
      if (!this.#timer) this.#after(retryMs, () => this.#read());
    }
  }
}
