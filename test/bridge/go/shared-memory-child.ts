// Writes a mark into FILE as a plugin's call does, and never comes back from that call.
import { loadNativeHost } from '../../../src/bridge/go/native-host.js';
import { PluginSession } from '../../../src/bridge/plugin-session.js';
import { prepare, testLog } from '../harness.js';

const [file, number] = process.argv.slice(2) as [string, string];
const native = loadNativeHost();
if (!native.available) throw new Error(native.reason);
const cell = new Uint32Array(native.host.mapSharedMemory(file, 4096));
const plugin = prepare({
  createBridge() {
    if (cell[0] !== Number(number)) throw new Error('not marked');
    return {
      onDestroy() {
        process.send?.('inside');
        for (;;);
      },
    };
  },
});
const session = new PluginSession(
  { ...plugin, mark: { cell, number: Number(number) } },
  { routeName: '', clusterName: '', log: testLog() },
);
if (session.create() !== 'continue' || cell[0] !== 0) throw new Error('still marked');
session.destroy();
