import { closeSync } from 'node:fs';
import type { HeaderMap } from '../bridge/header-map.js';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { AccessLogConfig } from '../model/listener.js';
import { describeProblems, type Problem } from '../model/verdict.js';
import type { StatsStore } from '../stats/store.js';
import { compileFormat, type LineFormatter } from './format.js';
import { createLogFileStats, LogFile, type LogTarget, openLog } from './log-file.js';
import type { StreamInfo } from './stream-info.js';

/** Writes one line per request to each of a connection manager's access logs. */
export interface AccessLogger {
  /** Called once, when the stream has ended. `requestHeaders` undefined: the request never came so far as to have any. Never throws. */
  log(info: StreamInfo, requestHeaders: HeaderMap | undefined, responseHeaders: HeaderMap | undefined): void;
  /** After the listener's last stream: later lines are dropped. The last user of a file closes it once all is written. Idempotent. */
  close(): void;
}

/** All access log files of the process; one per path, however many listeners write to it. */
export interface AccessLogManager {
  /** For one connection manager's `accessLogs` (or the admin's). Throws on a format that `checkFormat` finds wrong. */
  createLogger(configs: readonly AccessLogConfig[]): AccessLogger;
  /** `POST /reopen_logs`: opens every file anew under its path, as log rotation needs. */
  reopen(): void;
  /** Resolves when all that was logged is on disk. */
  flush(): Promise<void>;
  /** Flushes and closes all; loggers that are still used drop their lines. */
  close(): Promise<void>;
}

export interface AccessLogManagerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly stats: StatsStore;
  /** Per file, what may wait for a slow disk; 16 MiB unless set. */
  readonly maxBufferedBytes?: number;
}

const defaultMaxBufferedBytes = 16 * 1024 * 1024;

const standardStreams: Record<string, LogTarget> = {
  '/dev/stdout': { path: '/dev/stdout', fd: 1 },
  '/dev/stderr': { path: '/dev/stderr', fd: 2 },
};

/** A path that means one of the process's own streams is that stream: in a container it may be a socket, which can't be opened by path. */
function targetOf({ target }: AccessLogConfig): LogTarget {
  const path = target.kind === 'file' ? target.path : `/dev/${target.kind}`;
  return standardStreams[path] ?? { path };
}

/**
 * Why lines can't be written where `config` says, for whoever judges configuration: as Envoy, which refuses a listener whose access log it
 * can't open. Makes the file when it isn't there. Paths of problems are fields of FileAccessLog.
 */
export function checkTarget(config: AccessLogConfig): readonly Problem[] {
  const target = targetOf(config);
  if ('fd' in target) return [];
  try {
    closeSync(openLog(target.path));
    return [];
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // A named pipe whose reader is still to come.
    if (code === 'ENXIO') return [];
    const hint = 'make its folder, and allow writing to it';
    return [{ path: 'path', message: `unable to open file ${JSON.stringify(target.path)}: ${message}; ${hint}` }];
  }
}

interface SharedFile {
  readonly file: LogFile;
  users: number;
}

/** Makes the manager; nothing is opened before the first logger needs it. */
export function createAccessLogManager(options: AccessLogManagerOptions): AccessLogManager {
  const files = new Map<string, SharedFile>();
  /** Files that nobody uses any more, until their last lines are written. */
  const closing = new Set<Promise<void>>();
  const fileOptions = {
    clock: options.clock,
    log: options.log,
    stats: createLogFileStats(options.stats),
    maxBufferedBytes: options.maxBufferedBytes ?? defaultMaxBufferedBytes,
  };

  function use(target: LogTarget): SharedFile {
    let shared = files.get(target.path);
    if (!shared) {
      shared = { file: new LogFile(target, fileOptions), users: 0 };
      files.set(target.path, shared);
    }
    shared.users++;
    return shared;
  }

  function release(path: string, shared: SharedFile): void {
    if (--shared.users > 0) return;
    if (files.get(path) === shared) files.delete(path);
    const closed = shared.file.close();
    closing.add(closed);
    void closed.then(() => closing.delete(closed));
  }

  return {
    createLogger(configs) {
      const formatters = configs.map((config) => formatterOf(config));
      const sinks = configs.map((config, index) => {
        const target = targetOf(config);
        return { path: target.path, shared: use(target), format: formatters[index] as LineFormatter };
      });
      let open = true;
      return {
        log(info, requestHeaders, responseHeaders) {
          if (sinks.length === 0 || !open) return;
          const context = {
            info,
            requestHeaders,
            responseHeaders,
            now: options.clock.monotonic(),
            wallNow: options.clock.now(),
          };
          for (const { shared, format } of sinks) shared.file.write(format(context));
        },
        close() {
          if (!open) return;
          open = false;
          for (const { path, shared } of sinks) release(path, shared);
        },
      };
    },
    reopen() {
      for (const { file } of files.values()) file.reopen();
    },
    async flush() {
      await Promise.all([...[...files.values()].map(({ file }) => file.flush()), ...closing]);
    },
    async close() {
      const closed = [...files.values()].map(({ file }) => file.close());
      files.clear();
      await Promise.all([...closed, ...closing]);
    },
  };
}

function formatterOf(config: AccessLogConfig): LineFormatter {
  const compiled = compileFormat(config.format);
  if (!compiled.ok) throw new Error(`access log: ${describeProblems(compiled.problems)}`);
  return compiled.formatter;
}
