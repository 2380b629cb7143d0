// Takes over a library, with CONFIG for its plugin "parsing", under the mark NUMBER in FILE, and tells when it is there: a worker in short.
import { loadNativeHost } from '../../../src/bridge/go/native-host.js';
import { createGoTest } from './harness.js';

const [library, config, file, number] = process.argv.slice(2) as [string, string, string, string];
const native = loadNativeHost();
if (!native.available) throw new Error(native.reason);
const mark = { cell: new Uint32Array(native.host.mapSharedMemory(file, 4096)), number: Number(number) };
const go = createGoTest(library, { isolated: true });
const pluginConfig = { typeUrl: 't', value: Buffer.from(config) };
const result = await go.runtime.prepareStored(
  { libraryId: 'go', libraryPath: library, pluginName: 'parsing', pluginConfig },
  { kind: 'go', path: library, hash: 'any', file: library },
  mark,
);
process.send?.({ ok: result.ok, mark: mark.cell[0], warnings: go.log.lines.filter(({ level }) => level === 'warn') });
