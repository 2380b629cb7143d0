import { parseArgs } from 'node:util';
import { buildGoControlPlane, GoControlPlane } from '../../test/support/go-control-plane.js';
import { planCpus } from '../side-by-side/measure/cpus.js';
import { freePort } from '../side-by-side/peers/peer.js';
import { startServer } from '../side-by-side/upstream/upstream.js';
import { envoy, pontoon } from './peers.js';
import { world } from './resources.js';
import { measureScale, type ScaleResult, type Variant } from './scale.js';

const { values } = parseArgs({
  options: {
    clusters: { type: 'string', default: '10000' },
    variant: { type: 'string', multiple: true, default: [] },
    peer: { type: 'string', multiple: true, default: [] },
  },
});
buildGoControlPlane();
const variants = (values.variant.length > 0 ? values.variant : ['GRPC', 'DELTA_GRPC']) as readonly Variant[];
const cpus = planCpus();
const upstream = await startServer('framed', cpus.upstream);
const ports = await Promise.all(Array.from({ length: 5 }, freePort));
const results: ScaleResult[] = [];
for (const peer of [envoy, pontoon]) {
  if (values.peer.length > 0 && !values.peer.includes(peer.name)) continue;
  for (const variant of variants) {
    const controlPlane = await GoControlPlane.start();
    const result = await measureScale(
      peer,
      controlPlane,
      variant,
      world(Number(values.clusters), peer.bridge, upstream.port, ports),
      cpus.proxy,
    );
    await controlPlane.close();
    console.log(result);
    results.push(result);
  }
}
await upstream.stop();
console.table(results);
