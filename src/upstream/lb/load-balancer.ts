import type { Counter } from '../../stats/store.js';
import { type Host, healthOf } from '../host.js';
import { EdfScheduler } from './edf-scheduler.js';
import { computePriorityLoad, type PriorityLoad } from './priority-load.js';

export interface LoadBalancerOptions {
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  /** lb_healthy_panic: picks made while a priority is in panic. */
  readonly stats: { readonly lbHealthyPanic: Counter };
}

/** One set of hosts and whose turn it is. The number of picks outlives an update, so that the turn goes on instead of starting over. */
class Rotation {
  #hosts: readonly Host[] = [];
  #edf: EdfScheduler<Host> | undefined;
  #picks: number;

  constructor(start: number) {
    this.#picks = start;
  }

  update(hosts: readonly Host[]): void {
    this.#hosts = hosts;
    const even = hosts.every((host) => host.weight === hosts[0]?.weight);
    this.#edf = even ? undefined : new EdfScheduler(hosts, (host) => host.weight, this.#picks);
  }

  pick(): Host | undefined {
    const turn = this.#picks++;
    return this.#edf ? this.#edf.pick() : this.#hosts[turn % this.#hosts.length];
  }
}

interface Priority {
  readonly all: Rotation;
  readonly healthy: Rotation;
  readonly degraded: Rotation;
}

const noHosts: readonly Host[] = [];

/** As `filter`, but without a list of its own where that has all, or nothing. */
function select(hosts: readonly Host[], belongs: (host: Host) => boolean): readonly Host[] {
  if (hosts.every(belongs)) return hosts;
  const some = hosts.filter(belongs);
  return some.length > 0 ? some : noHosts;
}

/** ROUND_ROBIN with weights, over priorities and health. Localities share one rotation, as without locality-weighted balancing in Envoy. */
export class LoadBalancer {
  readonly #options: LoadBalancerOptions;
  readonly #start: number;
  readonly #priorities: Priority[] = [];
  #load: PriorityLoad = { healthy: [], degraded: [], panic: [] };

  constructor(options: LoadBalancerOptions) {
    this.#options = options;
    // Many processes that get the same hosts must not all begin with the same one.
    this.#start = Math.floor(options.random() * 2 ** 20);
  }

  update(hosts: readonly Host[], overprovisioningFactor: number): void {
    const highest = hosts.reduce((max, host) => Math.max(max, host.priority), 0);
    while (this.#priorities.length <= highest) {
      this.#priorities.push({
        all: new Rotation(this.#start),
        healthy: new Rotation(this.#start),
        degraded: new Rotation(this.#start),
      });
    }
    const counts = this.#priorities.map((rotations, priority) => {
      const all = select(hosts, (host) => host.priority === priority);
      const healthy = select(all, (host) => healthOf(host) === 'healthy');
      const degraded = select(all, (host) => healthOf(host) === 'degraded');
      rotations.all.update(all);
      rotations.healthy.update(healthy);
      rotations.degraded.update(degraded);
      return {
        total: all.length,
        healthy: healthy.length,
        degraded: degraded.length,
      };
    });
    this.#load = computePriorityLoad(counts, overprovisioningFactor);
  }

  /** Undefined: no host that may be used. */
  pick(): Host | undefined {
    const { healthy, degraded, panic } = this.#load;
    if (healthy.length === 0) return undefined;
    // The usual case draws no random number.
    if (healthy[0] === 100) return this.#pickFrom(0, 'healthy', panic[0] === true);
    let draw = Math.floor(this.#options.random() * 100);
    for (const [health, loads] of [
      ['healthy', healthy],
      ['degraded', degraded],
    ] as const) {
      for (let priority = 0; priority < loads.length; priority++) {
        draw -= loads[priority] as number;
        if (draw < 0) return this.#pickFrom(priority, health, panic[priority] === true);
      }
    }
    return undefined;
  }

  #pickFrom(priority: number, health: 'healthy' | 'degraded', panic: boolean): Host | undefined {
    const rotations = this.#priorities[priority] as Priority;
    if (!panic) return rotations[health].pick();
    this.#options.stats.lbHealthyPanic.value++;
    return rotations.all.pick();
  }
}
