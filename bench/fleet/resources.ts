import { join } from 'node:path';
import type { Snapshot } from '../../test/support/go-control-plane.js';
import { projectRoot } from '../../test/support/pontoon.js';
import {
  bridgeClusterResource,
  endpointsResource,
  listenerResource,
  routesResource,
} from '../../test/support/resources.js';

const library = join(projectRoot, 'test', 'fixtures', 'plugins', 'stamp.ts');

/** What every instance gets: bridges with endpoints by EDS, the first of them with a version of its own. */
export function fleetResources(clusters: number, first: number, others: number): Snapshot['resources'] {
  const names = Array.from({ length: clusters }, (_, index) => `cluster-${index}`);
  return {
    clusters: names.map((name, index) =>
      bridgeClusterResource({
        name,
        library,
        plugin: 'whole',
        config: { version: index === 0 ? first : others },
      }),
    ),
    endpoints: names.map((name, index) => endpointsResource(name, [10_000 + index])),
    listeners: [listenerResource('main', 'main', 'routes')],
    routes: [routesResource('routes', Object.fromEntries(names.map((name) => [`/${name}/`, name])))],
  };
}
