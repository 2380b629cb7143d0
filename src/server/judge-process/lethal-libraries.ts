/**
 * Libraries that have ended the judge's process with each configuration that was tried: thousands of clusters may name one, and a process for
 * each would take hours. Known by content, so that a new build is tried at once.
 */
export interface LethalLibraries {
  /** Whether something is remembered of that path: its hash is asked for then. */
  has(path: string): boolean;
  /** How it would end, when it was tried often enough. Without a hash: what was last tried under that path. */
  endOf(path: string, hash?: string): string | undefined;
  record(path: string, hash: string, how: string): void;
  /** A configuration was judged without harm. */
  forget(path: string): void;
}

/** So many configurations must have ended it. */
const enough = 3;
const mostRemembered = 100;

export function createLethalLibraries(): LethalLibraries {
  const found = new Map<string, { readonly hash: string; readonly how: string; readonly times: number }>();
  return {
    has: (path) => found.has(path),
    endOf(path, hash) {
      const known = found.get(path);
      if (known === undefined || known.times < enough) return undefined;
      return hash === undefined || hash === known.hash ? known.how : undefined;
    },
    record(path, hash, how) {
      const known = found.get(path);
      const times = known?.hash === hash ? known.times + 1 : 1;
      found.delete(path);
      found.set(path, { hash, how, times });
      const [oldest] = found.keys();
      if (found.size > mostRemembered && oldest !== undefined) found.delete(oldest);
    },
    forget: (path) => void found.delete(path),
  };
}
