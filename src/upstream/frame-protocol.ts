/** What a request carries to be told from the others on its connection. */
export type FrameId = number | bigint;

/** How answers are told apart: an id in each frame that the server sends back. */
export interface FrameIds {
  /** undefined: more bytes are needed. */
  read(bytes: Buffer): FrameId | undefined;
  write(bytes: Buffer, id: FrameId): void;
  /** Ids from 1 up to this one fit into a frame. */
  readonly max: number;
}

/** Frames of the server that answer nobody: heartbeats, notices. */
export interface StrayFrames {
  /** undefined: more bytes are needed. */
  is(bytes: Buffer): boolean | undefined;
  /** `reply` is written in answer; `drain`: the connection takes no more exchanges. */
  receive(frame: Buffer): { readonly reply: Buffer | undefined; readonly drain: boolean };
}

/**
 * How the exchanges of a cluster share connections. `bytes` always begin with a frame and are what has come of it, perhaps with more behind it.
 * Every function may throw an Error, whose message is fit to be shown: then the bytes are not the protocol's.
 */
export interface FrameProtocol {
  /** Bytes of the whole first frame, at least 1; undefined: more are needed to tell. Asked with less than has come where the frame before suggests it, and then again with all. */
  frameLength(bytes: Buffer): number | undefined;
  /** undefined: the server answers in the order of the requests. */
  readonly ids: FrameIds | undefined;
  readonly stray: StrayFrames | undefined;
  /** Exchanges on one connection at a time. */
  readonly maxInFlight: number;
  /** In order only: how long the next answer may take, or pause, before the connection is closed. */
  readonly answerTimeoutMs: number;
  /** Requests that are announced as larger, in bytes, are written as they come where they can have a connection for so long; without it all wait until they are whole. */
  readonly streamAbove?: number | undefined;
}

/** The server, or a request, broke the protocol. */
export class FrameError extends Error {}

/** A frame of which so many bytes have come must tell whose it is. Bounds what is kept of one that doesn't. */
export const longestHead = 65_536;
