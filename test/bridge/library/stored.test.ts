import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createLibraryStore, removeUnusedLibraries } from '../../../src/bridge/library/store.js';
import type {
  BridgeJudge,
  BridgeRuntime,
  CallMark,
  PreparedBridge,
  StoredBridge,
} from '../../../src/bridge/prepared-bridge.js';
import { createBridgeJudge, createBridgeRuntime } from '../../../src/bridge/runtime.js';
import type { BridgeConfig } from '../../../src/model/cluster.js';
import { createStatsStore } from '../../../src/stats/create-store.js';
import { buildPeer } from '../../support/go-libraries.js';
import { startTcpServer } from '../../support/tcp-server.js';
import { createHarness, testLog } from '../harness.js';

/** Answers with its configuration, and counts how often its top level has run. */
const script = `
import { word } from './word.js';
globalThis.evaluated = (globalThis.evaluated ?? 0) + 1;
export const bridges = {
  parsing: {
    parseConfig(config) { return config.typeUrl + '=' + Buffer.from(config.value) + word; },
    createBridge: (config) => ({ encodeHeaders(_headers, data) { data.set(config); return 2; } }),
  },
};`;
const evaluated = (): number => (globalThis as { evaluated?: number }).evaluated ?? 0;

for (const kind of ['script', 'go'] as const) {
  describe(`a stored library, ${kind}`, () => {
    let library: string;
    let folder: string;
    let store: string;
    let path: string;
    let judge: BridgeJudge<StoredBridge>;
    let runtime: BridgeRuntime;
    const mark: CallMark = { cell: new Uint32Array(1), number: 3 };

    before(async function () {
      if (kind === 'go') library = await buildPeer(this, 'conformance');
    });

    beforeEach(() => {
      folder = realpathSync(mkdtempSync(join(tmpdir(), 'pontoon-stored-')));
      store = join(folder, 'store');
      path = join(folder, 'plugins', kind === 'go' ? 'library.so' : 'library.mjs');
      for (const each of [store, join(folder, 'plugins')]) mkdirSync(each);
      if (kind === 'go') copyFileSync(library, path);
      else {
        writeFileSync(path, script);
        writeFileSync(join(folder, 'plugins', 'word.js'), 'export const word = "";');
      }
      const options = {
        unpackPluginConfig: (_typeUrl: string, value: Uint8Array) => Buffer.from(value).toString(),
        pluginRoots: [join(folder, 'plugins')],
        cwd: folder,
        timeLimitMs: 10_000,
      };
      judge = createBridgeJudge({ ...options, storeFolder: store });
      const serving = {
        log: testLog(),
        goLog: testLog(),
        watchLogLevel: () => undefined,
        stats: createStatsStore(),
        isolated: true,
      };
      runtime = createBridgeRuntime({ ...options, ...serving, pluginRoots: ['/nowhere'] });
    });

    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    const config = (value = 'value'): BridgeConfig => ({
      libraryId: 'lib',
      libraryPath: path,
      pluginName: 'parsing',
      pluginConfig: { typeUrl: 't', value: Buffer.from(value) },
    });

    async function judged(value?: string): Promise<StoredBridge> {
      const result = await judge.prepare(config(value));
      if (!result.ok) throw new Error(JSON.stringify(result.problems));
      return result.bridge;
    }

    async function taken({ library }: StoredBridge, value?: string): Promise<PreparedBridge> {
      const result = await runtime.prepareStored(config(value), library, mark);
      if (!result.ok) throw new Error(JSON.stringify(result.problems));
      return result.bridge;
    }

    async function answer(bridge: PreparedBridge): Promise<string> {
      const server = await startTcpServer();
      const harness = createHarness(bridge, server.port);
      const { summary } = await harness.send().ended();
      await harness.close();
      await server.close();
      return summary;
    }

    it('runs where its file is gone, as what was judged', async () => {
      const bridge = await judged();
      const { library: stored } = bridge;
      expect(stored).to.deep.include({ kind, path, hash: bridge.libraryHash });
      expect(stored.file).to.equal(join(store, `${stored.hash}${kind === 'go' ? '.so' : '.json'}`));
      expect(statSync(stored.file).mode & 0o777).to.equal(kind === 'go' ? 0o500 : 0o400);
      rmSync(join(folder, 'plugins'), { recursive: true });
      const prepared = await taken(bridge);
      expect(prepared).to.deep.include({ id: bridge.id, libraryHash: bridge.libraryHash, mark });
      expect(mark.cell[0]).to.equal(0);
      expect(await answer(prepared)).to.equal('local 200 t=value');
    });

    it('has the identity that serving the file itself would have', async () => {
      const bridge = await judged();
      const serving = createBridgeRuntime({
        log: testLog(),
        goLog: testLog(),
        watchLogLevel: () => undefined,
        stats: createStatsStore(),
        unpackPluginConfig: (_typeUrl, value) => Buffer.from(value).toString(),
        pluginRoots: [folder],
        cwd: folder,
      });
      const prepared = await serving.prepare(config());
      if (!prepared.ok) throw new Error(JSON.stringify(prepared.problems));
      expect(prepared.bridge.id).to.equal(bridge.id);
      expect(await judge.currentHash(config())).to.equal(bridge.libraryHash);
      prepared.bridge.release();
    });

    it('is stored once, whoever judges it, and only when it was found good', async () => {
      const first = await judged('one');
      const { ino } = statSync(first.library.file);
      await Promise.all([judged('one'), judged('two'), judged('three')]);
      expect(readdirSync(store)).to.have.lengthOf(1);
      expect(statSync(first.library.file).ino).to.equal(ino);
      rmSync(first.library.file, { force: true });
      const refused = await judge.prepare({ ...config('refuse'), pluginName: kind === 'go' ? 'parsing' : 'nobody' });
      expect(refused.ok).to.equal(false);
      expect(readdirSync(store)).to.deep.equal([]);
      // One that was taken away is stored again.
      await judged('one');
      expect(readdirSync(store)).to.have.lengthOf(1);
    });

    it('is one for all configurations that use it', async () => {
      const bridges = await Promise.all([judged('one'), judged('two')]);
      const before = evaluated();
      const prepared = await Promise.all(bridges.map((bridge, i) => taken(bridge, i === 0 ? 'one' : 'two')));
      if (kind === 'script') expect(evaluated()).to.equal(before + 1);
      expect(await Promise.all(prepared.map(answer))).to.deep.equal(['local 200 t=one', 'local 200 t=two']);
    });

    it('is refused when it is gone', async () => {
      // A content that no other test has opened in this process.
      if (kind === 'go') writeFileSync(path, 'more', { flag: 'a' });
      const bridge = await judged();
      rmSync(bridge.library.file, { force: true });
      const result = await runtime.prepareStored(config(), bridge.library, mark);
      expect(result.ok ? [] : result.problems.map(({ path: field }) => field)).to.deep.equal(['library_path']);
      expect(mark.cell[0]).to.equal(0);
    });

    it('can be told from those that nobody uses any more', async () => {
      const bridge = await judged();
      writeFileSync(join(store, 'f00.so'), 'old');
      mkdirSync(join(store, 'pontoon-go-left-over'));
      removeUnusedLibraries(store, new Set([bridge.library.file]));
      expect(readdirSync(store)).to.deep.equal([bridge.library.file.slice(store.length + 1)]);
      removeUnusedLibraries(store, new Set());
      expect(readdirSync(store)).to.deep.equal([]);
    });

    it('is not accepted when it can not be stored', async () => {
      rmSync(store, { recursive: true });
      const result = await judge.prepare(config());
      expect(result.ok ? '' : result.problems[0]?.message).to.match(/cannot be copied to|no such file/);
    });
  });
}

describe('a stored script library', () => {
  let folder: string;

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'pontoon-stored-')));
    mkdirSync(join(folder, 'store'));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  async function run(source: string, mark: CallMark): Promise<PreparedBridge> {
    const path = join(folder, 'library.js');
    writeFileSync(path, source);
    const options = { unpackPluginConfig: () => undefined, pluginRoots: [folder], cwd: folder };
    const judge = createBridgeJudge({ ...options, storeFolder: join(folder, 'store') });
    const config = {
      libraryId: 'l',
      libraryPath: path,
      pluginName: 'p',
      pluginConfig: { typeUrl: '', value: new Uint8Array() },
    };
    const bridge = await judge.prepare(config);
    if (!bridge.ok) throw new Error(JSON.stringify(bridge.problems));
    const runtime = createBridgeRuntime({
      ...options,
      log: testLog(),
      goLog: testLog(),
      watchLogLevel: () => undefined,
      stats: createStatsStore(),
    });
    rmSync(path);
    const prepared = await runtime.prepareStored(config, bridge.bridge.library, mark);
    if (!prepared.ok) throw new Error(JSON.stringify(prepared.problems));
    return prepared.bridge;
  }

  it('finds its packages beside the file that it came from', async () => {
    mkdirSync(join(folder, 'node_modules', 'words'), { recursive: true });
    writeFileSync(join(folder, 'node_modules', 'words', 'index.js'), 'module.exports = { word: "found" };');
    const bridge = await run(
      'import { word } from "words"; import.meta.url; export const bridges = { p: { parseConfig: () => import.meta.url, createBridge: (url) => ({ word, url }) } };',
      { cell: new Uint32Array(1), number: 1 },
    );
    const made = bridge.createBridge(undefined as never) as { word?: string; url?: string };
    expect(made.word).to.equal('found');
    expect(made.url).to.equal(`file://${folder}/library.js`);
  });

  it('is under its mark while its top level, parseConfig and its bridges run', async () => {
    const mark = { cell: new Uint32Array(1), number: 9 };
    const seen: unknown[] = [];
    Object.assign(globalThis, { look: (what: string) => seen.push(`${what} ${mark.cell[0]}`) });
    const bridge = await run(
      `look('top level');
      export const bridges = { p: {
        parseConfig() { look('parseConfig'); },
        createBridge() {
          look('createBridge');
          return {
            encodeHeaders() { look('encodeHeaders'); return 0; },
            encodeData() { look('encodeData'); return 0; },
            onUpstreamData() { look('onUpstreamData'); return 2; },
            onDestroy() { look('onDestroy'); },
          };
        },
      } };`,
      mark,
    );
    const server = await startTcpServer({ onData: ({ socket }, data) => void socket.write(data) });
    const harness = createHarness(bridge, server.port);
    await harness.send({ body: ['x'] }).ended();
    await harness.close();
    await server.close();
    // First of all the judge has run the top level and parseConfig, under a mark of its own.
    expect(seen).to.deep.equal([
      'top level 0',
      'parseConfig 0',
      ...['top level', 'parseConfig', 'createBridge', 'encodeHeaders', 'encodeData', 'onUpstreamData', 'onDestroy'].map(
        (what) => `${what} 9`,
      ),
    ]);
    expect(mark.cell[0]).to.equal(0);
  });
});

describe('a library store', () => {
  it('never shows a file before all of it is written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pontoon-store-'));
    const store = createLibraryStore(folder);
    const content = Buffer.alloc(8 << 20, 'x');
    const library = { kind: 'go', path: '/lib.so', hash: 'abc' } as const;
    const sizes = new Set<number>();
    const writes = Promise.all(Array.from({ length: 4 }, () => store.put(library, () => content)));
    let done = false;
    void writes.then(() => {
      done = true;
    });
    while (!done) {
      const size = statSync(join(folder, 'abc.so'), { throwIfNoEntry: false })?.size;
      if (size !== undefined) sizes.add(size);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([...sizes]).to.deep.equal([content.length]);
    expect(readdirSync(folder)).to.deep.equal(['abc.so']);
    rmSync(folder, { recursive: true, force: true });
  });
});
