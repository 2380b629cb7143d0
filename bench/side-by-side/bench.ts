import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CpuPlan, planCpus } from './measure/cpus.js';
import { cpuTimeUs, machineTimeUs } from './measure/process-tree.js';
import { type PeerName, peers } from './peers/index.js';
import type { Peer, RunningPeer } from './peers/peer.js';
import type { Settings } from './results.js';
import { Unavailable } from './tools/commands.js';
import { debianTool, type Tool } from './tools/debian.js';
import { projectRoot } from './tools/paths.js';
import { startDubboProvider } from './upstream/provider.js';
import { type Answered, startServer, type Upstream, type UpstreamKind } from './upstream/upstream.js';

/** What all cases of one run share. */
export interface Bench {
  readonly settings: Settings;
  readonly cpus: CpuPlan;
  readonly wrk: Tool;
  /** What `--peer` chose; all unless given. */
  wants(peer: PeerName): boolean;
  upstream(kind: UpstreamKind): Promise<Upstream>;
  /** Starts a peer with files of its own. `unavailable` says why it can't be had. */
  start(name: PeerName, cpus: string): Promise<Running | { readonly name: PeerName; readonly unavailable: string }>;
  /** Peer → version, of all that were started. */
  readonly versions: Map<string, string>;
  progress(text: string): void;
  close(): Promise<void>;
}

export interface Running extends RunningPeer {
  readonly name: PeerName;
  readonly peer: Peer;
  /** What the server behind it, or without one it itself, has counted. */
  readonly served: () => Promise<Answered>;
}

/** @throws Unavailable without wrk or a C compiler */
export async function openBench(settings: Settings, wanted: readonly string[]): Promise<Bench> {
  const cpus = planCpus();
  const wrk = await debianTool('wrk');
  const folder = mkdtempSync(join(tmpdir(), 'pontoon-bench-'));
  const upstreams = new Map<UpstreamKind, Promise<Upstream>>();
  const running = new Set<Running>();
  const versions = new Map<string, string>([['wrk', wrk.version]]);
  let started = 0;
  const upstream = (kind: UpstreamKind) => {
    const start = () => (kind === 'dubbo' ? startDubboProvider(cpus.upstream) : startServer(kind, cpus.upstream));
    const server = upstreams.get(kind) ?? start();
    upstreams.set(kind, server);
    return server;
  };
  return {
    settings,
    cpus,
    wrk,
    versions,
    upstream,
    wants: (peer) => wanted.length === 0 || wanted.includes(peer),
    progress: (text) => console.error(text),
    async start(name, list) {
      const peer: Peer = peers[name];
      const own = mkdtempSync(join(folder, `${name}-${started++}-`));
      try {
        const server = peer.upstream === 'none' ? undefined : await upstream(peer.upstream);
        const proxy = await peer.start({ cpus: list, upstreamPort: server?.port ?? 0, folder: own });
        if (proxy.version !== '') versions.set(name, proxy.version);
        const served = proxy.counts ?? server?.counts;
        if (served === undefined) throw new Error(`nobody counts the answers of ${name}`);
        const one: Running = {
          ...proxy,
          name,
          peer,
          served,
          async stop() {
            running.delete(one);
            await proxy.stop();
          },
        };
        running.add(one);
        return one;
      } catch (error) {
        if (error instanceof Unavailable) return { name, unavailable: withoutPaths(error.message, folder) };
        throw error;
      }
    },
    async close() {
      for (const one of [...running]) await one.stop();
      for (const server of upstreams.values()) {
        await server.then(
          (one) => one.stop(),
          () => undefined, // told as a reason where it was wanted
        );
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Reasons get into the report, which is not about this machine. */
const withoutPaths = (text: string, folder: string) => text.replaceAll(projectRoot, '').replaceAll(folder, '');

/** Time that passed, and what was used meanwhile. */
export interface Usage {
  readonly seconds: number;
  /** Of the proxy's process tree, in microseconds. */
  readonly cpuUs: number;
  /** CPUs that were busy with work that is none of the benchmark's. */
  readonly foreignCpus: number;
  /** CPUs that the load, the server behind the proxy, and this program used. */
  readonly loadCpus: number;
}

/**
 * Runs something and accounts for the CPU time meanwhile.
 *
 * @param waiting process trees of peers that wait for their turn
 */
export async function measured<Result>(
  proxy: number,
  waiting: readonly number[],
  task: () => Promise<Result>,
): Promise<Result & { readonly usage: Usage }> {
  const read = () => ({
    at: performance.now(),
    proxy: cpuTimeUs(proxy),
    waiting: waiting.reduce((sum, pid) => sum + cpuTimeUs(pid), 0),
    ours: cpuTimeUs(process.pid),
    machine: machineTimeUs(),
  });
  const before = read();
  const result = await task();
  const after = read();
  const us = (after.at - before.at) * 1000;
  const ours = after.ours - before.ours;
  const cpuUs = after.proxy - before.proxy;
  const usage = {
    seconds: us / 1e6,
    cpuUs,
    foreignCpus: Math.max(0, (after.machine - before.machine - ours) / us),
    loadCpus: Math.max(0, (ours - cpuUs - (after.waiting - before.waiting)) / us),
  };
  return { ...result, usage };
}
