import type { Logger } from '../log.js';
import type {
  BridgeCallbacks,
  BufferInstance,
  Bytes,
  HttpTcpBridge,
  RequestHeaderMap,
  ResponseHeaderMap,
} from './api.js';
import { type CallScope, copyOf } from './buffer.js';
import type { Answer } from './exchange-state.js';
import { HeaderMap } from './header-map.js';
import { isPromise, pluginError } from './plugin-error.js';
import type { PreparedBridge } from './prepared-bridge.js';
import { checkHeaderName, checkHeaderValue, checkStatus } from './response-headers.js';

/** What the plugin is told about its exchange. */
export interface SessionInfo {
  readonly routeName: string;
  readonly clusterName: string;
  readonly log: Logger;
}

export interface LocalReply {
  readonly status: number;
  readonly body: Buffer;
  readonly headers: HeaderMap;
}

const answers: readonly Answer[] = ['continue', 'stop_and_buffer', 'end_stream'];
const longestLogText = 8192;

/**
 * One bridge object, and the door between it and us: every call passes here, so that whatever a plugin does comes back as an `Answer`. Nothing that it asks
 * for during a call is done before the call has returned.
 */
export class PluginSession implements CallScope {
  /** One of the plugin's calls is on the stack. */
  active = false;
  readonly #prepared: PreparedBridge;
  readonly #callbacks: Callbacks;
  /** `mark` of the prepared bridge. */
  readonly #cell: Uint32Array;
  readonly #number: number;
  #bridge: HttpTcpBridge | undefined;
  #headersOut = false;
  #localReply: LocalReply | undefined;
  #error: Error | undefined;
  selfHalfClose = false;
  oneWay = false;
  /** undefined: the plugin has not said. */
  idempotent: boolean | undefined;

  constructor(prepared: PreparedBridge, info: SessionInfo) {
    this.#prepared = prepared;
    this.#cell = prepared.mark.cell;
    this.#number = prepared.mark.number;
    this.#callbacks = new Callbacks(this, info, prepared.config.pluginName);
  }

  /** After the answer `plugin_error`. */
  get error(): Error {
    return this.#error ?? new Error('the plugin failed');
  }

  /** After the answer `local_reply`. */
  get localReply(): LocalReply | undefined {
    return this.#localReply;
  }

  markHeadersSent(): void {
    this.#headersOut = true;
  }

  /** Makes the bridge object: `continue`, `local_reply` or `plugin_error`. */
  create(): Answer {
    this.#enter();
    try {
      const bridge: unknown = this.#prepared.createBridge(this.#callbacks);
      if (isPromise(bridge)) throw new TypeError('returned a promise: bridges are made synchronously');
      if (typeof bridge !== 'object' || bridge === null) {
        throw new TypeError(`returned ${kindOf(bridge)} instead of a bridge object`);
      }
      this.#bridge = bridge as HttpTcpBridge;
      return this.#answer('createBridge', undefined);
    } catch (thrown) {
      return this.#fail('createBridge', thrown);
    } finally {
      this.#leave();
    }
  }

  encodeHeaders(headers: RequestHeaderMap, dataForSet: BufferInstance, endOfStream: boolean): Answer {
    this.#enter();
    try {
      return this.#answer('encodeHeaders', this.#bridge?.encodeHeaders?.(headers, dataForSet, endOfStream));
    } catch (thrown) {
      return this.#fail('encodeHeaders', thrown);
    } finally {
      this.#leave();
    }
  }

  encodeData(buffer: BufferInstance, endOfStream: boolean): Answer {
    this.#enter();
    try {
      return this.#answer('encodeData', this.#bridge?.encodeData?.(buffer, endOfStream));
    } catch (thrown) {
      return this.#fail('encodeData', thrown);
    } finally {
      this.#leave();
    }
  }

  onUpstreamData(headers: ResponseHeaderMap, buffer: BufferInstance, endOfStream: boolean): Answer {
    this.#enter();
    try {
      return this.#answer('onUpstreamData', this.#bridge?.onUpstreamData?.(headers, buffer, endOfStream));
    } catch (thrown) {
      return this.#fail('onUpstreamData', thrown);
    } finally {
      this.#leave();
    }
  }

  /** The last call. False: it failed, see `error`. A bridge that could not be made is not destroyed either. */
  destroy(): boolean {
    const bridge = this.#bridge;
    if (bridge === undefined) return true;
    this.#bridge = undefined;
    // Nobody is left to answer.
    this.#headersOut = true;
    this.#cell[0] = this.#number;
    try {
      if (isPromise(bridge.onDestroy?.())) throw new TypeError('returned a promise: bridge calls are synchronous');
      return true;
    } catch (thrown) {
      this.#error = pluginError('onDestroy', thrown, this.#prepared.mapStack);
      return false;
    } finally {
      this.#cell[0] = 0;
    }
  }

  /** For the plugin. Throws when it is too late or when something is wrong with the reply. */
  replyLocally(status: number, body: Bytes, headers: Record<string, string | string[]> | undefined): void {
    if (this.#headersOut) throw new Error('sendLocalReply: the response headers were sent already');
    if (!this.active) throw new Error('sendLocalReply: only possible during a call of the bridge');
    const map = new HeaderMap();
    for (const [name, value] of Object.entries(headers ?? {})) {
      const checked = checkHeaderName(name);
      for (const one of Array.isArray(value) ? value : [value]) map.add(checked, checkHeaderValue(checked, one));
    }
    this.#localReply = {
      status: checkStatus(status),
      body: copyOf(body ?? ''),
      headers: map,
    };
  }

  /** The plugin's code runs from here on. */
  #enter(): void {
    this.active = true;
    this.#cell[0] = this.#number;
  }

  #leave(): void {
    this.#cell[0] = 0;
    this.active = false;
  }

  #answer(call: string, status: unknown): Answer {
    if (isPromise(status))
      throw new TypeError(`returned a promise: ${call} must not be async, bridge calls are synchronous`);
    return this.#localReply === undefined ? answerOf(status) : 'local_reply';
  }

  #fail(call: string, thrown: unknown): Answer {
    this.#error = pluginError(call, thrown, this.#prepared.mapStack);
    return 'plugin_error';
  }
}

function answerOf(status: unknown): Answer {
  if (status === undefined) return 'continue';
  const answer = typeof status === 'number' ? answers[status] : undefined;
  if (answer !== undefined) return answer;
  throw new TypeError(`returned ${kindOf(status)}: allowed are 0 (Continue), 1 (StopAndBuffer) and 2 (EndStream)`);
}

function kindOf(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return String(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** What the plugin holds. It may keep it for ever and call it at any time. */
class Callbacks implements BridgeCallbacks {
  readonly #session: PluginSession;
  readonly #info: SessionInfo;
  readonly #plugin: string;

  constructor(session: PluginSession, info: SessionInfo, plugin: string) {
    this.#session = session;
    this.#info = info;
    this.#plugin = plugin;
  }

  getRouteName(): string {
    return this.#info.routeName;
  }

  getVirtualClusterName(): string {
    return this.#info.clusterName;
  }

  setSelfHalfCloseForUpstreamConn(enabled: boolean): void {
    this.#session.selfHalfClose = enabled === true;
  }

  setIdempotent(idempotent: boolean): void {
    this.#session.idempotent = idempotent === true;
  }

  setOneWay(oneWay: boolean): void {
    this.#session.oneWay = oneWay === true;
  }

  sendLocalReply(status: number, body: Bytes, headers?: Record<string, string | string[]>): void {
    this.#session.replyLocally(status, body, headers);
  }

  log(level: Parameters<BridgeCallbacks['log']>[0], text: string): void {
    const write = level === 'critical' ? 'fatal' : level;
    if (!['trace', 'debug', 'info', 'warn', 'error', 'fatal'].includes(write))
      throw new TypeError(`log: unknown level ${String(level)}`);
    this.#info.log[write](
      { plugin: this.#plugin, cluster: this.#info.clusterName },
      String(text).slice(0, longestLogText),
    );
  }
}
