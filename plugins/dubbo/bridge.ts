import type {
  BridgeCallbacks,
  BufferInstance,
  HttpTcpBridge,
  RequestHeaderMap,
  ResponseHeaderMap,
} from '../../src/bridge/api.js';
import { collectArguments, parseBody, RequestError } from './arguments.js';
import { type Call, resolveCall } from './call.js';
import type { Settings } from './config.js';
import { type ErrorReply, exceptionReply, failureReply, refusal } from './errors.js';
import {
  type Frame,
  FrameError,
  frameLength,
  isHessian2,
  isReadOnly,
  readFrame,
  readId,
  writeRequestHeader,
} from './frame.js';
import { HessianError } from './hessian/values.js';
import { writeInvocation } from './invocation.js';
import { ArgumentError } from './java/encode.js';
import { ToJsonError, toJson } from './java/to-json.js';
import type { Json } from './json/values.js';
import { type Response, readResponse } from './response.js';

const Continue = 0;
const StopAndBuffer = 1;
const EndStream = 2;

const jsonType = { 'content-type': 'application/json' };

/** One call: a request, its frame, and the frame that answers it. */
export class DubboBridge implements HttpTcpBridge {
  readonly #settings: Settings;
  readonly #callbacks: BridgeCallbacks;
  readonly #id: bigint;
  #headers: RequestHeaderMap | undefined;
  #call: Call | undefined;
  /** Fewer bytes than this are no use. */
  #needed = 1;

  constructor(settings: Settings, callbacks: BridgeCallbacks) {
    this.#settings = settings;
    this.#callbacks = callbacks;
    this.#id = settings.nextId();
  }

  encodeHeaders(headers: RequestHeaderMap, dataForSet: BufferInstance, endOfStream: boolean): 0 | 1 {
    const call = resolveCall(this.#settings, headers);
    if ('status' in call) {
      this.#refuse(call);
      return Continue;
    }
    this.#headers = headers;
    this.#call = call;
    if (call.idempotent !== undefined) this.#callbacks.setIdempotent(call.idempotent);
    if (!endOfStream) return StopAndBuffer;
    this.#send(dataForSet, call, headers, undefined);
    return Continue;
  }

  encodeData(buffer: BufferInstance, endOfStream: boolean): 0 | 1 {
    if (!endOfStream) return StopAndBuffer;
    const [call, headers] = [this.#call as Call, this.#headers as RequestHeaderMap];
    this.#send(buffer, call, headers, buffer.bytes());
    return Continue;
  }

  #send(target: BufferInstance, call: Call, headers: RequestHeaderMap, body: Buffer | undefined): void {
    const frame = this.#encode(call, headers, body);
    if ('status' in frame) this.#refuse(frame);
    else {
      target.set(frame);
      this.#callbacks.setOneWay(call.oneWay);
    }
  }

  #encode(call: Call, headers: RequestHeaderMap, body: Buffer | undefined): Buffer | ErrorReply {
    try {
      const json: Json | undefined =
        body === undefined ? undefined : parseBody(headers, body, this.#settings.limits.maxDepth);
      const values = collectArguments(call, headers, json);
      if (call.generic === 'false' && values.some(({ type }) => type === undefined)) {
        return refusal(400, 'NO_TYPES', 'a direct call needs the types of its parameters: by a route or dubbo_types');
      }
      const frame = writeInvocation(this.#settings, call, values);
      writeRequestHeader(frame, this.#id, !call.oneWay);
      return frame;
    } catch (error) {
      if (error instanceof RequestError) return refusal(error.status, 'BAD_REQUEST', error.message);
      if (error instanceof ArgumentError) return refusal(400, 'BAD_ARGUMENT', error.message);
      if (error instanceof HessianError) return refusal(413, 'TOO_LARGE', error.message);
      throw error;
    }
  }

  #refuse({ status, body }: ErrorReply): void {
    this.#callbacks.sendLocalReply(status, body, jsonType);
  }

  onUpstreamData(headers: ResponseHeaderMap, buffer: BufferInstance, endOfStream: boolean): 0 | 1 | 2 {
    if (this.#call?.oneWay === true && endOfStream && buffer.len() === 0) {
      headers.status = 202;
      headers.set('content-length', '0');
      return EndStream;
    }
    try {
      for (;;) {
        const bytes = this.#nextFrame(buffer);
        if (bytes === undefined) return this.#incomplete(buffer, endOfStream);
        const frame = readFrame(bytes);
        if (this.#isAnswer(frame, bytes)) {
          this.#answer(headers, buffer, frame, bytes.length);
          return EndStream;
        }
        buffer.drain(bytes.length);
      }
    } catch (error) {
      if (error instanceof FrameError) return this.#badServer('BAD_FRAME', error.message);
      if (error instanceof HessianError)
        return this.#badServer('BAD_RESPONSE', `the response can't be read: ${error.message}`);
      throw error;
    }
  }

  /** A whole frame, or undefined. */
  #nextFrame(buffer: BufferInstance): Buffer | undefined {
    if (buffer.len() < this.#needed) return undefined;
    const bytes = buffer.bytes();
    const length = frameLength(bytes, this.#settings.limits.maxResponseFrame);
    if (length === undefined || bytes.length < length) {
      this.#needed = length ?? bytes.length + 1;
      return undefined;
    }
    this.#needed = 1;
    return bytes.subarray(0, length);
  }

  #incomplete(buffer: BufferInstance, endOfStream: boolean): 1 | 2 {
    // With nothing at all the host knows best: it may try again on another connection.
    if (!endOfStream || buffer.len() === 0) return StopAndBuffer;
    return this.#badServer('TRUNCATED', `the server closed the connection after ${buffer.len()} bytes of a frame`);
  }

  /** Whether this is what the exchange waits for. Events of the provider are not. Throws a FrameError for what can't be there. */
  #isAnswer(frame: Frame, bytes: Buffer): boolean {
    if (frame.kind === 'request') throw new FrameError('the server sent a request');
    if (frame.kind !== 'response') {
      // The provider is about to stop: the connection gets no further call.
      if (isReadOnly(frame)) this.#callbacks.setSelfHalfCloseForUpstreamConn(true);
      return false;
    }
    const id = readId(bytes);
    if (id !== this.#id) throw new FrameError(`the server answered request ${id}, but ${this.#id} was asked`);
    if (isHessian2(frame)) return true;
    throw new FrameError(`the server answered in serialization ${frame.serialization}; 2 is known (hessian2)`);
  }

  #answer(headers: ResponseHeaderMap, buffer: BufferInstance, frame: Frame, length: number): void {
    const { status, body } = this.#reply(headers, frame);
    // Nobody asked for more: such a connection is out of step.
    if (buffer.len() > length) this.#callbacks.setSelfHalfCloseForUpstreamConn(true);
    const bytes = Buffer.from(body);
    headers.status = status;
    headers.set('content-type', 'application/json');
    headers.set('content-length', String(bytes.length));
    buffer.set(bytes);
  }

  #reply(headers: ResponseHeaderMap, frame: Frame): ErrorReply {
    const response = readResponse(frame, this.#settings.limits);
    if (response.kind === 'failure') return failureReply(this.#settings.errors, response.status, response.message);
    this.#setAttachments(headers, response.attachments);
    if (response.kind === 'exception') return exceptionReply(this.#settings.errors, response.exception);
    return this.#value(response);
  }

  #value({ value, shared }: Response & { readonly kind: 'value' }): ErrorReply {
    try {
      return { status: 200, body: `${toJson(value, this.#call?.returns, shared, this.#settings.json)}\n` };
    } catch (error) {
      if (!(error instanceof ToJsonError)) throw error;
      return refusal(502, 'UNSUITABLE_RESULT', `the result can't be written as JSON: ${error.message}`);
    }
  }

  #setAttachments(headers: ResponseHeaderMap, attachments: ReadonlyMap<string, string>): void {
    const prefix = this.#settings.attachments.responsePrefix;
    if (prefix === undefined) return;
    for (const [name, value] of attachments) {
      // What no header can carry is left out.
      if (/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(name) && /^[\x20-\x7e]{0,4096}$/.test(value)) {
        headers.set(prefix + name.toLowerCase(), value.trim());
      }
    }
  }

  /** The bytes stay unread, which closes the connection. */
  #badServer(code: string, message: string): 2 {
    this.#refuse(refusal(502, code, message));
    return EndStream;
  }
}
