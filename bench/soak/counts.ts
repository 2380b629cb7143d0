/** What the plugin counts, as `globalThis.soakCounts`. */
export interface BridgeCounts {
  created: number;
  destroyed: number;
  /** Calls of onDestroy after the first one of a bridge. */
  destroyedTwice: number;
}
