import { checkTarget } from '../access-log/access-logger.js';
import type { BridgeJudge, JudgedBridge } from '../bridge/prepared-bridge.js';
import type { Cluster } from '../model/cluster.js';
import type { LoadAssignment } from '../model/endpoint.js';
import type { Listener } from '../model/listener.js';
import type { RouteConfiguration } from '../model/route.js';
import type { Secret } from '../model/tls.js';
import type { Verdict } from '../model/verdict.js';
import { readNameField } from '../protobuf/name-field.js';
import type { Schema } from '../protobuf/schema.js';
import { compileRouteTable, type RouteTable } from '../routing/route-table.js';
import type { ResourceType } from '../xds/resource-type.js';
import { clusterResource } from '../xds/resources/cluster.js';
import { endpointResource } from '../xds/resources/endpoint.js';
import { listenerResource } from '../xds/resources/listener.js';
import { routeResource } from '../xds/resources/route.js';
import { secretResource } from '../xds/resources/secret.js';
import type { StaticSecrets } from '../xds/resources/tls-context.js';
import type { ResourceTranslator } from '../xds/resources/translate.js';

/** A judged cluster: its configuration, and its plugin ready to run (one use of it is held). */
export interface JudgedCluster<B extends JudgedBridge> {
  readonly cluster: Cluster;
  readonly bridge: B | undefined;
}

export interface JudgedRoutes {
  readonly config: RouteConfiguration;
  readonly table: RouteTable;
}

export interface ResourceTypes<B extends JudgedBridge> {
  readonly clusters: ResourceType<JudgedCluster<B>>;
  readonly endpoints: ResourceType<LoadAssignment>;
  readonly listeners: ResourceType<Listener>;
  readonly routes: ResourceType<JudgedRoutes>;
  readonly secrets: ResourceType<Secret>;
}

/** Where a bridge's problems are inside its cluster. */
const bridgePath = 'upstream_config.typed_config';

/** The second half of a cluster's judgement: loads its library and parses its plugin_config. */
export async function judgeBridge<B extends JudgedBridge>(
  verdict: Verdict<Cluster>,
  judge: BridgeJudge<B>,
): Promise<Verdict<JudgedCluster<B>>> {
  if (verdict.kind === 'rejected') return verdict;
  if (verdict.kind === 'parked') {
    return {
      ...verdict,
      model: verdict.model && { cluster: verdict.model, bridge: undefined },
    };
  }
  const { bridge } = verdict.model;
  if (bridge === undefined) return { ...verdict, model: { cluster: verdict.model, bridge: undefined } };
  const prepared = await judge.prepare(bridge);
  if (prepared.ok)
    return {
      ...verdict,
      model: { cluster: verdict.model, bridge: prepared.bridge },
    };
  const problems = prepared.problems.map(({ path, message }) => ({
    path: path === '' ? bridgePath : `${bridgePath}.${path}`,
    message,
  }));
  return { kind: 'rejected', problems };
}

/** Compiles the routes; what the compiler still finds wrong with them rejects the resource. */
function judgeRoutes(verdict: Verdict<RouteConfiguration>): Verdict<JudgedRoutes> {
  if (verdict.kind === 'rejected') return verdict;
  const compile = (config: RouteConfiguration) => ({ config, table: compileRouteTable(config) });
  try {
    if (verdict.kind === 'active') return { ...verdict, model: compile(verdict.model) };
    return { ...verdict, model: verdict.model && compile(verdict.model) };
  } catch (error) {
    return {
      kind: 'rejected',
      problems: [
        {
          path: '',
          message: error instanceof Error ? error.message : String(error),
        },
      ],
    };
  }
}

/** A listener whose inline routes don't compile is rejected like a route configuration, and one whose access log can't be written, as in Envoy. */
export function judgeListener(verdict: Verdict<Listener>): Verdict<Listener> {
  if (verdict.kind !== 'active') return verdict;
  for (const { httpConnectionManager } of verdict.model.filterChains) {
    const { routes, accessLogs } = httpConnectionManager;
    const problems = accessLogs.flatMap((config, index) =>
      checkTarget(config).map(({ path, message }) => ({ path: `access_log[${index}].typed_config.${path}`, message })),
    );
    if (problems.length > 0) return { kind: 'rejected', problems };
    if (routes.kind === 'rds') continue;
    const judged = judgeRoutes({ kind: 'active', model: routes.config, warnings: [] });
    if (judged.kind === 'rejected') return judged;
  }
  return verdict;
}

/** What the streams need to know of each type that Pontoon subscribes to. */
export function createResourceTypes<B extends JudgedBridge>(
  schema: Schema,
  judge: BridgeJudge<B>,
  secrets?: StaticSecrets,
): ResourceTypes<B> {
  function typeOf<T, M>(
    translator: ResourceTranslator<M>,
    shortName: string,
    decide: (verdict: Verdict<M>) => Verdict<T> | Promise<Verdict<T>>,
    more: Partial<ResourceType<T>> = {},
  ): ResourceType<T> {
    return {
      typeUrl: translator.typeUrl,
      shortName,
      fullState: false,
      nameOf: readNameField,
      judge: async ({ bytes }) => decide(translator.translate(bytes, 'dynamic')),
      ...more,
    };
  }
  return {
    clusters: typeOf(clusterResource(schema, secrets), 'cds', (verdict) => judgeBridge(verdict, judge), {
      fullState: true,
      inStreamOrder: true,
      statPrefix: 'cluster_manager.cds',
      staleCheck() {
        // Thousands of clusters may share a library: its file is looked at once per response.
        const hashes = new Map<
          string,
          { readonly asked: Promise<string | undefined>; known?: { hash: string | undefined } }
        >();
        // A library that can't be read now goes on running as it is.
        const differs = (hash: string | undefined, { libraryHash }: B) => hash !== undefined && hash !== libraryHash;
        return ({ bridge }) => {
          if (bridge === undefined) return false;
          const { libraryPath } = bridge.config;
          const found = hashes.get(libraryPath) ?? { asked: judge.currentHash(bridge.config) };
          hashes.set(libraryPath, found);
          if (found.known) return differs(found.known.hash, bridge);
          return found.asked.then((hash) => {
            found.known = { hash };
            return differs(hash, bridge);
          });
        };
      },
      staleGroup: ({ bridge }) => bridge && `${bridge.libraryHash} ${bridge.config.libraryPath}`,
      discard: ({ bridge }) => bridge?.release(),
    }),
    endpoints: typeOf(endpointResource(schema), 'eds', (verdict) => verdict),
    listeners: typeOf(listenerResource(schema, secrets), 'lds', judgeListener, {
      fullState: true,
      inStreamOrder: true,
      statPrefix: 'listener_manager.lds',
    }),
    routes: typeOf(routeResource(schema), 'rds', judgeRoutes, { inStreamOrder: true }),
    secrets: typeOf(secretResource(schema), 'sds', (verdict) => verdict),
  };
}
