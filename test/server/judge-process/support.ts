import { mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../src/clock.js';
import type { Logging } from '../../../src/log.js';
import type { BridgeConfig } from '../../../src/model/cluster.js';
import type { AcceptedBridge } from '../../../src/server/judge-process/accepted-bridge.js';
import {
  createJudgeProcess,
  type JudgeProcess,
  type JudgeProcessOptions,
} from '../../../src/server/judge-process/judge-process.js';
import { createStatsStore } from '../../../src/stats/create-store.js';
import type { StatsStore } from '../../../src/stats/store.js';
import { type TestLog, testLog } from '../../bridge/harness.js';

/** A judge's process with a folder of libraries, for one test. */
export interface JudgeTest {
  readonly judge: JudgeProcess;
  readonly stats: StatsStore;
  readonly log: TestLog;
  /** Where libraries are. */
  readonly libraries: string;
  write(name: string, source: string): string;
  /** `text` becomes the bytes of the plugin's configuration. */
  config(library: string, text?: string, pluginName?: string): BridgeConfig;
  /** Throws when it is refused. */
  accept(library: string, text?: string, pluginName?: string): Promise<AcceptedBridge>;
  /** What it is refused for, as `path: message`. */
  problem(library: string, text?: string, pluginName?: string): Promise<string>;
  /** The names of the copies that are kept. */
  copies(): string[];
  /** How often a process has ended by what it was asked. */
  crashes(): number;
  close(): Promise<void>;
}

/** With none of this process's own levels: all lines are recorded. */
export function loggingTo(log: TestLog): Logging {
  return {
    logger: () => log,
    levels: () => ({}),
    setLevel: () => true,
    watchLevel: (_component, listener) => listener('trace'),
  } as Partial<Logging> as Logging;
}

export function createJudgeTest(options: Partial<JudgeProcessOptions> = {}): JudgeTest {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'pontoon-judge-process-')));
  const libraries = join(root, 'libraries');
  const folderParent = join(root, 'private');
  mkdirSync(libraries);
  mkdirSync(folderParent);
  const stats = createStatsStore();
  const log = testLog();
  const judge = createJudgeProcess({
    logging: loggingTo(log),
    stats,
    clock: systemClock,
    pluginRoots: [libraries],
    maxGoLibraries: 32,
    folderParent,
    ...options,
  });
  const config: JudgeTest['config'] = (library, text = '', pluginName = 'plugin') => ({
    libraryId: 'lib',
    libraryPath: join(libraries, library),
    pluginName,
    pluginConfig: { typeUrl: 'type.example/text', value: Buffer.from(text) },
  });
  return {
    judge,
    stats,
    log,
    libraries,
    write(name, source) {
      const file = join(libraries, name);
      writeFileSync(file, source);
      return file;
    },
    config,
    async accept(...of) {
      const result = await judge.prepare(config(...of));
      if (!result.ok) throw new Error(JSON.stringify(result.problems));
      return result.bridge;
    },
    async problem(...of) {
      const result = await judge.prepare(config(...of));
      if (result.ok) throw new Error('it was accepted');
      return result.problems.map(({ path, message }) => `${path}: ${message}`).join('\n');
    },
    copies: () => readdirSync(join(judge.folder, 'libraries')),
    crashes: () => stats.counter('bridge.judge_crashes').value,
    async close() {
      await judge.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** A library whose configuration says what its parser does. */
export const obedient = `
const acts = {
  exit() { process.stderr.write('the table is broken\\n'); process.exit(7); },
  abort() { process.abort(); },
  exit_later() { setTimeout(() => process.exit(9), 50); },
  throw_later() { setTimeout(() => { throw new Error('nobody catches this'); }); },
  block() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); },
  out_of_memory() { const all = []; for (;;) all.push(new Array(1_000_000).fill(all.length)); },
  refuse() { throw new Error('not like this'); },
  tell() { process.send?.('ready'); process.send?.(null); process.send?.({ kind: 'answers' }); },
};
export const bridges = {
  plugin: {
    parseConfig(config) { acts[Buffer.from(config.value).toString()]?.(); return {}; },
    createBridge: () => ({}),
  },
};
`;
