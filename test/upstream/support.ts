import { createServer, type Server, type Socket } from 'node:net';
import { createLogging } from '../../src/log.js';
import type { CircuitBreakerThresholds, Cluster } from '../../src/model/cluster.js';
import type { HealthStatus, LoadAssignment } from '../../src/model/endpoint.js';
import type { Resource } from '../../src/model/verdict.js';
import { kept } from '../../src/turn-memory.js';
import type {
  AcquireOptions,
  ActiveCluster,
  ClusterManager,
  Pin,
  Pipeline,
} from '../../src/upstream/cluster-manager.js';
import type { ExclusiveConnection, PoolCallbacks, PoolFailure } from '../../src/upstream/connection.js';

export const log = createLogging('off').logger('upstream');

/** An exchange that pins a version. */
export const pinOf = (onDrainTimeout: () => void = () => undefined): Pin => ({ onDrainTimeout, listIndex: -1 });

/** A TCP server of the test's own on a free port. */
export interface TestServer {
  readonly port: number;
  readonly address: string;
  /** Those that are open, in the order of their coming. */
  readonly sockets: Socket[];
  /** All that came, ever. */
  accepted: number;
  close(): Promise<void>;
}

export async function startServer(onSocket: (socket: Socket) => void = () => {}): Promise<TestServer> {
  const sockets: Socket[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    result.accepted++;
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.splice(sockets.indexOf(socket), 1));
    onSocket(socket);
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not bound');
  const result: TestServer = {
    port: address.port,
    address: `127.0.0.1:${address.port}`,
    sockets,
    accepted: 0,
    async close() {
      for (const socket of [...sockets]) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return result;
}

/** Resolves when `condition` holds; fails after two seconds. */
export async function eventually(condition: () => boolean, what = condition.toString()): Promise<void> {
  const deadline = Date.now() + 2000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`did not come true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** A few turns of the event loop: what is on its way within this process arrives. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export interface TestPipeline extends Pipeline {
  released: number;
}

export function pipeline(id = 'p'): TestPipeline {
  return {
    id,
    released: 0,
    release() {
      this.released++;
    },
  };
}

export interface TestEndpoint {
  readonly address?: string;
  readonly port: number;
  readonly weight?: number;
  readonly health?: HealthStatus;
  readonly priority?: number;
}

export function assignment(endpoints: readonly TestEndpoint[], clusterName = 'echo'): LoadAssignment {
  return {
    clusterName,
    overprovisioningFactor: 140,
    localities: endpoints.map(({ address = '127.0.0.1', port, weight = 1, health = 'UNKNOWN', priority = 0 }) => ({
      locality: { region: '', zone: '', subZone: '' },
      priority,
      weight: undefined,
      endpoints: [{ address: { kind: 'tcp', address, port }, hostname: '', weight, healthStatus: health }],
    })),
  };
}

const wideOpen: CircuitBreakerThresholds = {
  maxConnections: 1024,
  maxPendingRequests: 1024,
  maxRequests: 1024,
  maxRetries: 3,
};

export function clusterModel(
  discovery: Cluster['discovery'] | readonly TestEndpoint[],
  overrides: Partial<Cluster> & { readonly limits?: Partial<CircuitBreakerThresholds> } = {},
): Cluster {
  const { limits, ...rest } = overrides;
  return {
    name: 'echo',
    statName: rest.name ?? 'echo',
    discovery:
      'type' in discovery ? discovery : { type: 'STATIC', loadAssignment: assignment(discovery as TestEndpoint[]) },
    lbPolicy: 'ROUND_ROBIN',
    connectTimeoutMs: 5000,
    idleTimeoutMs: 3_600_000,
    perConnectionBufferLimitBytes: 1 << 20,
    circuitBreakers: { default: { ...wideOpen, ...limits }, high: wideOpen },
    bridge: undefined,
    ...rest,
  };
}

export function edsDiscovery(serviceName = 'echo'): Cluster['discovery'] {
  return { type: 'EDS', serviceName, source: { kind: 'ads', initialFetchTimeoutMs: 15_000 } };
}

export function resource(model: Cluster, version = '1'): Resource<Cluster> {
  return {
    name: model.name,
    version,
    bytes: Buffer.from(JSON.stringify([model, version])),
    verdict: { kind: 'active', model, warnings: [] },
  };
}

export function active<P extends Pipeline>(manager: ClusterManager<P>, name = 'echo'): ActiveCluster<P> {
  const found = manager.lookup(name);
  if (found.kind !== 'active') throw new Error(`cluster ${name} is ${found.kind}`);
  return found.cluster;
}

/** What happened on a connection, in order: strings for data, `end`, `writable`, `close:REASON`. */
export interface Attempt {
  readonly result: Promise<ExclusiveConnection | PoolFailure>;
  readonly events: string[];
  connection: ExclusiveConnection | undefined;
  failure: PoolFailure | undefined;
  received: Buffer[];
  cancel(): void;
}

/** Acquires a connection and records all that happens on it. */
export function attempt(
  cluster: ActiveCluster<Pipeline>,
  priority: 'default' | 'high' = 'default',
  onData?: (connection: ExclusiveConnection) => void,
  options?: Partial<AcquireOptions>,
): Attempt {
  const events: string[] = [];
  let cancel = () => {};
  const state: Attempt = {
    events,
    connection: undefined,
    failure: undefined,
    received: [],
    cancel: () => cancel(),
    result: new Promise((resolve) => {
      const callbacks: PoolCallbacks = {
        onReady(given) {
          // Without a protocol for frames nothing is shared.
          const connection = given as ExclusiveConnection;
          events.push('ready');
          Object.assign(state, { connection });
          connection.setHandler({
            onData: (data) => {
              state.received.push(kept(data));
              events.push(data.length > 100 ? `data(${data.length})` : data.toString());
              onData?.(connection);
            },
            onEnd: () => events.push('end'),
            onWritable: () => events.push('writable'),
            onClose: (reason) => events.push(`close:${reason}`),
          });
          resolve(connection);
        },
        onFailure(failure) {
          events.push(failure.kind);
          Object.assign(state, { failure });
          resolve(failure);
        },
      };
      const request = cluster.acquire(
        priority,
        callbacks,
        options && { freshOnly: false, exclusive: false, ...options },
      );
      cancel = () => request.cancel();
    }),
  };
  return state;
}

export async function connected(
  cluster: ActiveCluster<Pipeline>,
): Promise<Attempt & { connection: ExclusiveConnection }> {
  const made = attempt(cluster);
  await made.result;
  if (!made.connection) throw new Error(`no connection: ${made.failure?.kind}`);
  return made as Attempt & { connection: ExclusiveConnection };
}
