import { marked } from '../call-mark.js';
import { describe } from '../plugin-error.js';
import type { CallMark } from '../prepared-bridge.js';
import { type Bundle, BundleError } from './bundle.js';
import { evaluate } from './evaluate.js';
import { placeOf, type StackMapper, stackMapper } from './stack.js';

/** A library whose top level has run. All users of the same file and content share it. */
export interface Library {
  readonly path: string;
  readonly hash: string;
  readonly source: Bundle;
  readonly exports: unknown;
  /** Once, by whoever it was given to. */
  release(): void;
  /** A stack trace with the places in the source files instead of those in the bundle. */
  mapStack(stack: string): string;
}

export interface SharedLibrary {
  readonly hash: string;
  readonly inUse: boolean;
  /** Adds a use. */
  retain(): Library;
}

export interface EvaluateOptions {
  readonly timeLimitMs: number;
  readonly mark: CallMark;
  /** The last use has ended; another may still begin while it is remembered. */
  readonly onUnused: () => void;
}

/** Runs the top level of `source`. Throws a BundleError when that fails. */
export function evaluateLibrary(source: Bundle, { timeLimitMs, mark, onUnused }: EvaluateOptions): SharedLibrary {
  let uses = 0;
  const mapStack = stackMapper(source);
  const library: Library = {
    path: source.path,
    hash: source.hash,
    source,
    exports: run(source, timeLimitMs, mapStack, mark),
    mapStack,
    release() {
      uses -= 1;
      if (uses === 0) onUnused();
    },
  };
  const shared: SharedLibrary = {
    hash: source.hash,
    get inUse() {
      return uses > 0;
    },
    retain() {
      uses += 1;
      return library;
    },
  };
  return shared;
}

function run(source: Bundle, timeLimitMs: number, mapStack: StackMapper, mark: CallMark): unknown {
  try {
    return marked(mark, () => evaluate(source, timeLimitMs));
  } catch (thrown) {
    throw new BundleError(`${placeOf(thrown, source.path, mapStack)}: ${describe(thrown)}`);
  }
}
