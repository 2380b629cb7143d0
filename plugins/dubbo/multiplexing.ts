import type { Multiplexing } from '../../src/bridge/api.js';
import type { Settings } from './config.js';
import {
  FrameError,
  frameLength,
  headerSize,
  heartbeatReply,
  isReadOnly,
  readFrame,
  readId,
  writeId,
} from './frame.js';

/** How calls share connections: the provider answers them in any order, by their ids. undefined: each call has a connection to itself. */
export function multiplexing({ maxInFlight, limits }: Settings): Multiplexing | undefined {
  if (maxInFlight === undefined) return undefined;
  // Asked about requests, too.
  const maxSize = Math.max(limits.maxRequestFrame, limits.maxResponseFrame);
  return {
    frameLength: (bytes) => frameLength(bytes, maxSize),
    correlation: {
      readId: (bytes) => (bytes.length < headerSize ? undefined : readId(bytes)),
      writeId: (bytes, id) => writeId(bytes, BigInt(id)),
      maxId: Number.MAX_SAFE_INTEGER,
    },
    maxInFlight,
    isStrayFrame(bytes) {
      if (bytes.length < headerSize) return undefined;
      const { kind } = readFrame(bytes);
      if (kind === 'request') throw new FrameError('the server sent a request');
      return kind !== 'response';
    },
    onStrayFrame(bytes) {
      const frame = readFrame(bytes);
      if (isReadOnly(frame)) return { drain: true };
      return frame.kind === 'event_request' && frame.twoWay ? { reply: heartbeatReply(bytes) } : undefined;
    },
  };
}
