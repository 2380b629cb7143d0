/**
 * A day of changes in less than an hour: `npm run day [-- --pushes 20000 --minutes 60 --seed 1 --concurrency 1]`. A go-control-plane changes everything
 * that it serves at random (clusters that come and go, endpoints, routes, listeners, certificates), also to what must be refused, and
 * drops its streams from time to time. Two Pontoons (SotW and Delta) serve from it, with clients at a plain and at a TLS listener that
 * ask for every path, and TCP servers with and without TLS behind.
 *
 * No request may fail. Every so often, and at the end, what is bad is mended, and then each instance's /config_dump must be what the
 * control plane has, and every client be served by it. The memory in use must not have grown from the second third to the last. Ends
 * with 1 and the violations when something was not so.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createAuthority } from '../test/support/certificates.js';
import { GoControlPlane } from '../test/support/go-control-plane.js';
import { Load } from '../test/support/load/load.js';
import { createRandom } from '../test/support/random.js';
import {
  type DayConfig,
  type Dice,
  emptied,
  firstConfig,
  hasTls,
  mended,
  nextConfig,
  type Seen,
} from './day/config.js';
import { Instance } from './day/instance.js';
import { pontoonName, resourcesOf, type Surroundings, tlsServerName, versionsOf } from './day/resources.js';

const { values } = parseArgs({
  options: {
    pushes: { type: 'string', default: '20000' },
    minutes: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    concurrency: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`npm run day -- [FLAGS]

  --pushes N        changes (20000)
  --minutes N       they are spread over so many, without the time to come to rest (60)
  --seed N          the same changes again
  --concurrency N   worker processes of each Pontoon; 1: it serves by itself (1)
`);
  process.exit(0);
}
const pushes = Number(values.pushes);
const intervalMs = (Number(values.minutes) * 60_000) / pushes;
const seed = Number(values.seed);

/** So many times, three at least, all comes to rest and is compared. */
const rests = Math.max(3, 3 * Math.round(pushes / 3_000));
const pushesPerOutage = 40;
/** A refusal is paced to 5 s, an attempt at a stream waits some seconds at most while the outages are short. */
const restMs = 60_000;
/** What the memory in use may differ without a leak: 150 bytes per push would show in 20,000. Code that is still being compiled takes more. */
const noiseBytes = (pushes < 5_000 ? 8 : 1) * 1024 * 1024;

const violations: string[] = [];
function check(good: boolean, what: string): void {
  if (good) return;
  violations.push(what);
  console.log(`VIOLATION ${what}`);
}
const megabytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(2)} MB`;

GoControlPlane.build();
console.log(
  `day: ${pushes} pushes, one every ${intervalMs.toFixed(0)} ms, --seed ${seed}, --concurrency ${values.concurrency}`,
);
const random = createRandom(seed);
const authority = createAuthority();
const identity = (name: string) => ({ ...authority.issue([name]), ca: authority.cert });
const servers = await Load.open();
const tlsPorts = await servers.listenTls(4, identity(tlsServerName));
const surroundings: Surroundings = {
  ports: [...servers.ports, ...tlsPorts],
  authority,
  other: createAuthority('another CA'),
};
const plainServers = servers.ports.map((_, index) => index);
const tlsServers = tlsPorts.map((_, index) => servers.ports.length + index);
let versions = 0;
const dice: Dice = {
  random,
  nextVersion: () => ++versions,
  newCertificate: () => authority.issue([pontoonName]),
  serversOf: (cluster) => (hasTls(cluster) ? tlsServers : plainServers),
};

// One snapshot for all, and endpoints and secrets without waiting until all of them are asked for.
const controlPlane = await GoControlPlane.start(['-hash', '=day', '-ads=false']);
let config = firstConfig(dice);
const counts: Record<string, number> = {};
const memory: number[][] = [[], []];

async function put(): Promise<void> {
  const resources = resourcesOf(config, surroundings);
  const version = String(versions);
  await controlPlane.putSnapshot({
    version,
    nodeId: 'day',
    resources,
    versions: versionsOf(resources, config.restated),
  });
}

await put();
const instances = await Promise.all(
  (['SOTW', 'DELTA'] as const).map((variant, index) =>
    Instance.start({
      variant,
      address: controlPlane.address,
      client: identity('spiffe://day/client'),
      seed: seed + 10 * index,
      concurrency: values.concurrency,
    }),
  ),
);

/** What every instance has. */
async function look(): Promise<Seen> {
  const [first, ...others] = await Promise.all(instances.map((instance) => instance.seen()));
  return others.reduce(
    (all, seen) => ({
      routes: Math.min(all.routes, seen.routes),
      clusters: new Map(
        [...all.clusters].map(([index, version]) => [index, Math.min(version, seen.clusters.get(index) ?? 0)]),
      ),
    }),
    first as Seen,
  );
}

/** All streams are lost, and come back after an outage that is short as a rule. */
async function dropStreams(): Promise<void> {
  counts['streams dropped'] = (counts['streams dropped'] ?? 0) + 1;
  await controlPlane.stopGrpc();
  await sleep(random() < 0.1 ? 3_000 : random() * 300);
  await controlPlane.startGrpc();
}

/** Waits until every instance has and serves this. */
async function settle(next: DayConfig, push: number): Promise<void> {
  config = next;
  await put();
  const resources = resourcesOf(config, surroundings);
  const outcomes = await Promise.allSettled(instances.map((instance) => instance.settles(config, resources, restMs)));
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') check(false, `after ${push} pushes: ${outcome.reason}`);
}

/** Ends what is bad, and what comes and goes, so that the same is left each time; compares. Returns whether all is as it must be. */
async function rest(push: number): Promise<boolean> {
  const started = performance.now();
  await settle(mended(config), push);
  const settledMs = performance.now() - started;
  await settle(emptied(config), push);
  await controlPlane.forgetAcks();
  let failed = 0;
  for (const [index, instance] of instances.entries()) {
    const reports = await instance.reports();
    const failures = reports.reduce((sum, report) => sum + report.failures, 0);
    const exchanges = reports.reduce((sum, report) => sum + report.exchanges, 0);
    failed += failures;
    const inUse = await instance.memoryInUse();
    memory[index]?.push(inUse);
    console.log(
      `${String(push).padStart(6)} pushes, ${instance.name.padEnd(5)}: ${exchanges} exchanges, ${failures} failed, ${megabytes(inUse)} in use, at rest after ${settledMs.toFixed(0)} ms`,
    );
  }
  return violations.length === 0 && failed === 0;
}

const started = performance.now();
let paused = 0;
let seen = await look();
let outage: Promise<void> | undefined;
for (let push = 1; push <= pushes; push++) {
  const due = push * intervalMs - (performance.now() - started - paused);
  if (due > 0) await sleep(due);
  const next = nextConfig(config, dice, seen);
  counts[next.kind] = (counts[next.kind] ?? 0) + 1;
  config = next.config;
  await put();
  if (outage === undefined && push % pushesPerOutage === 0) {
    outage = dropStreams().finally(() => {
      outage = undefined;
    });
  }
  if (push % 15 === 0) seen = await look();
  if (push % Math.ceil(pushes / rests) !== 0 && push !== pushes) continue;
  const begun = performance.now();
  await outage;
  if (!(await rest(push))) break;
  seen = await look();
  paused += performance.now() - begun;
}

for (const [index, instance] of instances.entries()) {
  const reports = await instance.stopLoads();
  for (const { failures, examples, announcedCloses } of reports) {
    check(failures === 0, `${instance.name}: ${failures} requests failed: ${examples.join('\n')}`);
    check(announcedCloses === 0, `${instance.name}: ${announcedCloses} connections were closed`);
  }
  check((await instance.stat('server.uncaught_errors')) === 0, `${instance.name}: uncaught errors`);
  const samples = memory[index] ?? [];
  const at = (share: number) => samples[Math.round(samples.length * share) - 1] ?? 0;
  const [second, last] = [at(2 / 3), at(1)];
  console.log(
    `${instance.name}: memory in use after each third: ${[at(1 / 3), second, last].map(megabytes).join(', ')}`,
  );
  check(last - second <= noiseBytes, `${instance.name}: memory grew by ${megabytes(last - second)} in the last third`);
  for (const stat of [
    'cluster_manager.cds.update_rejected',
    'cluster_manager.cluster_added',
    'cluster_manager.cluster_removed',
    'cluster_manager.cluster_modified',
  ])
    console.log(`  ${instance.name} ${stat}: ${await instance.stat(stat)}`);
}
for (const kind of Object.keys(counts).sort()) console.log(`${String(counts[kind]).padStart(7)}  ${kind}`);
console.log(
  `${pushes} pushes in ${((performance.now() - started) / 60_000).toFixed(1)} minutes, ${(paused / 60_000).toFixed(1)} of them to come to rest`,
);
for (const instance of instances) {
  const code = await instance.close();
  check(code === 0, `${instance.name} ended with ${code}`);
}
await controlPlane.close();
servers.close();
console.log(
  violations.length === 0
    ? 'day passed'
    : `day failed: ${violations.length} violations (--seed ${seed} makes the same changes)`,
);
process.exit(violations.length === 0 ? 0 : 1);
