import { close, constants, fstatSync, openSync, write } from 'node:fs';
import type { Clock, Timer } from '../clock.js';
import type { Logger } from '../log.js';
import type { Counter, Gauge, StatsStore } from '../stats/store.js';

/** Envoy's access log statistics, and ours for lines that found no room. */
export interface LogFileStats {
  readonly writeBuffered: Counter;
  readonly writeCompleted: Counter;
  readonly writeFailed: Counter;
  readonly flushedByTimer: Counter;
  readonly reopenFailed: Counter;
  readonly writeTotalBuffered: Gauge;
  readonly linesDropped: Counter;
}

/** One set for all files, as in Envoy (`filesystem.*`). */
export function createLogFileStats(stats: StatsStore): LogFileStats {
  return {
    writeBuffered: stats.counter('filesystem.write_buffered'),
    writeCompleted: stats.counter('filesystem.write_completed'),
    writeFailed: stats.counter('filesystem.write_failed'),
    flushedByTimer: stats.counter('filesystem.flushed_by_timer'),
    reopenFailed: stats.counter('filesystem.reopen_failed'),
    writeTotalBuffered: stats.gauge('filesystem.write_total_buffered'),
    linesDropped: stats.counter('access_log_file.lines_dropped'),
  };
}

export interface LogFileOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly stats: LogFileStats;
  /** Bytes that may wait for a slow or blocked disk; lines beyond are dropped and counted. */
  readonly maxBufferedBytes: number;
}

/** Where lines go: a path that is opened for appending, or a descriptor of the process's own that is never closed. */
export type LogTarget = { readonly path: string } | { readonly path: string; readonly fd: number };

const flushIntervalMs = 1000;
const flushBytes = 64 * 1024;
/** How long to wait when the other end of a pipe takes nothing. */
const retryMs = 50;
/** How often in a row while closing: a reader that doesn't read must not keep the process alive. */
const lastRetries = 20;
/** Without O_NONBLOCK, opening a FIFO that nobody reads would stop the process. */
const openFlags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/** Opens a log for appending. Folders are not made, as in Envoy. Throws the system's error. */
export function openLog(path: string): number {
  return openSync(path, openFlags, 0o644);
}

/**
 * A descriptor for the process's own pipe or socket that doesn't block: a reader that doesn't read would hold a thread of the pool for ever,
 * and with it the end of the process. A pipe is opened anew, so that the flag is not set for whoever shares it; a socket can't be.
 */
function withoutBlocking({ path, fd }: { readonly path: string; readonly fd: number }): number {
  try {
    const kind = fstatSync(fd);
    if (kind.isFIFO()) return openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    // Node sets the flag when it makes its own stream for it.
    if (kind.isSocket()) return (fd === 2 ? process.stderr : process.stdout).fd;
  } catch {
    // Closed, or not ours to open: writing will tell.
  }
  return fd;
}

/** At most one write is on its way. */
type State = { readonly kind: 'idle' } | { readonly kind: 'writing' } | { readonly kind: 'closed' };

/**
 * A buffered, shared log file: lines are joined and written at least every second, at 64 KiB, on `flush` and on `close`.
 * Writes go to the thread pool, one at a time; each holds whole lines, so that appends of several processes do not mix.
 */
export class LogFile {
  readonly #target: LogTarget;
  readonly #options: LogFileOptions;
  /** undefined: could not be opened; every flush tries again. */
  #fd: number | undefined;
  /** Why it could not be opened, so that it is said once and not every second. */
  #openError: string | undefined;
  #state: State = { kind: 'idle' };
  #lines = '';
  #writingBytes = 0;
  #timer: Timer | undefined;
  #reopenWanted = false;
  #closeWanted = false;
  #retriesLeft = lastRetries;
  #waiters: (() => void)[] = [];

  constructor(target: LogTarget, options: LogFileOptions) {
    this.#target = target;
    this.#options = options;
    if ('fd' in target) this.#fd = withoutBlocking(target);
    else this.#open();
  }

  /** `line` has one character per byte and ends as it should in the file. Never throws, never waits. */
  write(line: string): void {
    const { stats, maxBufferedBytes } = this.#options;
    if (this.#closeWanted || this.#lines.length + this.#writingBytes + line.length > maxBufferedBytes) {
      stats.linesDropped.value++;
      return;
    }
    this.#lines += line;
    stats.writeBuffered.value++;
    stats.writeTotalBuffered.value += line.length;
    if (this.#lines.length >= flushBytes) this.#next();
    else this.#timer ??= this.#options.clock.setTimeout(() => this.#onTimer(), flushIntervalMs);
  }

  /** Opens the path anew before the next write: the file was moved away by log rotation. */
  reopen(): void {
    if ('fd' in this.#target) return;
    this.#reopenWanted = true;
    this.#next();
  }

  /** Resolves when all lines so far are written or lost (and counted). */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      this.#next();
    });
  }

  /** Flushes, closes the file, and takes no more lines. */
  close(): Promise<void> {
    this.#closeWanted = true;
    return this.flush();
  }

  #onTimer(): void {
    this.#timer = undefined;
    this.#options.stats.flushedByTimer.value++;
    this.#next();
  }

  /** The one place that decides what happens next. */
  #next(): void {
    if (this.#state.kind === 'writing') return;
    if (this.#state.kind === 'idle') {
      if (this.#reopenWanted || this.#fd === undefined) this.#open();
      this.#reopenWanted = false;
      if (this.#lines !== '') {
        this.#startWrite();
        return;
      }
      this.#timer?.cancel();
      this.#timer = undefined;
      if (this.#closeWanted) this.#finish();
    }
    this.#settle();
  }

  #settle(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  #startWrite(): void {
    const lines = Buffer.from(this.#lines, 'latin1');
    this.#lines = '';
    this.#writingBytes = lines.length;
    if (this.#fd === undefined) {
      // As Envoy: what can't be written is lost and counted, or the buffer would grow for ever.
      this.#options.stats.writeFailed.value++;
      this.#written();
      return;
    }
    this.#state = { kind: 'writing' };
    this.#writeRest(this.#fd, lines, 0);
  }

  #writeRest(fd: number, lines: Buffer, offset: number): void {
    write(fd, lines, offset, lines.length - offset, null, (error, count) => {
      const { stats, log, clock } = this.#options;
      if (error?.code === 'EAGAIN' && (!this.#closeWanted || this.#retriesLeft-- > 0)) {
        clock.setTimeout(() => this.#writeRest(fd, lines, offset), retryMs);
        return;
      }
      if (!error && offset + count < lines.length) {
        this.#retriesLeft = lastRetries;
        this.#writeRest(fd, lines, offset + count);
        return;
      }
      if (error) {
        stats.writeFailed.value++;
        log.error(
          { path: this.#target.path, error: error.message },
          'access log lines could not be written and are lost',
        );
      } else {
        stats.writeCompleted.value++;
      }
      this.#state = { kind: 'idle' };
      this.#written();
    });
  }

  #written(): void {
    this.#options.stats.writeTotalBuffered.value -= this.#writingBytes;
    this.#writingBytes = 0;
    const timerWillFlush = this.#timer !== undefined && this.#lines.length < flushBytes;
    if (timerWillFlush && this.#waiters.length === 0 && !this.#reopenWanted) return;
    this.#next();
  }

  /** On failure the old descriptor stays in use. */
  #open(): void {
    if ('fd' in this.#target) return;
    const { path } = this.#target;
    try {
      const fd = openLog(path);
      this.#closeDescriptor();
      this.#fd = fd;
      this.#openError = undefined;
    } catch (error) {
      if (this.#reopenWanted) this.#options.stats.reopenFailed.value++;
      const reason = error instanceof Error ? error.message : String(error);
      if (reason === this.#openError) return;
      this.#openError = reason;
      this.#options.log.error(
        { path, error: reason },
        'access log can not be opened; make the folder and allow writing to it',
      );
    }
  }

  #finish(): void {
    this.#state = { kind: 'closed' };
    this.#closeDescriptor();
    this.#fd = undefined;
  }

  #closeDescriptor(): void {
    const fd = this.#fd;
    if (fd === undefined || ('fd' in this.#target && fd === this.#target.fd)) return;
    close(fd, (error) => {
      if (error)
        this.#options.log.warn({ path: this.#target.path, error: error.message }, 'access log could not be closed');
    });
  }
}
