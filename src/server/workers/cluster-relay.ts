import type { ClusterFollowers } from '../../upstream/cluster-followers.js';
import type { AcceptedBridge } from '../judge-process/accepted-bridge.js';
import type { WorkerMessage } from './messages.js';

/** The line to all workers. */
export interface WorkerLine {
  send(message: WorkerMessage): void;
  /** Resolves when every worker has carried out all that was sent before: never, while one ends again and again. */
  settled(): Promise<void>;
  /** The same, for who can't wait for ever. */
  settledOrLate(): Promise<void>;
}

/** Part of what a new worker must be told. */
export interface Replayed {
  replay(send: (message: WorkerMessage) => void): void;
}

type Current = Extract<WorkerMessage, { readonly kind: 'cluster' | 'cluster_parked' }>;

/** Tells workers which clusters run, with which hosts. */
export function createClusterRelay({ send, settled }: WorkerLine): ClusterFollowers<AcceptedBridge> & Replayed {
  const current = new Map<string, Current>();
  /** What the workers run needs its library's copy, for workers that start later. */
  const held = new Map<string, AcceptedBridge>();

  function letGo(name: string): void {
    const bridge = held.get(name);
    held.delete(name);
    // A worker may not have opened it yet.
    if (bridge) void settled().then(() => bridge.release());
  }

  return {
    serve({ config, version, pipeline, hosts }, served) {
      const { name } = config;
      letGo(name);
      held.set(name, pipeline.retain());
      const { library, number } = pipeline;
      const message: WorkerMessage = { kind: 'cluster', config, version, library, mark: number, hosts };
      current.set(name, message);
      send(message);
      void settled().then(served);
    },
    setHosts(name, hosts) {
      const message = current.get(name);
      if (message?.kind !== 'cluster') return;
      current.set(name, { ...message, hosts });
      send({ kind: 'hosts', cluster: name, hosts });
    },
    park(name, reason) {
      letGo(name);
      const message: WorkerMessage = { kind: 'cluster_parked', cluster: name, reason };
      current.set(name, message);
      send(message);
    },
    remove(name) {
      letGo(name);
      if (current.delete(name)) send({ kind: 'cluster_removed', cluster: name });
    },
    replay(sendOne) {
      for (const message of current.values()) sendOne(message);
    },
  };
}
