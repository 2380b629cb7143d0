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

/** Bytes that belong to one call: usable until it returns. What is handed in is copied, but for a view of the buffer's own bytes given to `set`. */
export interface BufferInstance {
  len(): number;
  /** All bytes in one place. What is changed in it is changed in the buffer, as long as the call lasts. */
  bytes(): Buffer;
  /** A copy of some bytes, fewer where the buffer ends before. To look at a header it costs less than `bytes()`, which may have to copy all that is there. */
  copyOut(start: number, length: number): Buffer;
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
   * The server will not answer this request. When it's written, `onUpstreamData` is called once, with an empty buffer and `endOfStream`. Default false; read
   * with the write that ends the request.
   */
  setOneWay(oneWay: boolean): void;
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

/** Whatever a protocol tells its requests apart by. */
export type FrameId = number | bigint;

/** Ids by which a server's answers are told apart. The bridges of a plugin may all use the same one: on a connection each request gets one of ours, its answer the bridge's own again. */
export interface FrameIds {
  /** The id of the frame that begins with `bytes`, of which `frameLength` has told the length. undefined: more bytes are needed. */
  readId(bytes: Buffer): FrameId | undefined;
  /** Writes an id in place: where `readId` found it, and as long. */
  writeId(bytes: Buffer, id: FrameId): void;
  /** The largest id that fits; 2147483647 unless set. */
  maxId?: number;
}

/**
 * How the exchanges of a protocol share connections: a request is one frame, and so is its answer. Functions get bytes that begin with a frame, as far as it has
 * come, perhaps with more frames behind it; they must not keep them. What one throws means that the bytes are none of the protocol's.
 */
export interface Multiplexing {
  /** Bytes of the whole first frame; undefined: more are needed to tell. Asked about requests and answers. */
  frameLength(bytes: Buffer): number | undefined;
  /** `in_order`: the server answers one request after the other, in the order in which they came. */
  correlation: 'in_order' | FrameIds;
  /** Exchanges on one connection at a time; 100 unless set. */
  maxInFlight?: number;
  /** `in_order` only: how long the answer that is next may keep the others waiting, milliseconds without a byte of it. The connection is closed then. 10000 unless set. */
  answerTimeoutMs?: number;
  /**
   * Requests whose `content-length` is larger, in bytes, are written as the bridge passes them on, if it does, on a connection that has no other exchange meanwhile.
   * Their first bytes must tell the length of their frame, and its id. Others, and without this all, are written when they are whole.
   */
  streamAbove?: number;
  /** Whether a frame of the server answers nobody: a heartbeat, a notice. Asked before its id is read. undefined: more bytes are needed. */
  isStrayFrame?(bytes: Buffer): boolean | undefined;
  /** Gets each of those frames, whole. They may have up to 64 KiB. */
  onStrayFrame?(frame: Buffer): StrayFrameAnswer | undefined;
}

export interface StrayFrameAnswer {
  /** Goes back to the server: a whole frame. */
  reply?: Bytes;
  /** The server wants no more requests on this connection: what is in flight finishes, others get another one. */
  drain?: boolean;
}

export interface BridgePlugin<Config = unknown> {
  /** Throws to reject the configuration; the error's message goes to the control plane. Without it, `createBridge` gets the PluginConfig itself. */
  parseConfig?(config: PluginConfig): Config;
  createBridge(config: Config, callbacks: BridgeCallbacks): HttpTcpBridge;
  /** How exchanges share connections, for this configuration. Without it, or when it returns nothing, each has one to itself. Throws to reject the configuration. */
  multiplexing?(config: Config): Multiplexing | undefined;
  /** Bound of a StopAndBuffer response in bytes, instead of 16 MiB. */
  maxResponseBuffer?: number;
}

/** What a library exports as `bridges`: `export const bridges = { … } satisfies BridgeLibrary`. */
// biome-ignore lint/suspicious/noExplicitAny: each plugin has a configuration type of its own
export type BridgeLibrary = Record<string, BridgePlugin<any>>;
