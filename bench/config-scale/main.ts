/** A large configuration, beside Envoy on this machine in one run: `npm run bench:config-scale`; `-- --help` lists the flags. */
import { parseArgs } from 'node:util';
import { buildGoControlPlane, GoControlPlane } from '../../test/support/go-control-plane.js';
import { planCpus } from '../side-by-side/measure/cpus.js';
import { freePort } from '../side-by-side/peers/peer.js';
import { startServer } from '../side-by-side/upstream/upstream.js';
import { envoy, pontoon } from './peers.js';
import { world } from './resources.js';
import { measureScale, type ScaleResult, type Variant } from './scale.js';
import { measureUnderLoad, type UnderLoad } from './under-load.js';

const { values } = parseArgs({
  options: {
    clusters: { type: 'string', default: '10000' },
    pushes: { type: 'string', default: '200' },
    variant: { type: 'string', multiple: true, default: [] },
    peer: { type: 'string', multiple: true, default: [] },
    part: { type: 'string', multiple: true, default: [] },
  },
});
buildGoControlPlane();
const variants = (values.variant.length > 0 ? values.variant : ['GRPC', 'DELTA_GRPC']) as readonly Variant[];
const wants = (part: string) => values.part.length === 0 || values.part.includes(part);
const cpus = planCpus();
const upstream = await startServer('framed', cpus.upstream);
const ports = await Promise.all(Array.from({ length: 5 }, freePort));
const results: ScaleResult[] = [];
const loads: UnderLoad[] = [];
for (const peer of [envoy, pontoon]) {
  if (values.peer.length > 0 && !values.peer.includes(peer.name)) continue;
  const large = world(Number(values.clusters), peer.bridge, upstream.port, ports);
  for (const variant of wants('scale') ? variants : []) {
    const controlPlane = await GoControlPlane.start();
    try {
      results.push(await measureScale(peer, controlPlane, variant, large, cpus.proxy));
    } finally {
      await controlPlane.close();
    }
  }
  if (wants('load')) {
    const small = world(2, peer.bridge, upstream.port, ports);
    loads.push(await measureUnderLoad(peer, small, large, ports[0] as number, cpus, Number(values.pushes)));
  }
}
await upstream.stop();
console.table(results);
for (const { peer, phases, activeMs } of loads) {
  console.log(
    peer,
    'active',
    activeMs[Math.floor(activeMs.length / 2)],
    activeMs[Math.ceil(activeMs.length * 0.99) - 1],
  );
  console.table(
    phases.map(({ name, load, heartbeat, cpuMs, residentMiB }) => ({
      name,
      ...load,
      ...heartbeat,
      cpuMs,
      residentMiB,
    })),
  );
}
