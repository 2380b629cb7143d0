/** A large configuration, beside Envoy on this machine in one run: `npm run bench:config-scale`; `-- --help` lists the flags. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { envoyVersion } from '../../test/support/envoy.js';
import { buildGoControlPlane, GoControlPlane } from '../../test/support/go-control-plane.js';
import { moveTo, planCpus } from '../side-by-side/measure/cpus.js';
import { describeMachine } from '../side-by-side/measure/machine.js';
import { freePort } from '../side-by-side/peers/peer.js';
import { projectRoot } from '../side-by-side/tools/paths.js';
import { startServer } from '../side-by-side/upstream/upstream.js';
import { type Options, parseOptions, usage } from './options.js';
import { envoy, type Peer, pontoon, pontoonWithSnapshots } from './peers.js';
import { renderReport, renderResults } from './report.js';
import { endpointsPerCluster, world } from './resources.js';
import type { Results, ScaleResult, UnderLoad } from './results.js';
import { measureScale } from './scale.js';
import { measureUnderLoad } from './under-load.js';

async function measureAll(options: Options): Promise<Results> {
  const { clusters, pushes, variants, peers, parts } = options;
  buildGoControlPlane();
  const cpus = planCpus();
  // With all that it starts and that has no CPU of its own, the control plane among them.
  moveTo(process.pid, cpus.load);
  const upstream = await startServer('framed', cpus.upstream);
  const scale: ScaleResult[] = [];
  const load: UnderLoad[] = [];
  try {
    const ports = await Promise.all(Array.from({ length: 5 }, freePort));
    const large = (peer: Peer) => world(clusters, peer.bridge, upstream.port, ports);
    const wanted = [envoy, pontoon].filter(({ name }) => peers.some((each) => each === name));
    for (const peer of parts.includes('scale') ? wanted : []) {
      for (const variant of variants) {
        console.error(`${peer.title}, ${variant} …`);
        const controlPlane = await GoControlPlane.start();
        try {
          scale.push(await measureScale(peer, controlPlane, variant, large(peer), cpus.proxy));
        } finally {
          await controlPlane.close();
        }
      }
    }
    const loaded = wanted.flatMap((peer) => (peer === pontoon ? [peer, pontoonWithSnapshots] : [peer]));
    for (const peer of parts.includes('load') ? loaded : []) {
      console.error(`${peer.title} under load …`);
      const small = world(2, peer.bridge, upstream.port, ports);
      load.push(await measureUnderLoad(peer, small, large(peer), ports[0] as number, cpus, pushes));
    }
  } finally {
    await upstream.stop();
  }
  // The first two have one endpoint each.
  const endpoints = (clusters - 2) * endpointsPerCluster + 2;
  return { format: 1, machine: describeMachine(), envoyVersion, clusters, endpoints, scale, load };
}

const inDocs = (name: string) => join(projectRoot, 'docs', name);

function writeReport(): void {
  const template = readFileSync(join(projectRoot, 'bench', 'config-scale', 'config-scale.template.md'), 'utf8');
  const results = JSON.parse(readFileSync(inDocs('config-scale.json'), 'utf8')) as Results;
  writeFileSync(inDocs('config-scale.md'), renderReport(template, results));
}

async function main(): Promise<void> {
  if (process.argv.includes('--help')) return void console.log(usage);
  const options = parseOptions(process.argv.slice(2));
  if (options.report) return writeReport();
  const results = await measureAll(options);
  console.log(renderResults(results));
  if (options.output !== undefined) writeFileSync(options.output, `${JSON.stringify(results, undefined, 1)}\n`);
}

try {
  await main();
} catch (error) {
  const expected = (error as { readonly code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
  console.error(expected ? `bench: ${(error as Error).message}` : error);
  process.exitCode = 1;
}
