import type { BridgeJudge, JudgedBridge } from '../bridge/prepared-bridge.js';
import type { Bootstrap } from '../model/bootstrap.js';
import type { Problem, Verdict } from '../model/verdict.js';
import { type JudgedCluster, judgeBridge, judgeListener } from './resource-types.js';

/** A verdict whose problems have their paths in the bootstrap. */
function inBootstrap<T>(verdict: Verdict<T>, kind: 'clusters' | 'listeners', index: number): Verdict<T> {
  if (verdict.kind !== 'rejected') return verdict;
  const at = ({ path, message }: Problem) => ({ path: `static_resources.${kind}[${index}].${path}`, message });
  return { kind: 'rejected', problems: verdict.problems.map(at) };
}

export interface JudgedStatic<B extends JudgedBridge> {
  readonly resource: Bootstrap['clusters'][number];
  readonly verdict: Verdict<JudgedCluster<B>>;
}

/** Loads the libraries of the bootstrap's clusters, one after the other. Whoever takes an active one has its bridge to release. */
export async function* judgeStaticClusters<B extends JudgedBridge>(
  { clusters }: Pick<Bootstrap, 'clusters'>,
  judge: BridgeJudge<B>,
): AsyncGenerator<JudgedStatic<B>> {
  for (const [index, resource] of clusters.entries()) {
    yield { resource, verdict: inBootstrap(await judgeBridge(resource.verdict, judge), 'clusters', index) };
  }
}

/** The problems of all listeners that can't run. */
export function problemsOfStaticListeners({ listeners }: Pick<Bootstrap, 'listeners'>): readonly Problem[] {
  return listeners.flatMap(({ verdict }, index) => {
    const judged = inBootstrap(judgeListener(verdict), 'listeners', index);
    return judged.kind === 'rejected' ? judged.problems : [];
  });
}
