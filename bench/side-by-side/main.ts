/** Pontoon beside Envoy and others, on this machine, in one run: `npm run bench`; `-- --help` lists the flags. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openBench } from './bench.js';
import { endurance, latencyCases, startUp, throughputGroups } from './cases.js';
import { runEndurance } from './endurance.js';
import { runLatency } from './latency.js';
import { moveTo } from './measure/cpus.js';
import { describeMachine } from './measure/machine.js';
import { type Options, parseOptions, usage } from './options.js';
import { peers } from './peers/index.js';
import { renderReport, renderResults } from './report.js';
import type { LatencyCase, Results, ThroughputCase } from './results.js';
import { runStartUp } from './start-up.js';
import { runThroughput } from './throughput.js';
import { Unavailable } from './tools/commands.js';
import { benchRoot, projectRoot } from './tools/paths.js';

async function measureAll({ settings, cases, peers: wanted }: Options): Promise<Results> {
  const isWanted = ({ id }: { readonly id: string }) => cases.length === 0 || cases.some((name) => id.startsWith(name));
  const bench = await openBench(settings, wanted);
  moveTo(process.pid, bench.cpus.load);
  try {
    const throughput: ThroughputCase[] = [];
    for (const group of throughputGroups) {
      const chosen = group.cases.filter(isWanted);
      if (chosen.length > 0 && group.peers.some(bench.wants))
        throughput.push(...(await runThroughput(bench, group, chosen)));
    }
    const chosen = latencyCases.filter(isWanted);
    const latency: LatencyCase[] = chosen.length > 0 ? await runLatency(bench, chosen) : [];
    return {
      format: 1,
      machine: describeMachine(),
      settings,
      throughput,
      latency,
      ...(isWanted(startUp) && { startUp: await runStartUp(bench) }),
      ...(isWanted(endurance) && { endurance: await runEndurance(bench) }),
      versions: Object.fromEntries(bench.versions),
      titles: Object.fromEntries(Object.entries(peers).map(([name, { title }]) => [name, title])),
    };
  } finally {
    await bench.close();
  }
}

const template = () => readFileSync(join(benchRoot, 'performance.template.md'), 'utf8');

async function main(): Promise<void> {
  if (process.argv.includes('--help')) return void console.log(usage);
  const options = parseOptions(process.argv.slice(2));
  if (options.report) {
    const results = JSON.parse(readFileSync(join(projectRoot, 'docs', 'performance.json'), 'utf8')) as Results;
    writeFileSync(join(projectRoot, 'docs', 'performance.md'), renderReport(template(), results));
    return;
  }
  const started = performance.now();
  const results = await measureAll(options);
  console.log(renderResults(results));
  if (options.output !== undefined) writeFileSync(options.output, `${JSON.stringify(results, undefined, 1)}\n`);
  console.error(
    `took ${Math.round((performance.now() - started) / 1000)} s${options.output ? `; results are in ${options.output}` : ''}`,
  );
}

try {
  await main();
  process.exit(0);
} catch (error) {
  const expected =
    error instanceof Unavailable || (error as { readonly code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true;
  console.error(expected ? `bench: ${(error as Error).message}` : error);
  process.exit(1);
}
