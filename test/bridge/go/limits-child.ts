// Opens COUNT builds of LIBRARY (a content each), one after the other, in a process that may open up to LIMIT; prints what came of it, as JSON.
import { copyFileSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PreparedBridge } from '../../../src/bridge/prepared-bridge.js';
import { createGoTest } from './harness.js';

const [library, count, limit, isolated] = process.argv.slice(2) as [string, string, string, string];
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'pontoon-limits-')));
const path = join(folder, 'library.so');
copyFileSync(library, path);
const go = createGoTest(path, { maxGoLibraries: Number(limit), isolated: isolated === 'isolated' });
const counts: unknown[] = [];
const problems: unknown[] = [];
let running: PreparedBridge | undefined;
for (let build = 0; build < Number(count); build++) {
  // Bytes behind the end of an ELF file mean nothing, but to its hash.
  writeFileSync(path, `${build}`, { flag: 'a' });
  const result = await go.runtime.prepare({
    libraryId: 'go',
    libraryPath: path,
    pluginName: 'add_data',
    pluginConfig: { typeUrl: '', value: new Uint8Array() },
  });
  if (result.ok) {
    running?.release();
    running = result.bridge;
  } else problems.push(...result.problems);
  const { open, retired } = go.runtime.goLibraries();
  const gauge = (name: string): number => go.stats.gauge(`bridge.${name}`).value;
  counts.push([open, retired, gauge('go_libraries'), gauge('go_libraries_retired')]);
}
rmSync(folder, { recursive: true });
const warnings = go.log.lines.filter(({ level }) => level === 'warn').map(({ text }) => text);
console.log(JSON.stringify({ path, counts, problems, warnings }));
process.exit(0);
