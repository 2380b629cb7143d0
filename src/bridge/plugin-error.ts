const longest = 4096;

/**
 * What a plugin threw, as an Error of our own that is safe to print and to pass on: a thrown value may be anything, also an object whose getters throw.
 * The stack is the plugin's where it has one, with its source's places after `mapStack`.
 */
export function pluginError(call: string, thrown: unknown, mapStack?: (stack: string) => string): Error {
  const text = `${call}: ${describe(thrown)}`;
  const error = sameKind(thrown, text);
  const stack = stackOf(thrown);
  if (stack !== undefined) error.stack = mapStack?.(stack) ?? stack;
  return error;
}

/**
 * A Go plugin panicked, and its SDK recovered: it has answered EndStream with its fixed text for it. Unlike after other plugin errors the client gets that text
 * with the status that was set before.
 */
export class RecoveredPanic extends Error {}

/** An exchange found out that its library has no such plugin: Go says it only then. */
export class PluginNotFound extends Error {
  /** No exchange on the same accepted configuration has said so before. */
  readonly isFirst: boolean;

  constructor(message: string, isFirst: boolean) {
    super(message);
    this.isFirst = isFirst;
  }
}

function sameKind(thrown: unknown, text: string): Error {
  if (thrown instanceof RecoveredPanic) return new RecoveredPanic(text);
  if (thrown instanceof PluginNotFound) return new PluginNotFound(text, thrown.isFirst);
  return new Error(text);
}

/** One line for people. Never throws. */
export function describe(thrown: unknown): string {
  try {
    const text = thrown instanceof Error ? String(thrown.message) : String(thrown);
    return text === '' ? 'an error without a message' : text.slice(0, longest);
  } catch {
    return 'an error that cannot be described';
  }
}

export function stackOf(thrown: unknown): string | undefined {
  try {
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    return typeof stack === 'string' ? stack.slice(0, longest) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether a plugin returned a promise where the contract is synchronous. Its rejection is swallowed: the error is that it is one. Throws what a hostile
 * `then` getter throws.
 */
export function isPromise(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  const { then } = value as { then?: unknown };
  if (typeof then !== 'function') return false;
  then.call(value, ignore, ignore);
  return true;
}

function ignore(): void {}
