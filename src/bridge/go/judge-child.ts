// The process in which a library is tried: opened, initialized, given configurations. It may die of it.
import { loadNativeHost } from './native-host.js';

/** First message: the library. */
export interface JudgeOpen {
  readonly open: string;
}

/** Each further message: a configuration, as a serialized Any. */
export interface JudgeConfig {
  readonly plugin: string;
  readonly config: Uint8Array;
}

/** undefined: good. Else the library's own words. */
export interface JudgeAnswer {
  readonly problem: string | undefined;
}

const native = loadNativeHost();
let library = -1;

function judge(message: JudgeOpen | JudgeConfig): string | undefined {
  if (!native.available) return native.reason;
  const { addon } = native.host;
  if ('open' in message) {
    addon.dieWithParent();
    try {
      library = addon.open(message.open);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
    addon.initialize(library);
    return undefined;
  }
  const plugin = addon.configure(library, message.plugin, message.config);
  if (plugin < 0) return addon.error() || 'it was refused without a reason';
  addon.destroyConfig(plugin);
  return undefined;
}

process.on('message', (message: JudgeOpen | JudgeConfig) => {
  process.send?.({ problem: judge(message) } satisfies JudgeAnswer);
});
process.on('disconnect', () => process.exit());
