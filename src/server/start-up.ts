import type { Bootstrap } from '../model/bootstrap.js';
import type { Readiness } from './readiness.js';

export interface StartUpOptions {
  readonly bootstrap: Bootstrap;
  readonly readiness: Readiness;
  /** Whether one of them has a version on its way. */
  readonly clustersWarming: () => boolean;
  /** How many of them have a version on its way. */
  readonly warmingListeners: () => number;
  /** Asks the control plane for listeners. */
  readonly startListeners: () => void;
}

/** The order in which a server comes to life. */
export interface StartUp {
  /** All that the bootstrap has is applied: one cluster was warm before the next was judged, that was not all of them yet. */
  staticApplied(): void;
  /** Something has nothing to wait for any more. */
  progressed(): void;
  /** A whole type was answered for the first time, or didn't come in time. */
  answered(shortName: 'cds' | 'lds'): void;
}

/**
 * As Envoy: static clusters, then those of the control plane and their endpoints, then listeners and their routes; then the server is live.
 * Every wait has a bound of its own, `initial_fetch_timeout` where it is for the control plane.
 * https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/operations/init
 */
export function createStartUp(options: StartUpOptions): StartUp {
  const { bootstrap, readiness, clustersWarming, warmingListeners, startListeners } = options;
  const none = () => undefined;
  const clustersWarm = readiness.wait('clusters');
  const listenersWarm = readiness.wait('listeners');
  const answers = {
    cds: bootstrap.cds ? readiness.wait('clusters of the control plane (CDS)') : none,
    lds: bootstrap.lds ? readiness.wait('listeners of the control plane (LDS)') : none,
  };
  const pending = { static: true, cds: bootstrap.cds !== undefined, lds: bootstrap.lds !== undefined };
  let phase: 'clusters' | 'listeners' | 'done' = 'clusters';

  function progressed(): void {
    if (phase === 'clusters' && !pending.static && !pending.cds && !clustersWarming()) {
      phase = 'listeners';
      clustersWarm();
      startListeners();
    }
    if (phase === 'listeners' && !pending.lds && warmingListeners() === 0) {
      phase = 'done';
      listenersWarm();
    }
  }
  return {
    staticApplied() {
      pending.static = false;
      progressed();
    },
    progressed,
    answered(shortName) {
      pending[shortName] = false;
      answers[shortName]();
      progressed();
    },
  };
}
