/**
 * Soak: `npm run soak [-- --exchanges 200000 --reloads 1000 --seed 1]`. Pontoon runs in this process; its clients and TCP servers, which
 * abort, cut, stall and read slowly at random, in another. After each third everything must be at rest, every bridge destroyed once, and
 * the memory in use must not have grown since the second third. Then a library is changed and reloaded again and again, likewise.
 * Ends with 1 and the violations when something was not so.
 */
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadBootstrap } from '../src/bootstrap/load.js';
import { bootstrapReport } from '../src/bootstrap/report.js';
import { createLogging } from '../src/log.js';
import { loadSchema } from '../src/protobuf/schema.js';
import { startServer } from '../src/server.js';
import { bridgeCluster, httpListener } from '../test/support/pontoon.js';
import { until } from '../test/support/until.js';
import { askAdmin } from './soak/admin.js';
import type { BridgeCounts } from './soak/counts.js';
import { activeResources, memoryInUse, type Resources, showAllTimers } from './soak/process-state.js';
import type { PeersMessage, RunCommand } from './soak/protocol.js';

const { values } = parseArgs({
  options: {
    exchanges: { type: 'string', default: '200000' },
    reloads: { type: 'string', default: '1000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const exchanges = Number(values.exchanges);
const reloads = Number(values.reloads);
const seed = Number(values.seed);

/** What the memory in use may differ without a leak: 16 bytes per exchange would show in 200,000. */
const noiseBytes = 1024 * 1024;
/** Longest of the waits in Pontoon are 5 s (a flush, an idle compiler). */
const restMs = 20_000;

const violations: string[] = [];
function check(good: boolean, what: string): void {
  if (good) return;
  violations.push(what);
  console.log(`VIOLATION ${what}`);
}
const megabytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(2)} MB`;

const counts: BridgeCounts = { created: 0, destroyed: 0, destroyedTwice: 0 };
(globalThis as { soakCounts?: BridgeCounts }).soakCounts = counts;
showAllTimers();

const folder = mkdtempSync(join(tmpdir(), 'pontoon-soak-'));
const reloadedPath = join(folder, 'reloaded.mjs');
/** Every top level that was evaluated; none but the last may stay in memory. */
const loadedLibraries: WeakRef<object>[] = [];
(globalThis as { soakLoaded?: (library: object) => void }).soakLoaded = (library) => {
  loadedLibraries.push(new WeakRef(library));
};

function writeLibrary(version: number): void {
  writeFileSync(
    reloadedPath,
    `export const bridges = { reloaded: {
      createBridge: () => ({ encodeHeaders(headers, dataForSet) { dataForSet.set('${version}'); return 2; } }),
      ballast: ${JSON.stringify(Array.from({ length: 500 }, (_, i) => version * i))},
    } };
    globalThis.soakLoaded(bridges);`,
  );
}

const peers = fork(fileURLToPath(new URL('soak/peers.js', import.meta.url)), { execArgv: [] });
function nextMessage<K extends PeersMessage['kind']>(kind: K): Promise<Extract<PeersMessage, { kind: K }>> {
  return new Promise((resolve, reject) => {
    peers.once('exit', (code) => reject(new Error(`the peers ended with ${code}`)));
    const onMessage = (message: PeersMessage) => {
      if (message.kind === 'progress') console.log(`  … ${message.exchanges}`);
      if (message.kind !== kind) return;
      peers.off('message', onMessage);
      peers.removeAllListeners('exit');
      resolve(message as Extract<PeersMessage, { kind: K }>);
    };
    peers.on('message', onMessage);
  });
}

async function start(steady: readonly number[], flaky: readonly number[]) {
  writeLibrary(0);
  const library = fileURLToPath(new URL('soak/plugin.js', import.meta.url));
  const clusters = [
    bridgeCluster({ name: 'steady', ports: steady, library, plugin: 'soak' }),
    bridgeCluster({ name: 'flaky', ports: flaky, library, plugin: 'soak' }),
    bridgeCluster({ name: 'reloaded', ports: steady, library: reloadedPath, plugin: 'reloaded' }),
  ];
  const routes = [
    '{match: {safe_regex: {regex: "/[a-z]+/steady"}}, route: {cluster: steady}}',
    '{match: {safe_regex: {regex: "/[a-z]+/flaky"}}, route: {cluster: flaky}}',
    '{match: {prefix: /reloaded}, route: {cluster: reloaded}}',
  ];
  const schema = loadSchema();
  const accessLog =
    'access_log: [{name: file, typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: /dev/null}}],';
  const yamlText = `
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  clusters: [${clusters.join(', ')}]
  listeners:
    - ${httpListener('soak', 'soak', `route_config: {name: soak, virtual_hosts: [{name: all, domains: ["*"], routes: [${routes.join(', ')}]}]}`, accessLog)}
`;
  const loaded = loadBootstrap({ schema, yamlText });
  if (!loaded.ok) throw new Error(bootstrapReport(loaded).join('\n'));
  return startServer({
    bootstrap: loaded.bootstrap,
    schema,
    logging: createLogging('off'),
    logPath: undefined,
    drainTimeMs: 5_000,
    maxGoLibraries: 32,
    sockets: 'own',
    workers: 0,
    http1Codec: 'own',
    pluginRoots: [folder, fileURLToPath(new URL('.', import.meta.url))],
    commandLine: {},
    csdsAddress: undefined,
    onQuit: () => undefined,
  });
}

const ports = await nextMessage('servers');
const server = await start(ports.steady, ports.flaky);
const { adminAddress } = server;
if (adminAddress?.kind !== 'tcp') throw new Error('no admin interface');
const admin = `http://127.0.0.1:${adminAddress.port}`;
const listener = /^soak::(.*)$/m.exec(await askAdmin(`${admin}/listeners`))?.[1] ?? '';
const [host = '', port] = listener.split(':');

/** Everything that is running, by the name of its gauge; empty at rest. */
async function running(): Promise<Resources> {
  const gauges =
    /^(?:http\.soak|cluster\.\w+|bridge\.\w+|listener\..*)\.(?:\w*cx_active|\w*rq_active|\w*pending_active|exchanges_active)$/;
  const live = (await askAdmin(`${admin}/stats`))
    .split('\n')
    .map((line) => line.split(': '))
    .filter(([name = '', value]) => gauges.test(name) && value !== '0');
  return Object.fromEntries(live.map(([name, value]) => [name, Number(value)]));
}

/** Sockets, servers, timers, files and child processes, as far as there are more than at the start. */
function heldBesides(baseline: Resources): Resources {
  const kinds = /^(?:TCP|Timeout|FSReq|Process)/;
  // The process of the peers is ours.
  const ours: Resources = { ProcessWrap: 1, ...baseline };
  return Object.fromEntries(
    Object.entries(activeResources()).filter(([kind, count]) => kinds.test(kind) && count > (ours[kind] ?? 0)),
  );
}

/** Waits until nothing is left, and says what is when that takes too long. */
async function settle(when: string, left: () => Resources | Promise<Resources>): Promise<void> {
  const deadline = Date.now() + restMs;
  for (;;) {
    const what = await left();
    if (Object.keys(what).length === 0) return;
    if (Date.now() > deadline) return check(false, `${when}: left: ${JSON.stringify(what)}`);
    await sleep(50);
  }
}

/** Everything is at rest: nothing runs, and nothing is held but what was at the start. */
async function rest(baseline: Resources, when: string): Promise<void> {
  await settle(when, running);
  await settle(when, () => heldBesides(baseline));
  check(counts.created === counts.destroyed, `${when}: ${counts.created} bridges, ${counts.destroyed} destroyed`);
  check(counts.destroyedTwice === 0, `${when}: ${counts.destroyedTwice} bridges destroyed again`);
}

function checkGrowth(what: string, memory: readonly number[]): void {
  const [first = 0, second = 0, last = 0] = memory;
  console.log(`${what}: memory in use after each third: ${[first, second, last].map(megabytes).join(', ')}`);
  check(
    last - second <= noiseBytes,
    `${what}: memory grew by ${megabytes(last - second)} from the second third to the last`,
  );
}

async function soakExchanges(baseline: Resources): Promise<void> {
  const memory: number[] = [];
  const outcomes: Record<string, number> = {};
  const started = performance.now();
  for (let third = 1; third <= 3; third++) {
    const count = Math.floor((exchanges * third) / 3) - Math.floor((exchanges * (third - 1)) / 3);
    const done = nextMessage('done');
    const command: RunCommand = { host, port: Number(port), exchanges: count, seed: seed + third };
    peers.send(command);
    const result = await done;
    for (const text of result.violations) check(false, text);
    for (const [key, value] of Object.entries(result.outcomes)) outcomes[key] = (outcomes[key] ?? 0) + value;
    await rest(baseline, `after ${third}/3 of the exchanges`);
    memory.push(await memoryInUse());
    console.log(
      `third ${third}: ${count} exchanges, ${counts.created} bridges so far, ${megabytes(memory.at(-1) ?? 0)} in use`,
    );
  }
  for (const key of Object.keys(outcomes).sort()) console.log(`  ${String(outcomes[key]).padStart(7)}  ${key}`);
  console.log(`${exchanges} exchanges in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  checkGrowth('exchanges', memory);
}

/** What the running version of the reloaded library answers. */
function reloadedVersion(): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, path: '/reloaded', agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end();
  });
}

async function soakReloads(baseline: Resources): Promise<void> {
  const memory: number[] = [];
  const started = performance.now();
  for (let version = 1; version <= reloads; version++) {
    writeLibrary(version);
    await askAdmin(`${admin}/bridges/reload`, 'POST');
    await until(`version ${version}`, async () => (await reloadedVersion()) === String(version) || undefined);
    if (version % Math.ceil(reloads / 10) === 0) console.log(`  … ${version} reloads`);
    if (version !== Math.floor((reloads * (memory.length + 1)) / 3)) continue;
    peers.send({ host, port: Number(port), exchanges: 0, seed } satisfies RunCommand);
    await nextMessage('done');
    await rest(baseline, `after ${version} reloads`);
    memory.push(await memoryInUse());
  }
  console.log(`${reloads} reloads in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  checkGrowth('reloads', memory);
  const alive = loadedLibraries.filter((library) => library.deref() !== undefined).length;
  console.log(`${loadedLibraries.length} libraries were loaded, ${alive} are in memory`);
  check(loadedLibraries.length > reloads, `only ${loadedLibraries.length} libraries were loaded`);
  check(alive <= 2, `${alive} versions of the library are still in memory`);
}

console.log(`soak: ${exchanges} exchanges, ${reloads} reloads, --seed ${seed}`);
const baseline = await until('no connection', () => {
  const resources = activeResources();
  return resources.TCPSocketWrap === undefined ? resources : undefined;
});
if (exchanges > 0) await soakExchanges(baseline);
if (reloads > 0) await soakReloads(baseline);
await server.stop();
peers.disconnect();
await settle('after the end', () => heldBesides({}));
rmSync(folder, { recursive: true, force: true });
console.log(
  violations.length === 0 ? 'soak passed' : `soak failed: ${violations.length} violations (--seed ${seed} repeats it)`,
);
process.exit(violations.length === 0 ? 0 : 1);
