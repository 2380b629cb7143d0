import pino from 'pino';

/** Envoy's level names, from the most to the least talkative. */
export const logLevels = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'] as const;
export type LogLevel = (typeof logLevels)[number];

/** A component's logger: `log.warn({ cluster: name }, 'text')`. Fields first, then a sentence. */
export type Logger = Pick<pino.Logger, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal'>;

/** The process's loggers, one per component, whose levels can be changed while running (`POST /logging`). */
export interface Logging {
  /** Of components that have not been heard of yet. */
  readonly defaultLevel: LogLevel;
  logger(component: string): Logger;
  /** Component → level. */
  levels(): Record<string, LogLevel>;
  /** Sets one component's level, or all (component undefined). Returns false for an unknown component. */
  setLevel(level: LogLevel, component?: string): boolean;
  /** Calls `listener` with the component's level, now and whenever it changes. */
  watchLevel(component: string, listener: (level: LogLevel) => void): void;
}

const toPino: Record<LogLevel, string> = {
  trace: 'trace',
  debug: 'debug',
  info: 'info',
  warning: 'warn',
  error: 'error',
  critical: 'fatal',
  off: 'silent',
};

/** JSON lines to stderr, or to `path`; each has `fields`. */
export function createLogging(level: LogLevel, path?: string, fields: object | null = null): Logging {
  const root = pino(
    {
      level: 'trace',
      base: fields,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({
      dest: path ?? 2,
      sync: true,
      mkdir: path !== undefined,
    }),
  );
  const children = new Map<string, { level: LogLevel; logger: pino.Logger; watchers: ((level: LogLevel) => void)[] }>();
  let defaultLevel = level;
  function childOf(component: string) {
    let child = children.get(component);
    if (!child) {
      child = {
        level: defaultLevel,
        logger: root.child({ component }, { level: toPino[defaultLevel] }),
        watchers: [],
      };
      children.set(component, child);
    }
    return child;
  }
  return {
    get defaultLevel() {
      return defaultLevel;
    },
    logger: (component) => childOf(component).logger,
    levels: () => Object.fromEntries([...children].map(([component, child]) => [component, child.level])),
    setLevel(next, component) {
      if (component !== undefined && !children.has(component)) return false;
      if (component === undefined) defaultLevel = next;
      for (const [name, child] of children) {
        if (component !== undefined && name !== component) continue;
        child.level = next;
        child.logger.level = toPino[next];
        for (const watcher of child.watchers) watcher(next);
      }
      return true;
    },
    watchLevel(component, listener) {
      const child = childOf(component);
      child.watchers.push(listener);
      listener(child.level);
    },
  };
}
