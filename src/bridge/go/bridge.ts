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
import { type CallContext, frameFlag, frameIndex, type NativeHost, noRequest, phase } from './native-host.js';

/** A plugin of an open library, with its configuration parsed. */
export interface GoPlugin {
  readonly host: NativeHost;
  /** The host's number of it. */
  readonly number: number;
  readonly name: string;
  /** An exchange has found out that the library has no such plugin. */
  knownMissing: boolean;
}

const noHeaders = new HeaderMap();

/**
 * One exchange on a Go plugin. Nothing crosses that the plugin doesn't ask for: the host looks at the body where it lies, and fetches headers and names only
 * when they are wanted.
 */
export class GoBridge implements HttpTcpBridge, CallContext {
  readonly #plugin: GoPlugin;
  readonly #callbacks: BridgeCallbacks;
  /** The host's number of what Go knows this exchange by. */
  #request: number = noRequest;
  #requestHeaders = noHeaders;
  #requestHeaderBytes = 0;
  #responseHeaders: HeaderMap | undefined;

  constructor(plugin: GoPlugin, callbacks: BridgeCallbacks) {
    this.#plugin = plugin;
    this.#callbacks = callbacks;
  }

  encodeHeaders(headers: RequestHeaderMap, dataForSet: BufferInstance, endOfStream: boolean): HttpTcpBridgeStatus {
    const map = requestHeadersOf(headers);
    this.#requestHeaders = map;
    this.#requestHeaderBytes = sizeOf(map);
    return this.#callForRequest(phase.encodeHeaders, endOfStream, dataForSet);
  }

  encodeData(buffer: BufferInstance, endOfStream: boolean): HttpTcpBridgeStatus {
    return this.#callForRequest(phase.encodeData, endOfStream, buffer);
  }

  onUpstreamData(headers: ResponseHeaderMap, buffer: BufferInstance, endOfStream: boolean): HttpTcpBridgeStatus {
    const { frame } = this.#plugin.host;
    const map = responseHeadersOf(headers);
    this.#responseHeaders = map;
    frame[frameIndex.headerCount] = map === undefined ? 0 : map.size;
    frame[frameIndex.headerBytes] = map === undefined ? 0 : sizeOf(map);
    frame[frameIndex.headersOut] = map === undefined ? 1 : 0;
    return this.#call(phase.onUpstreamData, endOfStream, queueOf(buffer), headers);
  }

  onDestroy(): void {
    if (this.#request === noRequest) return;
    const { host } = this.#plugin;
    const request = this.#request;
    this.#request = noRequest;
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

  #callForRequest(which: number, endOfStream: boolean, buffer: BufferInstance): HttpTcpBridgeStatus {
    const { frame } = this.#plugin.host;
    frame[frameIndex.headerCount] = this.#requestHeaders.size;
    frame[frameIndex.headerBytes] = this.#requestHeaderBytes;
    frame[frameIndex.headersOut] = 0;
    return this.#call(which, endOfStream, queueOf(buffer), undefined);
  }

  /** What is said of headers is in the frame. `changeable`: where changes of the headers go. */
  #call(
    which: number,
    endOfStream: boolean,
    queue: ByteQueue,
    changeable: ResponseHeaderMap | undefined,
  ): HttpTcpBridgeStatus {
    const { host, number } = this.#plugin;
    const { frame } = host;
    frame[frameIndex.request] = this.#request;
    frame[frameIndex.plugin] = number;
    frame[frameIndex.phase] = which;
    frame[frameIndex.end] = endOfStream ? 1 : 0;
    frame[frameIndex.length] = queue.length;
    const { pieces } = queue;
    host.setContext(this);
    let answer: number;
    try {
      answer = host.addon.call(pieces.length > 1 ? pieces : pieces[0]);
    } finally {
      host.setContext(undefined);
    }
    this.#request = frame[frameIndex.request] as number;
    const flags = frame[frameIndex.flags] as number;
    if (flags !== 0) this.#apply(flags, queue, changeable);
    if (answer === 2 && isPanicText(queue)) {
      throw new RecoveredPanic(flags & frameFlag.panicked ? panicText(host.addon.error()) : 'the plugin panicked');
    }
    return answer as HttpTcpBridgeStatus;
  }

  #apply(flags: number, queue: ByteQueue, headers: ResponseHeaderMap | undefined): void {
    const { host, name } = this.#plugin;
    if (flags & frameFlag.bodyChanged) changeBody(host, queue, (flags & frameFlag.bodyInList) !== 0);
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

/** Does to the queue what the plugin did to its buffer: bytes gone from the beginning, others before and after those that stay. */
function changeBody(host: NativeHost, queue: ByteQueue, inList: boolean): void {
  const { frame, arena } = host;
  host.watchArena();
  const drained = frame[frameIndex.drained] as number;
  if (drained > 0) queue.drain(drained);
  if (inList) {
    takeChunks(host, queue);
    return;
  }
  const frontEnd = frame[frameIndex.frontEnd] as number;
  const backEnd = frame[frameIndex.backEnd] as number;
  if (frontEnd > 0) queue.prepend(arena.subarray(frame[frameIndex.frontBegin] as number, frontEnd));
  if (backEnd > 0) queue.append(arena.subarray(frame[frameIndex.backBegin] as number, backEnd));
}

function takeChunks(host: NativeHost, queue: ByteQueue): void {
  const list = host.addon.chunks();
  const chunk = (i: number): Buffer => {
    const buffer = list[i] as Buffer | undefined;
    const begin = list[i + 1] as number;
    const end = list[i + 2] as number;
    return (buffer ?? host.arena).subarray(begin, end);
  };
  const behind = 1 + 3 * (list[0] as number);
  for (let i = behind - 3; i > 0; i -= 3) queue.prepend(chunk(i));
  for (let i = behind; i < list.length; i += 3) queue.append(chunk(i));
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
