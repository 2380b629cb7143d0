/** Remembers whose code was on the stack when workers ended. */
export interface CrashHistory {
  /**
   * Notes a crash by `library` at the monotonic time `at`, milliseconds. True when it is the third one within 60 s; it starts from
   * nothing then, so that the next answer needs three more.
   */
  record(library: string, at: number): boolean;
}

const mostCrashes = 3;
const windowMs = 60_000;
/** Far more than can crash thrice in a minute: what is forgotten is the one that has been quiet for the longest time. */
const mostLibraries = 1_000;

export function createCrashHistory(): CrashHistory {
  const times = new Map<string, readonly number[]>();
  return {
    record(library, at) {
      const recent = [...(times.get(library) ?? []).filter((time) => at - time <= windowMs), at];
      times.delete(library);
      if (recent.length >= mostCrashes) return true;
      times.set(library, recent);
      const oldest = times.keys().next();
      if (times.size > mostLibraries && oldest.done !== true) times.delete(oldest.value);
      return false;
    },
  };
}
