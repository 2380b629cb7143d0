import type { SavedResource, SnapshotOwner } from '../../src/snapshot/format.js';

export const owner: SnapshotOwner = { nodeId: 'killed', nodeCluster: 'test' };

/** Between 1 and 400, of up to 20 kB: as much as takes some milliseconds to write. */
const countOf = (generation: number): number => 1 + ((generation * 7919) % 400);
const sizeOf = (index: number): number => (index * 733) % 20_000;

/** All that there is at one time: every resource says which. */
export function resourcesOf(generation: number): SavedResource[] {
  return Array.from({ length: countOf(generation) }, (_, index) => ({
    source: 'ads',
    typeUrl: 'type.googleapis.com/test',
    name: `r${index}`,
    version: String(generation),
    bytes: Buffer.alloc(sizeOf(index), generation % 256),
    acceptedAt: new Date(generation),
  }));
}

/** @throws Error when they are not all those of one time */
export function generationOf(resources: readonly SavedResource[]): number {
  const generation = Number(resources[0]?.version);
  const expected = resourcesOf(generation);
  if (resources.length !== expected.length)
    throw new Error(`${resources.length} resources of generation ${generation}, which has ${expected.length}`);
  for (const [index, { name, version, bytes }] of resources.entries()) {
    const wanted = expected[index];
    if (name !== wanted?.name || version !== wanted.version || Buffer.compare(bytes, wanted.bytes) !== 0)
      throw new Error(`resource ${index} (${name}, version ${version}) is not that of generation ${generation}`);
  }
  return generation;
}
