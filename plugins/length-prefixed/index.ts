/**
 * Any framed protocol: a header of fixed size that holds the length, then the payload. The request's body goes to the server as one frame's payload; the payload
 * of the frame that comes back is the response's body. README.md describes the configuration.
 */
import type {
  BridgeCallbacks,
  BridgeLibrary,
  BridgePlugin,
  BufferInstance,
  HttpTcpBridge,
  RequestHeaderMap,
  ResponseHeaderMap,
} from '../../src/bridge/api.js';
import { type Framing, parseFraming, wholeUpTo } from './config.js';
import { multiplexing } from './multiplexing.js';

const Continue = 0;
const StopAndBuffer = 1;
const EndStream = 2;

class LengthPrefixedBridge implements HttpTcpBridge {
  readonly #framing: Framing;
  readonly #callbacks: BridgeCallbacks;
  /** The request's frame has begun. */
  #streaming = false;
  /** Of the payload, as the header says; undefined until it came. */
  #length: number | undefined;
  /** Payload bytes that are still to come; undefined until the header was passed. */
  #remaining: number | undefined;

  constructor(framing: Framing, callbacks: BridgeCallbacks) {
    this.#framing = framing;
    this.#callbacks = callbacks;
  }

  encodeHeaders(headers: RequestHeaderMap, dataForSet: BufferInstance, endOfStream: boolean): 0 | 1 {
    if (!endOfStream) return this.#beginStreaming(headers, dataForSet) ? Continue : StopAndBuffer;
    if (!this.#hasId(0)) return Continue;
    dataForSet.set(this.#framing.header(0));
    return Continue;
  }

  /** A large body whose length is known is passed on as it comes. */
  #beginStreaming(headers: RequestHeaderMap, dataForSet: BufferInstance): boolean {
    const { largestPayload } = this.#framing;
    // The HTTP codec sees to it that the body is as long as this says.
    const length = Number(headers.get('content-length') ?? 0);
    if (length <= wholeUpTo || length > largestPayload) return false;
    dataForSet.set(this.#framing.header(length));
    this.#streaming = true;
    return true;
  }

  encodeData(buffer: BufferInstance, endOfStream: boolean): 0 | 1 {
    if (this.#streaming) return Continue;
    if (!endOfStream) return StopAndBuffer;
    const largest = this.#framing.largestPayload;
    if (buffer.len() > largest) {
      this.#callbacks.sendLocalReply(
        413,
        `the request body is larger than a frame's payload may be (${largest} bytes)\n`,
      );
      return Continue;
    }
    if (!this.#hasId(buffer.len())) return Continue;
    buffer.prepend(this.#framing.header(buffer.len()));
    return Continue;
  }

  /** Answers the client where a payload of that size has no room for the id. */
  #hasId(payload: number): boolean {
    const id = this.#framing.sharing?.id;
    if (id === undefined || payload >= id.offset + id.size) return true;
    this.#callbacks.sendLocalReply(
      400,
      `the request body has ${payload} bytes; its id ends at byte ${id.offset + id.size}\n`,
    );
    return false;
  }

  onUpstreamData(headers: ResponseHeaderMap, buffer: BufferInstance, endOfStream: boolean): 0 | 1 | 2 {
    if (this.#remaining === undefined) {
      const { headerSize, largestPayload } = this.#framing;
      if (buffer.len() < headerSize) return StopAndBuffer;
      this.#length ??= this.#framing.payloadLength(buffer.copyOut(0, headerSize));
      const length = this.#length;
      if (length < 0 || length > largestPayload) {
        // What follows can't be understood any more, so the buffer stays unread, which closes the connection.
        this.#callbacks.sendLocalReply(
          502,
          `the server announced a frame with a payload of ${length} bytes; allowed are 0-${largestPayload}\n`,
        );
        return EndStream;
      }
      // As long as nothing was sent to the client it can still be told that a frame was cut short; only large ones are not worth the wait.
      if ((endOfStream || length <= wholeUpTo) && buffer.len() < headerSize + length) return StopAndBuffer;
      buffer.drain(headerSize);
      headers.set('content-length', String(length));
      this.#remaining = length;
    }
    if (buffer.len() > this.#remaining) {
      // Bytes that nobody asked for: the frame is whole, but the connection is out of step and must not serve another request.
      buffer.set(buffer.bytes().subarray(0, this.#remaining));
      this.#callbacks.setSelfHalfCloseForUpstreamConn(true);
    }
    this.#remaining -= buffer.len();
    if (this.#remaining === 0) return EndStream;
    // At the end of the stream this says that the frame was cut short.
    return endOfStream ? StopAndBuffer : Continue;
  }
}

const plugin: BridgePlugin<Framing> = {
  parseConfig: (config) => parseFraming(config.unpack()),
  multiplexing,
  createBridge: (framing, callbacks) => new LengthPrefixedBridge(framing, callbacks),
};

export const bridges = { length_prefixed: plugin } satisfies BridgeLibrary;
