import { type References, readReferences, referencesOf } from './references.js';
import type { ConfigView, Kind, ViewedResource } from './view.js';

/** A resource in a chain of references. */
export interface ExplainedLink {
  /** undefined: the bootstrap. */
  readonly kind: Kind | undefined;
  readonly name: string;
  /** The field that names the other one. */
  readonly field: string;
  /** `missing`: nobody told of it. */
  readonly verdict: string;
  /** The chain goes on. */
  readonly links: readonly ExplainedLink[];
}

/** All that is known about one resource. */
export interface Explanation {
  readonly kind: Kind;
  readonly name: string;
  readonly verdict: string;
  readonly reasons: readonly string[];
  readonly origin: 'static' | 'dynamic';
  readonly version: string;
  readonly since: string | undefined;
  readonly stale: boolean;
  readonly refused: ViewedResource['refused'];
  /** Up to what clients connect to. */
  readonly referredToBy: readonly ExplainedLink[];
  /** Down to endpoints and secrets. */
  readonly refersTo: readonly ExplainedLink[];
  /** Names that it, or what it refers to, needs and that are not there. */
  readonly missing: readonly string[];
}

/** Listener, route, cluster, endpoints: a longer chain goes round in a circle. */
const deepest = 6;
/** A cluster may be named by thousands of routes. */
const mostLinks = 100;

/** @param kind undefined: of whatever kind */
export function explain(view: ConfigView, name: string, kind: Kind | undefined): Explanation[] {
  const references = readReferences(view);
  return view.resources
    .filter((resource) => resource.name === name && (kind === undefined || resource.kind === kind))
    .map((resource) => explainOne(view, references, resource));
}

function explainOne(view: ConfigView, references: References, resource: ViewedResource): Explanation {
  const { kind, name, verdict, reasons, origin, version, since, stale, refused } = resource;
  const missing = new Set<string>();
  const refersTo = down(view, resource, missing, 0);
  return {
    kind,
    name,
    verdict,
    reasons,
    origin,
    version,
    since,
    stale,
    refused,
    referredToBy: up(references, resource, 0),
    refersTo,
    missing: [...missing],
  };
}

function up(references: References, { kind, name }: ViewedResource, depth: number): ExplainedLink[] {
  if (depth >= deepest) return [];
  return references
    .to(kind, name)
    .slice(0, mostLinks)
    .map(({ resource, path }) => ({
      kind: resource?.kind,
      name: resource?.name ?? 'bootstrap',
      field: path,
      verdict: resource?.verdict ?? 'active',
      links: resource ? up(references, resource, depth + 1) : [],
    }));
}

function down(view: ConfigView, resource: ViewedResource, missing: Set<string>, depth: number): ExplainedLink[] {
  if (depth >= deepest) return [];
  return referencesOf(resource)
    .slice(0, mostLinks)
    .flatMap(({ kind, name, path }): ExplainedLink[] => {
      const target = view.resources.find((candidate) => candidate.kind === kind && candidate.name === name);
      if (target === undefined && !view.covers(kind, 'dynamic')) return [];
      if (target?.json === undefined) missing.add(`${kind} ${name} (${resource.kind} ${resource.name}: ${path})`);
      const links = target ? down(view, target, missing, depth + 1) : [];
      return [{ kind, name, field: path, verdict: target?.verdict ?? 'missing', links }];
    });
}
