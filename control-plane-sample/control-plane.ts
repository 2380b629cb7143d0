import { type Clock, systemClock } from '../src/clock.js';
import type { Logger } from '../src/log.js';
import { toJson } from '../src/protobuf/json.js';
import { loadSchema, type Schema } from '../src/protobuf/schema.js';
import { type Change, SnapshotCache } from './cache.js';
import { EventLog } from './events.js';
import { ResourceFolder, watchFolder } from './folder.js';
import { startGrpcServer } from './grpc-server.js';
import { startHttpApi } from './http-api.js';
import { NodeRegistry, type NodeStatus } from './nodes.js';
import { formatProblem, type ParseResult, parseObject, parseText } from './parse.js';
import type { ResourceKind } from './resource-kind.js';
import type { Resource } from './snapshot.js';
import { type ResourceId, ResourceStore } from './store.js';

/** Plain objects with Envoy's JSON names, by group. */
export interface ResourceObjects {
  readonly clusters?: readonly unknown[];
  readonly endpoints?: readonly unknown[];
  readonly listeners?: readonly unknown[];
  readonly routes?: readonly unknown[];
}

export interface ControlPlaneOptions {
  /** A folder of files, which is then watched, or plain objects. */
  readonly resources: string | ResourceObjects;
  /** xDS; 0 picks a free port. Default 18000. */
  readonly port?: number;
  /** The HTTP API, always on 127.0.0.1; 0 picks a free port. Default 18001. */
  readonly httpPort?: number;
  /** Where xDS listens. Default 127.0.0.1. */
  readonly host?: string;
  readonly log: Logger;
}

export interface RunningControlPlane extends ControlPlane {
  readonly xdsPort: number;
  readonly httpPort: number;
  /**
   * Replaces the resources of the files (what was pushed stays over them).
   * @throws Error with every problem, leaving everything as it was
   */
  setResources(resources: ResourceObjects): Change | undefined;
  /** Ends all streams and frees both ports. */
  close(): Promise<void>;
}

/** The control plane as its HTTP API sees it. Methods that change it throw an Error that says all that is wrong. */
export interface ControlPlane {
  readonly events: EventLog;
  nodes(): NodeStatus[];
  /** What is served, as JSON. */
  describeSnapshot(): unknown;
  /** Puts the resources of a YAML or JSON text over those of the files. */
  push(text: string, source: string, kind: ResourceKind | undefined): ChangeReport;
  remove(id: ResourceId): ChangeReport;
  /** Forgets all that was pushed or removed. */
  reset(): ChangeReport;
}

/** The outcome of a change: the version that is served now, and what differs from before. */
export interface ChangeReport extends Change {
  readonly version: string;
}

const noChange: Change = { added: [], changed: [], removed: [] };

/**
 * Starts an xDS server and its HTTP API.
 * @throws Error when a resource is wrong, the resources are inconsistent, or a port is taken
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<RunningControlPlane> {
  const { log, resources, host = '127.0.0.1', port = 18_000, httpPort = 18_001 } = options;
  const core = createCore(loadSchema(), systemClock, log);
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    if (typeof resources === 'string') closers.push(await serveFolder(core, resources));
    else core.setFiles(parseObject(core.schema, resources, 'resources'), 'start');
    const grpc = await startGrpcServer({ ...core, log }, host, port);
    closers.push(grpc.close);
    const http = await startHttpApi(core.controlPlane, httpPort);
    closers.push(http.close);
    log.info(
      { xds: `${host}:${grpc.port}`, http: `127.0.0.1:${http.port}`, version: core.cache.snapshot.version },
      'the control plane is ready',
    );
    return {
      ...core.controlPlane,
      xdsPort: grpc.port,
      httpPort: http.port,
      setResources: (next) => core.setFiles(parseObject(core.schema, next, 'resources'), 'setResources'),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Core {
  readonly schema: Schema;
  readonly clock: Clock;
  readonly cache: SnapshotCache;
  readonly nodes: NodeRegistry;
  readonly events: EventLog;
  readonly controlPlane: ControlPlane;
  /** @throws Error when there are problems; they are recorded too */
  setFiles(result: ParseResult, source: string): Change | undefined;
}

function createCore(schema: Schema, clock: Clock, log: Logger): Core {
  const cache = new SnapshotCache();
  const store = new ResourceStore(cache);
  const now = () => clock.now();
  const nodes = new NodeRegistry(now);
  const events = new EventLog(now);

  // The first watcher, so that a change is recorded before what it leads to.
  cache.watch(({ version }, change, source) => {
    events.add({ event: 'snapshot', version, source, ...change });
    log.info({ version, source, ...change }, 'serving new resources');
  });

  /** Makes one change; one that fails is recorded and logged. */
  const apply = (source: string, { problems }: Pick<ParseResult, 'problems'>, change: () => Change | undefined) => {
    try {
      if (problems.length > 0) throw new Error(problems.map(formatProblem).join('\n'));
      return change();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      events.add({ event: 'refused', source, reasons: message.split('\n') });
      log.error({ source }, `refused, still serving ${cache.snapshot.version}: ${message}`);
      throw error;
    }
  };
  const report = (made: Change | undefined): ChangeReport => ({
    version: cache.snapshot.version,
    ...(made ?? noChange),
  });

  const controlPlane: ControlPlane = {
    events,
    nodes: () => nodes.list(),
    describeSnapshot: () => describe(schema, cache),
    push(text, source, kind) {
      const parsed = parseText(schema, text, source, kind);
      const pushed = parsed.resources.map((resource): Resource => ({ ...resource, source: `pushed: ${source}` }));
      const label = `push ${source}`;
      return report(apply(label, parsed, () => store.push(pushed, label)));
    },
    remove(id) {
      const label = `remove ${id.kind.group} ${id.name}`;
      const remove = () => {
        const made = store.remove(id, label);
        if (made === false) throw new Error(`there is no resource "${id.name}" in ${id.kind.group}`);
        return made;
      };
      return report(apply(label, { problems: [] }, remove));
    },
    reset: () => report(apply('reset', { problems: [] }, () => store.reset('reset'))),
  };
  const setFiles = (parsed: ParseResult, source: string) =>
    apply(source, parsed, () => store.setFiles(parsed.resources, source));
  return { schema, clock, cache, nodes, events, controlPlane, setFiles };
}

async function serveFolder(core: Core, path: string): Promise<() => Promise<void>> {
  const folder = new ResourceFolder(path, core.schema);
  const listing = await folder.list();
  // A server that starts with nothing would delete everything at its clients, so the first load must be good.
  core.setFiles(await folder.load(listing), path);
  return watchFolder(folder, listing, core.clock, (result) => {
    try {
      core.setFiles(result, path);
    } catch {
      // It was recorded and logged; the last good snapshot is served.
    }
  });
}

function describe(schema: Schema, { snapshot }: SnapshotCache): unknown {
  return {
    version: snapshot.version,
    types: [...snapshot.types].map(([typeUrl, { version, resources }]) => ({
      type_url: typeUrl,
      version,
      resources: [...resources.values()].map((resource) => ({
        name: resource.name,
        version: resource.version,
        source: resource.source,
        resource: toJson(schema, resource.kind.typeName, resource.bytes),
      })),
    })),
  };
}
