import type { Cluster } from '../model/cluster.js';
import type { ApiSource, ConfigSource } from '../model/config-source.js';
import type { GrpcCluster } from '../model/grpc-service.js';
import type { Listener } from '../model/listener.js';
import { sdsSecrets } from '../model/tls.js';
import type { Problem, Resource } from '../model/verdict.js';
import type { Bootstrap__Output } from '../protobuf/generated/envoy/config/bootstrap/v3/Bootstrap.js';
import { type Findings, join, newFindings } from '../xds/resources/findings.js';
import { readGrpcCluster } from '../xds/resources/grpc-cluster.js';
import type { StaticSecrets } from '../xds/resources/tls-context.js';
import type { Context } from '../xds/resources/translate.js';

/** The static clusters as addresses of control planes. */
export interface ControlPlanes {
  /** Reports what keeps the clusters that a source names from being control planes. */
  check(source: ApiSource, path: string): void;
  /** Those that can be. */
  readonly usable: ReadonlyMap<string, GrpcCluster>;
}

const problemsOf = ({ malformed, unsupported }: Findings): readonly Problem[] => [...malformed, ...unsupported];

export function readControlPlanes(
  context: Context,
  bootstrap: Bootstrap__Output,
  clusters: readonly Resource<Cluster>[],
  secrets: StaticSecrets,
): ControlPlanes {
  const usable = new Map<string, GrpcCluster>();
  const problems = new Map<string, readonly Problem[]>();

  for (const [index, { name, verdict }] of clusters.entries()) {
    const message = bootstrap.static_resources?.clusters[index];
    if (message === undefined || verdict.kind === 'rejected') continue;
    if (verdict.kind === 'active') {
      const path = `static_resources.clusters[${index}].upstream_config`;
      problems.set(name, [{ path, message: 'the control plane speaks gRPC, so its cluster must not have the bridge' }]);
      continue;
    }
    const findings = newFindings();
    const cluster = readGrpcCluster({ ...context, findings }, message, verdict.model, secrets);
    const found = problemsOf(findings);
    if (found.length === 0) usable.set(name, cluster);
    else
      problems.set(
        name,
        found.map((each) => ({ ...each, path: join(`static_resources.clusters[${index}]`, each.path) })),
      );
  }

  function check(source: ApiSource, path: string): void {
    for (const [index, { target }] of source.services.entries()) {
      if (target.kind !== 'cluster' || usable.has(target.clusterName)) continue;
      const known = problems.get(target.clusterName);
      if (known) context.findings.malformed.push(...known);
      // A rejected cluster is told of elsewhere.
      if (known || clusters.some(({ name }) => name === target.clusterName)) continue;
      const names = clusters.map(({ name }) => name).join(', ') || 'none';
      context.findings.malformed.push({
        path: join(path, `grpc_services[${index}].envoy_grpc.cluster_name`),
        message: `unknown cluster ${target.clusterName}; allowed are the static clusters (${names})`,
      });
    }
  }
  return { check, usable };
}

function checkSource(controlPlanes: ControlPlanes, source: ConfigSource, path: string): void {
  if (source.kind === 'api') controlPlanes.check(source, join(path, 'api_config_source'));
}

/** The sources of endpoints, routes and secrets that static resources name. */
export function checkStaticSources(
  controlPlanes: ControlPlanes,
  clusters: readonly Resource<Cluster>[],
  listeners: readonly Resource<Listener>[],
): void {
  for (const [index, { verdict }] of clusters.entries()) {
    const discovery = verdict.kind === 'rejected' ? undefined : verdict.model?.discovery;
    const path = `static_resources.clusters[${index}].eds_cluster_config.eds_config`;
    if (discovery?.type === 'EDS') checkSource(controlPlanes, discovery.source, path);
    if (verdict.kind !== 'active') continue;
    for (const { source } of verdict.model.tls ? sdsSecrets(verdict.model.tls) : [])
      checkSource(controlPlanes, source, `static_resources.clusters[${index}].transport_socket.sds_config`);
  }
  for (const [index, { verdict }] of listeners.entries()) {
    for (const { httpConnectionManager, tls } of verdict.kind === 'active' ? verdict.model.filterChains : []) {
      const { routes } = httpConnectionManager;
      if (routes.kind === 'rds')
        checkSource(controlPlanes, routes.source, `static_resources.listeners[${index}].rds.config_source`);
      for (const { source } of tls ? sdsSecrets(tls) : [])
        checkSource(controlPlanes, source, `static_resources.listeners[${index}].transport_socket.sds_config`);
    }
  }
}
