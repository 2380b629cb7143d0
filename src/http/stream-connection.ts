import type { TlsInfo } from '../tls/tls-info.js';

/** What may take too long about a stream: all of the request, its headers, or nothing happening either way. */
export type StreamTimeout = 'request' | 'headers' | 'idle';

/** What a stream needs of the connection that it is on. */
export interface StreamConnection {
  readonly id: number;
  readonly addresses: {
    readonly remoteAddress: string;
    readonly remote: string;
    readonly local: string;
    readonly localPort: number;
  };
  /** undefined: plain text. */
  readonly tls: TlsInfo | undefined;
  /** The connection closes after this response. */
  readonly closing: boolean;
  /** Asked before the head is written: whether the response must say that the connection closes. */
  announceClose(): boolean;
  closeAfterResponse(): void;
  write(data: Buffer | string): void;
  /** The client has more to read than the buffer limit. */
  isAboveWatermark(): boolean;
  startBody(): void;
  pauseBody(): void;
  resumeBody(): void;
  /** Restarts the stream's idle timeout, as bytes from the client do by themselves. `now`, for those who know it: `Clock.monotonic()`. */
  touch(now?: number): void;
  /** The stream's `onTimeout` is called after `ms` milliseconds, unless it is started anew; 0 stops it. All end with the stream. */
  startTimeout(which: StreamTimeout, ms: number, now?: number): void;
  /** `keep`: the next request may come. `close`: after all that was written. `reset`: at once, for what was written isn't all. */
  onStreamEnded(next: 'keep' | 'close' | 'reset', now?: number): void;
}
