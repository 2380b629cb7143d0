import { FrameError, type FrameIds, type FrameProtocol, type StrayFrames } from '../upstream/frame-protocol.js';
import type * as api from './api.js';
import { copyOf } from './buffer.js';
import { marked } from './call-mark.js';
import { describe, isPromise } from './plugin-error.js';
import type { CallMark } from './prepared-bridge.js';

const defaultMaxInFlight = 100;
const mostInFlight = 65_536;
const defaultAnswerTimeoutMs = 10_000;
const longestAnswerTimeoutMs = 2 ** 31 - 1;
const defaultMaxId = 2 ** 31 - 1;

/**
 * What a plugin declares about its frames, made safe to use: whatever its functions throw or return comes out as an answer of the right type or a FrameError.
 * Throws an Error that names the member which is wrong. undefined: the plugin wants a connection for each exchange.
 */
export function prepareMultiplexing(declared: api.Multiplexing | undefined): FrameProtocol | undefined {
  if (declared === undefined || declared === null) return undefined;
  if (isPromise(declared)) throw new Error('it returned a promise: it must not be async');
  if (typeof declared !== 'object') throw new Error(`it returned a ${typeof declared}, not an object`);
  checkFunction(declared, 'frameLength');
  const ids = prepareIds(declared.correlation);
  const most = Math.min(mostInFlight, ids?.max ?? mostInFlight);
  const maxInFlight = integer(declared.maxInFlight, 'maxInFlight', Math.min(defaultMaxInFlight, most), most);
  if (ids !== undefined && declared.answerTimeoutMs !== undefined)
    throw new Error('answerTimeoutMs has a meaning only with correlation "in_order"');
  return {
    frameLength(bytes) {
      let length: unknown;
      try {
        length = declared.frameLength(bytes);
      } catch (thrown) {
        throw frameError('frameLength', thrown);
      }
      if (length === undefined) return undefined;
      if (typeof length === 'number' && Number.isSafeInteger(length) && length > 0) return length;
      throw new FrameError(`frameLength returned ${shown(length)}, which is no length of a frame`);
    },
    ids,
    stray: prepareStray(declared),
    maxInFlight,
    answerTimeoutMs: integer(
      declared.answerTimeoutMs,
      'answerTimeoutMs',
      defaultAnswerTimeoutMs,
      longestAnswerTimeoutMs,
    ),
    streamAbove:
      declared.streamAbove === undefined
        ? undefined
        : integer(declared.streamAbove, 'streamAbove', 0, Number.MAX_SAFE_INTEGER),
  };
}

/** The same, with the plugin's mark on the stack while its functions run. */
export function markFrames(frames: FrameProtocol, mark: CallMark): FrameProtocol {
  const { ids, stray } = frames;
  return {
    ...frames,
    frameLength: (bytes) => marked(mark, frames.frameLength, bytes),
    ids: ids && {
      max: ids.max,
      read: (bytes) => marked(mark, ids.read, bytes),
      write: (bytes, id) => marked(mark, ids.write, bytes, id),
    },
    stray: stray && {
      is: (bytes) => marked(mark, stray.is, bytes),
      receive: (frame) => marked(mark, stray.receive, frame),
    },
  };
}

function prepareIds(correlation: unknown): FrameIds | undefined {
  if (correlation === 'in_order') return undefined;
  if (typeof correlation !== 'object' || correlation === null)
    throw new Error(`correlation must be "in_order" or an object with readId and writeId, not ${shown(correlation)}`);
  checkFunction(correlation, 'correlation.readId');
  checkFunction(correlation, 'correlation.writeId');
  const ids = correlation as api.FrameIds;
  return {
    read(bytes) {
      let id: unknown;
      try {
        id = ids.readId(bytes);
      } catch (thrown) {
        throw frameError('readId', thrown);
      }
      if (id === undefined || typeof id === 'number' || typeof id === 'bigint') return id;
      throw new FrameError(`readId returned ${shown(id)}: an id is a number or a bigint`);
    },
    write(bytes, id) {
      try {
        ids.writeId(bytes, id);
      } catch (thrown) {
        throw frameError('writeId', thrown);
      }
    },
    max: integer(ids.maxId, 'correlation.maxId', defaultMaxId, Number.MAX_SAFE_INTEGER),
  };
}

function prepareStray(declared: api.Multiplexing): StrayFrames | undefined {
  if (declared.isStrayFrame === undefined) {
    if (declared.onStrayFrame !== undefined) throw new Error('onStrayFrame is never called without isStrayFrame');
    return undefined;
  }
  checkFunction(declared, 'isStrayFrame');
  if (declared.onStrayFrame !== undefined) checkFunction(declared, 'onStrayFrame');
  return {
    is(bytes) {
      try {
        const is: unknown = declared.isStrayFrame?.(bytes);
        return is === undefined ? undefined : is === true;
      } catch (thrown) {
        throw frameError('isStrayFrame', thrown);
      }
    },
    receive(frame) {
      try {
        const answer = declared.onStrayFrame?.(frame);
        const reply = answer?.reply;
        return { reply: reply === undefined ? undefined : copyOf(reply), drain: answer?.drain === true };
      } catch (thrown) {
        throw frameError('onStrayFrame', thrown);
      }
    },
  };
}

function frameError(name: string, thrown: unknown): FrameError {
  return new FrameError(`${name}: ${describe(thrown)}`);
}

function checkFunction(of: object, path: string): void {
  const value: unknown = Reflect.get(of, path.slice(path.indexOf('.') + 1));
  if (typeof value !== 'function') throw new Error(`${path} must be a function, not ${shown(value)}`);
}

function integer(value: unknown, name: string, standard: number, most: number): number {
  if (value === undefined) return standard;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new Error(`${name} must be a whole number from 1 to ${most}, not ${shown(value)}`);
}

function shown(value: unknown): string {
  return typeof value === 'object' && value !== null ? 'an object' : describe(value);
}
