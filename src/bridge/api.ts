/**
 * The API of script libraries, for `import type { … } from 'pontoon'`. It mirrors Envoy's Golang HTTP-TCP bridge (`HttpTcpBridge`); a library is a module with
 * one named export, `bridges`: a record from plugin name to plugin.
 */

/** What a call answers: 0 Continue, 1 StopAndBuffer, 2 EndStream. No answer (undefined) means Continue. */
export type HttpTcpBridgeStatus = 0 | 1 | 2;

export type Bytes = string | Uint8Array;

/** Read-only headers; names are lower-case. */
export interface RequestHeaderMap {
  /** The first value, or undefined. */
  get(name: string): string | undefined;
  values(name: string): string[];
  /** Stops when `visit` returns false. */
  range(visit: (name: string, value: string) => boolean | undefined): void;
  getAllHeaders(): Record<string, string[]>;
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly scheme: string;
}

/** Response headers; may be read and changed until they are sent, and throw afterwards. */
export interface ResponseHeaderMap {
  get(name: string): string | undefined;
  values(name: string): string[];
  range(visit: (name: string, value: string) => boolean | undefined): void;
  getAllHeaders(): Record<string, string[]>;
  /** The `:status` that will be sent; setting it takes 200–599. */
  status: number;
  set(name: string, value: string): void;
  add(name: string, value: string): void;
  del(name: string): void;
}

/** Bytes that belong to one call: valid until it returns. What is handed in is copied, but for a view of the buffer's own bytes given to `set`. */
export interface BufferInstance {
  len(): number;
  /** The bytes as they are, not copied: copy what must outlive the call. */
  bytes(): Buffer;
  toString(): string;
  set(data: Bytes): void;
  append(data: Bytes): void;
  prepend(data: Bytes): void;
  /** Removes the first `n` bytes. */
  drain(n: number): void;
  reset(): void;
}

export interface BridgeCallbacks {
  /** The name of the RouteConfiguration. */
  getRouteName(): string;
  /** The name of the chosen cluster (sic: as Envoy's). */
  getVirtualClusterName(): string;
  /**
   * Close our sending side with the write that ends the request; we go on reading. Default false.
   * Switched on after that write, it only says that this connection must not serve another exchange.
   */
  setSelfHalfCloseForUpstreamConn(enabled: boolean): void;
  /**
   * Whether the server may do this request twice, which the HTTP method does not tell for every protocol. Without a word, a stale pooled connection is replaced for
   * idempotent HTTP methods, and the route's retry policy decides about retries. `true`: a stale connection is replaced whatever the method; say so before
   * `encodeHeaders` returns. `false`: once a byte of it was written, the request is never sent again, whatever the retry policy says; may be said at any time.
   */
  setIdempotent(idempotent: boolean): void;
  /**
   * Answers the client without the server; valid in any call until headers are out. The status that the call then returns is ignored.
   * Statuses are 200-599. In `onUpstreamData`, bytes that are left in the buffer count as unread: the connection is closed. Drain it to let it be used again.
   */
  sendLocalReply(status: number, body: Bytes, headers?: Record<string, string | string[]>): void;
  log(level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'critical', text: string): void;
}

/** One per attempt. Calls are synchronous and never overlap; a missing one passes through (Continue). */
export interface HttpTcpBridge {
  encodeHeaders?(
    headers: RequestHeaderMap,
    dataForSet: BufferInstance,
    endOfStream: boolean,
  ): HttpTcpBridgeStatus | undefined;
  encodeData?(buffer: BufferInstance, endOfStream: boolean): HttpTcpBridgeStatus | undefined;
  onUpstreamData?(
    responseHeaders: ResponseHeaderMap,
    buffer: BufferInstance,
    endOfStream: boolean,
  ): HttpTcpBridgeStatus | undefined;
  /** Exactly once, last. */
  onDestroy?(): void;
}

/** A cluster's plugin_config. */
export interface PluginConfig {
  /** '' when there is none. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
  /** A TypedStruct as the plain object of its Struct, another known message as plain JSON; undefined when there is none. Throws on a type that is not known. */
  unpack(): unknown;
}

export interface BridgePlugin<Config = unknown> {
  /** Throws to reject the configuration; the error's message goes to the control plane. Without it, `createBridge` gets the PluginConfig itself. */
  parseConfig?(config: PluginConfig): Config;
  createBridge(config: Config, callbacks: BridgeCallbacks): HttpTcpBridge;
  /** Bound of a StopAndBuffer response in bytes, instead of 16 MiB. */
  maxResponseBuffer?: number;
}

/** What a library exports as `bridges`: `export const bridges = { … } satisfies BridgeLibrary`. */
// biome-ignore lint/suspicious/noExplicitAny: each plugin has a configuration type of its own
export type BridgeLibrary = Record<string, BridgePlugin<any>>;
