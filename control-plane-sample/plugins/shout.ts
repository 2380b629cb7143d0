/** A bridge built on another: frames as `length_prefixed` makes them, with the request's text in capitals. */
import { bridges as framed } from '../../plugins/length-prefixed/index.js';
import type { BridgeLibrary, BridgePlugin, HttpTcpBridge } from '../../src/bridge/api.js';

const StopAndBuffer = 1;

interface Config {
  /** What comes after the text. */
  readonly ending: string;
  /** That of `length_prefixed`, without fields: 4 bytes of length, big-endian. */
  readonly framing: unknown;
}

const plugin: BridgePlugin<Config> = {
  parseConfig(config) {
    const { exclamation_marks: marks = 1 } = (config.unpack() ?? {}) as { exclamation_marks?: unknown };
    if (typeof marks !== 'number' || !Number.isInteger(marks) || marks < 0 || marks > 10)
      throw new Error(`exclamation_marks must be a whole number from 0 to 10, not ${JSON.stringify(marks)}`);
    const framing: unknown = framed.length_prefixed.parseConfig?.({ ...config, unpack: () => undefined });
    return { ending: '!'.repeat(marks), framing };
  },
  createBridge({ ending, framing }, callbacks) {
    const inner: HttpTcpBridge = framed.length_prefixed.createBridge(framing as never, callbacks);
    return {
      encodeHeaders: (headers, dataForSet, endOfStream) => inner.encodeHeaders?.(headers, dataForSet, endOfStream),
      encodeData(buffer, endOfStream) {
        if (!endOfStream) return StopAndBuffer;
        buffer.set(buffer.toString().toUpperCase() + ending);
        return inner.encodeData?.(buffer, endOfStream);
      },
      onUpstreamData: (headers, buffer, endOfStream) => inner.onUpstreamData?.(headers, buffer, endOfStream),
    };
  },
};

export const bridges = { shout: plugin } satisfies BridgeLibrary;
