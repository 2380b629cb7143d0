import { DubboBridge } from '../../../plugins/dubbo/bridge.js';
import { parseSettings, type Settings } from '../../../plugins/dubbo/config.js';
import { readId, writeId } from '../../../plugins/dubbo/frame.js';
import type { BufferInstance, RequestHeaderMap, ResponseHeaderMap } from '../../../src/bridge/api.js';
import { ByteQueue, PluginBuffer } from '../../../src/bridge/buffer.js';

export const jsonHeaders = { 'content-type': 'application/json' };

/** A response frame of status 20 around a body, for request `id`. */
export function responseFrame(body: Buffer, { id = 1n, status = 20, flags = 2 } = {}): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt16BE(0xdabb, 0);
  header[2] = flags;
  header[3] = status;
  writeId(header, id);
  header.writeUInt32BE(body.length, 12);
  return Buffer.concat([header, body]);
}

/** A heartbeat of the provider. */
export const heartbeatRequest = (id = 77n): Buffer => responseFrame(Buffer.from('N'), { id, status: 0, flags: 0xe2 });

export interface Exchange {
  readonly bridge: DubboBridge;
  /** What goes to the server; undefined when the plugin answered by itself. */
  readonly sent: Buffer | undefined;
  readonly id: bigint;
  /** Hands over bytes of the server; the answer once there is one: `200 body`, `local 502 body`. */
  receive(data: Buffer, end?: boolean): string | undefined;
  readonly answer: string | undefined;
  readonly headers: ReadonlyMap<string, string>;
  /** The connection serves nobody else. */
  readonly halfClosed: boolean;
  readonly oneWay: boolean;
  readonly idempotent: boolean | undefined;
  /** Bytes that the plugin left unread. */
  readonly unread: number;
}

/** One exchange with the plugin alone, without sockets. */
export function exchange(
  config: unknown,
  request: { path: string; method?: string; headers?: Record<string, string>; body?: string | Buffer },
): Exchange {
  const settings: Settings =
    typeof config === 'object' && config !== null && 'nextId' in config ? (config as Settings) : parseSettings(config);
  let answer: string | undefined;
  let halfClosed = false;
  let oneWay = false;
  let idempotent: boolean | undefined;
  const bridge = new DubboBridge(settings, {
    getRouteName: () => 'route',
    getVirtualClusterName: () => 'cluster',
    setSelfHalfCloseForUpstreamConn: (enabled) => {
      halfClosed = enabled;
    },
    setIdempotent: (value) => {
      idempotent = value;
    },
    setOneWay: (enabled) => {
      oneWay = enabled;
    },
    sendLocalReply: (status, body) => {
      answer = `local ${status} ${body}`;
    },
    log: () => undefined,
  });
  const scope = { active: true };
  const headers = headerMap(request.method ?? 'POST', request.path, request.headers ?? {});
  const out = new ByteQueue();
  bridge.encodeHeaders(headers, new PluginBuffer(out, scope), request.body === undefined);
  if (request.body !== undefined && answer === undefined) {
    out.append(Buffer.from(request.body as string));
    bridge.encodeData(new PluginBuffer(out, scope), true);
  }
  const sent = answer === undefined ? out.takeBytes() : undefined;
  const received = new ByteQueue();
  const responseHeaders = new Map<string, string>();
  const response = {
    status: 200,
    set: (name: string, value: string) => void responseHeaders.set(name, value),
  };
  const view: BufferInstance = new PluginBuffer(received, scope);
  return {
    bridge,
    sent,
    id: sent === undefined ? 0n : readId(sent),
    receive(data, end = false) {
      received.append(Buffer.from(data));
      const status = bridge.onUpstreamData(response as ResponseHeaderMap, view, end);
      if (answer === undefined && status === 2) answer = `${response.status} ${received.takeBytes()}`;
      return answer;
    },
    get answer() {
      return answer;
    },
    headers: responseHeaders,
    get halfClosed() {
      return halfClosed;
    },
    get idempotent() {
      return idempotent;
    },
    get oneWay() {
      return oneWay;
    },
    get unread() {
      return received.length;
    },
  };
}

export function headerMap(method: string, path: string, headers: Record<string, string>): RequestHeaderMap {
  return {
    method,
    path,
    host: 'host',
    scheme: 'http',
    get: (name) => headers[name],
    values: (name) => (headers[name] === undefined ? [] : [headers[name]]),
    range(visit) {
      for (const [name, value] of Object.entries(headers)) if (visit(name, value) === false) return;
    },
    getAllHeaders: () => Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
  };
}
