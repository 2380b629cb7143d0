import type {
  BridgeCallbacks,
  BufferInstance,
  HttpTcpBridge,
  HttpTcpBridgeStatus,
  RequestHeaderMap,
  ResponseHeaderMap,
} from '../api.js';
import { type ByteQueue, queueOf } from '../buffer.js';
import { pluginErrorBody } from '../exchange.js';
import { HeaderMap } from '../header-map.js';
import { PluginNotFound, RecoveredPanic } from '../plugin-error.js';
import { requestHeadersOf, responseHeadersOf } from '../plugin-headers.js';
import { type CallContext, frameFlag, frameIndex, type NativeHost, phase } from './native-host.js';

/** A plugin of an open library, with its configuration parsed. */
export interface GoPlugin {
  readonly host: NativeHost;
  /** The host's number of it. */
  readonly number: number;
  readonly name: string;
  /** An exchange has found out that the library has no such plugin. */
  knownMissing: boolean;
}

/** With more pieces than this a body is joined, which costs less than to name them all. */
const mostPieces = 1024;
const noHeaders = new HeaderMap();

/**
 * One exchange on a Go plugin. Nothing crosses that the plugin doesn't ask for: the host looks at the body where it lies, and fetches headers and names only
 * when they are wanted.
 */
export class GoBridge implements HttpTcpBridge, CallContext {
  readonly #plugin: GoPlugin;
  readonly #callbacks: BridgeCallbacks;
  /** The host's number of what Go knows this exchange by; -1: Go doesn't know it. */
  #request = -1;
  #requestHeaders = noHeaders;
  #responseHeaders: HeaderMap | undefined;

  constructor(plugin: GoPlugin, callbacks: BridgeCallbacks) {
    this.#plugin = plugin;
    this.#callbacks = callbacks;
  }

  encodeHeaders(headers: RequestHeaderMap, dataForSet: BufferInstance, endOfStream: boolean): HttpTcpBridgeStatus {
    const { host, number } = this.#plugin;
    this.#requestHeaders = requestHeadersOf(headers);
    this.#request = host.addon.acquire(number);
    return this.#call(phase.encodeHeaders, endOfStream, this.#requestHeaders, queueOf(dataForSet));
  }

  encodeData(buffer: BufferInstance, endOfStream: boolean): HttpTcpBridgeStatus {
    return this.#call(phase.encodeData, endOfStream, this.#requestHeaders, queueOf(buffer));
  }

  onUpstreamData(headers: ResponseHeaderMap, buffer: BufferInstance, endOfStream: boolean): HttpTcpBridgeStatus {
    this.#responseHeaders = responseHeadersOf(headers);
    return this.#call(phase.onUpstreamData, endOfStream, this.#responseHeaders, queueOf(buffer), headers);
  }

  onDestroy(): void {
    if (this.#request < 0) return;
    const { host } = this.#plugin;
    const request = this.#request;
    this.#request = -1;
    if (!this.#within(() => host.addon.destroy(request))) throw new Error(panicText(host.addon.error()));
  }

  headersText(isRequest: boolean): string {
    return (isRequest ? this.#requestHeaders : (this.#responseHeaders ?? noHeaders)).pairs.join('\0');
  }

  routeName(): string {
    return this.#callbacks.getRouteName();
  }

  clusterName(): string {
    return this.#callbacks.getVirtualClusterName();
  }

  /** `headers` undefined: the response's, which are out already. `changeable`: where changes of the headers go. */
  #call(
    which: number,
    endOfStream: boolean,
    headers: HeaderMap | undefined,
    queue: ByteQueue,
    changeable?: ResponseHeaderMap,
  ): HttpTcpBridgeStatus {
    const { host } = this.#plugin;
    const { frame } = host;
    frame[frameIndex.request] = this.#request;
    frame[frameIndex.phase] = which;
    frame[frameIndex.end] = endOfStream ? 1 : 0;
    frame[frameIndex.headerCount] = headers === undefined ? 0 : headers.size;
    frame[frameIndex.headerBytes] = headers === undefined ? 0 : sizeOf(headers);
    frame[frameIndex.headersOut] = headers === undefined ? 1 : 0;
    host.setContext(this);
    let answer: number;
    try {
      answer = host.addon.call(bodyOf(queue));
    } finally {
      host.setContext(undefined);
    }
    const flags = frame[frameIndex.flags] as number;
    if (flags !== 0) this.#apply(flags, queue, changeable);
    if (answer === 2 && isPanicText(queue)) {
      throw new RecoveredPanic(flags & frameFlag.panicked ? panicText(host.addon.error()) : 'the plugin panicked');
    }
    return answer as HttpTcpBridgeStatus;
  }

  #apply(flags: number, queue: ByteQueue, headers: ResponseHeaderMap | undefined): void {
    const { host, name } = this.#plugin;
    if (flags & frameFlag.bodyInScratch) takeScratch(host, queue);
    if (flags & frameFlag.bodyInList) takeChunks(host, queue);
    if (flags & frameFlag.halfCloseOn) this.#callbacks.setSelfHalfCloseForUpstreamConn(true);
    if (flags & frameFlag.halfCloseOff) this.#callbacks.setSelfHalfCloseForUpstreamConn(false);
    if (flags & frameFlag.headerChanges) {
      const changes = host.addon.headerChanges();
      if (headers !== undefined) applyHeaderChanges(changes, headers);
    }
    if (flags & frameFlag.unknownPlugin) {
      const isFirst = !this.#plugin.knownMissing;
      this.#plugin.knownMissing = true;
      throw new PluginNotFound(`the library has no plugin ${JSON.stringify(name)}`, isFirst);
    }
  }

  #within<T>(work: () => T): T {
    const { host } = this.#plugin;
    host.setContext(this);
    try {
      return work();
    } finally {
      host.setContext(undefined);
    }
  }
}

function sizeOf(headers: HeaderMap): number {
  let bytes = 0;
  // One character is one byte.
  for (const text of headers.pairs) bytes += text.length;
  return bytes;
}

function bodyOf(queue: ByteQueue): Buffer | readonly Buffer[] | undefined {
  const { pieces } = queue;
  if (pieces.length <= 1) return pieces[0];
  return pieces.length <= mostPieces ? pieces : queue.bytes();
}

function takeScratch({ frame, scratch }: NativeHost, queue: ByteQueue): void {
  const front = frame[frameIndex.front] as number;
  const back = frame[frameIndex.back] as number;
  queue.drain(frame[frameIndex.drained] as number);
  if (front > 0) queue.prepend(copyOf(scratch, 0, front));
  if (back > 0) queue.append(copyOf(scratch, front, front + back));
}

function copyOf(scratch: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  scratch.copy(copy, 0, start, end);
  return copy;
}

function takeChunks({ addon, frame }: NativeHost, queue: ByteQueue): void {
  const list = addon.chunks();
  const front = (frame[frameIndex.front] as number) * 2;
  const chunk = (i: number): Buffer => (list[i] as Buffer).subarray(list[i + 1] as number);
  queue.drain(frame[frameIndex.drained] as number);
  for (let i = front - 2; i >= 0; i -= 2) queue.prepend(chunk(i));
  for (let i = front; i < list.length; i += 2) queue.append(chunk(i));
}

/** A character of action (0 set, 1 add, 2 delete), two lengths of four, name, value; and so on. */
function applyHeaderChanges(changes: string, headers: ResponseHeaderMap): void {
  let at = 0;
  const length = (): number => {
    const value =
      changes.charCodeAt(at) |
      (changes.charCodeAt(at + 1) << 8) |
      (changes.charCodeAt(at + 2) << 16) |
      (changes.charCodeAt(at + 3) << 24);
    at += 4;
    return value;
  };
  while (at < changes.length) {
    const action = changes.charCodeAt(at);
    at += 1;
    const nameLength = length();
    const valueLength = length();
    const name = changes.slice(at, at + nameLength);
    at += nameLength;
    const value = changes.slice(at, at + valueLength);
    at += valueLength;
    if (action === 0) headers.set(name, value);
    else if (action === 1) headers.add(name, value);
    else headers.del(name);
  }
}

const panicAnswer = Buffer.from(pluginErrorBody);

function isPanicText(queue: ByteQueue): boolean {
  return queue.length === panicAnswer.length && queue.bytes().equals(panicAnswer);
}

/** `… panic serving: CAUSE\nstack`: the cause; the SDK has logged the rest. */
function panicText(logged: string): string {
  const [, text = logged] = logged.split(': panic serving: ');
  return `panic: ${text.split('\n', 1)[0]}`;
}
