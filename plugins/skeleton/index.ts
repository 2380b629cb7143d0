/** HTTP on one side, frames on the other: the request's body is a frame's payload, the payload of the server's frame the response's body. */
import type {
  BridgeCallbacks,
  BridgeLibrary,
  BridgePlugin,
  BufferInstance,
  HttpTcpBridge,
  ResponseHeaderMap,
} from 'pontoon';
import { FrameError, frame, frameLength, headerSize } from './frame.js';

const Continue = 0;
const StopAndBuffer = 1;
const EndStream = 2;

interface Config {
  /** Bytes of a frame, header included, in both directions. */
  readonly maxFrameSize: number;
}

/** Everything is checked here, once, and what is wrong is told to the control plane with the field's name. */
function parseConfig(config: unknown): Config {
  const { max_frame_size: maxFrameSize = 1024 * 1024, ...rest } = (config ?? {}) as Record<string, unknown>;
  const [unknownField] = Object.keys(rest);
  if (unknownField !== undefined) throw new Error(`${unknownField} is unknown; known is max_frame_size`);
  if (typeof maxFrameSize === 'number' && Number.isInteger(maxFrameSize) && maxFrameSize >= headerSize) {
    return { maxFrameSize };
  }
  throw new Error(
    `max_frame_size must be a whole number of at least ${headerSize}, not ${JSON.stringify(maxFrameSize)}`,
  );
}

/** One for each attempt to serve a request. */
class Bridge implements HttpTcpBridge {
  readonly #config: Config;
  readonly #callbacks: BridgeCallbacks;

  constructor(config: Config, callbacks: BridgeCallbacks) {
    this.#config = config;
    this.#callbacks = callbacks;
  }

  encodeHeaders(_headers: unknown, dataForSet: BufferInstance, endOfStream: boolean): 0 | 1 {
    if (!endOfStream) return StopAndBuffer;
    dataForSet.set(frame(Buffer.alloc(0)));
    return Continue;
  }

  encodeData(buffer: BufferInstance): 0 {
    const { maxFrameSize } = this.#config;
    if (headerSize + buffer.len() > maxFrameSize) {
      this.#callbacks.sendLocalReply(413, `the body must have at most ${maxFrameSize - headerSize} bytes\n`);
    } else buffer.set(frame(buffer.bytes()));
    return Continue;
  }

  onUpstreamData(headers: ResponseHeaderMap, buffer: BufferInstance, _endOfStream: boolean): 1 | 2 {
    try {
      const length = frameLength(buffer.bytes(), this.#config.maxFrameSize);
      // At the end of the stream this means that the server cut it short: the host answers 503.
      if (length === undefined || buffer.len() < length) return StopAndBuffer;
      // Bytes that nobody asked for: the connection is out of step and must not serve another request.
      if (buffer.len() > length) this.#callbacks.setSelfHalfCloseForUpstreamConn(true);
      buffer.set(buffer.bytes().subarray(headerSize, length));
      headers.set('content-length', String(buffer.len()));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      // The buffer stays as it is: unread bytes close the connection.
      this.#callbacks.sendLocalReply(502, `${error.message}\n`);
    }
    return EndStream;
  }
}

const plugin: BridgePlugin<Config> = {
  parseConfig: (config) => parseConfig(config.unpack()),
  createBridge: (config, callbacks) => new Bridge(config, callbacks),
  /**
   * Each exchange has a connection to itself. If the server answers the requests of a connection one after the other, or with an id of theirs, many can share
   * one: see `multiplexing` in docs/writing-a-bridge.md.
   */
};

export const bridges = { skeleton: plugin } satisfies BridgeLibrary;
