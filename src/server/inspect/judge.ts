import { secretsByName } from '../../bootstrap/static-resources.js';
import type { BridgeJudge, JudgedBridge } from '../../bridge/prepared-bridge.js';
import type { Bootstrap } from '../../model/bootstrap.js';
import type { Verdict } from '../../model/verdict.js';
import { describeProblems } from '../../model/verdict.js';
import { toJson } from '../../protobuf/json.js';
import type { Schema } from '../../protobuf/schema.js';
import type { Origin } from '../../upstream/cluster-manager.js';
import type { ResourceType } from '../../xds/resource-type.js';
import { checkSources } from '../check-sources.js';
import { createResourceTypes, judgeBridge, judgeListener } from '../resource-types.js';
import { type JsonObject, type Kind, typeNames, type VerdictWord, type ViewedResource } from './view.js';

/** A resource that was not judged yet. */
export interface Unjudged {
  readonly kind: Kind;
  readonly name: string;
  readonly origin: Origin;
  readonly version: string;
  readonly bytes: Uint8Array;
  readonly since?: string;
}

/** Judges resources as a running instance would that has this bootstrap. */
export interface ViewJudge {
  readonly schema: Schema;
  judge(resource: Unjudged): Promise<ViewedResource>;
  /** Of the bootstrap's own resources. */
  judgeStatic(bootstrap: Bootstrap): Promise<ViewedResource[]>;
}

type Outcome = Pick<ViewedResource, 'verdict' | 'reasons' | 'model'>;

function outcomeOf(verdict: Verdict<unknown>): Outcome {
  if (verdict.kind === 'rejected')
    return {
      verdict: 'rejected',
      reasons: verdict.problems.map((problem) => describeProblems([problem])),
      model: undefined,
    };
  if (verdict.kind === 'parked') return { verdict: 'parked', reasons: [verdict.reason], model: verdict.model };
  const word: VerdictWord = verdict.warnings.length > 0 ? 'warned' : 'active';
  return {
    verdict: word,
    reasons: verdict.warnings.map((warning) => describeProblems([warning])),
    model: verdict.model,
  };
}

/** @param bootstrap undefined: what it decides about dynamic resources (static secrets, which control planes there are) is not checked */
export function createViewJudge<B extends JudgedBridge>(
  schema: Schema,
  judge: BridgeJudge<B>,
  bootstrap: Bootstrap | undefined,
): ViewJudge {
  const plain = createResourceTypes(schema, judge, bootstrap && secretsByName(bootstrap.secrets));
  const types = bootstrap ? checkSources(plain, bootstrap) : plain;
  const byKind: Readonly<Record<Kind, ResourceType<unknown>>> = {
    cluster: types.clusters as ResourceType<unknown>,
    endpoints: types.endpoints as ResourceType<unknown>,
    listener: types.listeners as ResourceType<unknown>,
    route: types.routes as ResourceType<unknown>,
    secret: types.secrets as ResourceType<unknown>,
  };

  function viewed({ kind, name, origin, version, bytes, since }: Unjudged, outcome: Outcome): ViewedResource {
    let json: JsonObject | undefined;
    try {
      json = toJson(schema, typeNames[kind], bytes, { redact: true }) as JsonObject;
    } catch {
      // Bytes that are none of the type are rejected, and have nothing to show.
    }
    return { kind, name, origin, json, bytes, ...outcome, version, since, stale: false, refused: undefined };
  }
  /** The configuration alone: what is prepared to run is given back. */
  function withoutBridge(
    verdict: Verdict<{ readonly cluster: unknown; readonly bridge: B | undefined }>,
  ): Verdict<unknown> {
    if (verdict.kind === 'rejected' || verdict.model === undefined) return verdict;
    verdict.model.bridge?.release();
    return { ...verdict, model: verdict.model.cluster };
  }

  return {
    schema,
    async judge(resource) {
      const type = byKind[resource.kind];
      const verdict = await type.judge(resource);
      const plainVerdict =
        resource.kind === 'cluster' ? withoutBridge(verdict as Parameters<typeof withoutBridge>[0]) : verdict;
      return viewed(resource, outcomeOf(plainVerdict));
    },
    async judgeStatic({ clusters, listeners, secrets }) {
      const resources: ViewedResource[] = [];
      for (const { name, bytes, verdict } of clusters) {
        const judged = withoutBridge(await judgeBridge(verdict, judge));
        resources.push(viewed({ kind: 'cluster', name, origin: 'static', version: '', bytes }, outcomeOf(judged)));
      }
      for (const { name, bytes, verdict } of listeners) {
        const judged = judgeListener(verdict);
        resources.push(viewed({ kind: 'listener', name, origin: 'static', version: '', bytes }, outcomeOf(judged)));
      }
      for (const { name, bytes, verdict } of secrets)
        resources.push(viewed({ kind: 'secret', name, origin: 'static', version: '', bytes }, outcomeOf(verdict)));
      return resources;
    },
  };
}
