import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { Cluster } from '../model/cluster.js';
import type { DnsResolver } from './dns-resolver.js';
import { createDnsSource } from './dns-source.js';
import type { EdsAssignments } from './eds-assignments.js';
import { EdsSource } from './eds-source.js';
import { createStaticSource, type HostSource, nothingResolved } from './host-source.js';

export interface HostSourcesOptions {
  readonly assignments: EdsAssignments;
  readonly resolver: DnsResolver;
  readonly clock: Clock;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly log: Logger;
}

/** The version of a cluster before, of which its next one may begin with what DNS said. */
export interface PreviousVersion extends Pick<HostSource, 'resolved'> {
  readonly config: Cluster;
}

/** Makes the source of a version's hosts that its configuration names. */
export function createHostSources({
  assignments,
  resolver,
  clock,
  random,
  log,
}: HostSourcesOptions): (config: Cluster, previous: PreviousVersion | undefined) => HostSource {
  return (config, previous) => {
    const { discovery } = config;
    switch (discovery.type) {
      case 'STATIC':
        return createStaticSource(discovery.loadAssignment);
      case 'EDS':
        return new EdsSource(config, discovery, assignments);
      default: {
        const before = previous?.config.discovery;
        // With other DNS settings the same name may have other addresses.
        const same = before?.type === discovery.type && isDeepStrictEqual(before.dns, discovery.dns);
        const resolved = same && previous ? previous.resolved : nothingResolved;
        return createDnsSource({ discovery, resolver, clock, random, log, resolved });
      }
    }
  };
}
