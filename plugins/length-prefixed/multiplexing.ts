import type { FrameId, FrameIds, Multiplexing } from '../../src/bridge/api.js';
import { type Framing, type IdField, wholeUpTo } from './config.js';

/** How the requests of this configuration share connections; undefined: each has one to itself. */
export function multiplexing(framing: Framing): Multiplexing | undefined {
  const { headerSize, largestPayload, sharing } = framing;
  if (sharing === undefined) return undefined;
  const { id, maxInFlight, answerTimeoutMs } = sharing;
  return {
    frameLength(bytes) {
      if (bytes.length < headerSize) return undefined;
      const length = framing.payloadLength(bytes);
      if (length >= 0 && length <= largestPayload) return headerSize + length;
      throw new Error(`a frame with a payload of ${length} bytes; allowed are 0-${largestPayload}`);
    },
    streamAbove: wholeUpTo,
    correlation: id === undefined ? 'in_order' : idsAt(headerSize + id.offset, id),
    ...(maxInFlight === undefined ? {} : { maxInFlight }),
    ...(answerTimeoutMs === undefined ? {} : { answerTimeoutMs }),
  };
}

function idsAt(offset: number, { size, little }: IdField): FrameIds {
  const end = offset + size;
  return {
    readId: (bytes) => (bytes.length < end ? undefined : readId(bytes, offset, size, little)),
    writeId: (bytes, id) => writeId(bytes, id, offset, size, little),
    maxId: Math.min(2 ** (8 * size) - 1, Number.MAX_SAFE_INTEGER),
  };
}

function readId(bytes: Buffer, offset: number, size: number, little: boolean): FrameId {
  if (size === 8) return little ? bytes.readBigUInt64LE(offset) : bytes.readBigUInt64BE(offset);
  return little ? bytes.readUIntLE(offset, size) : bytes.readUIntBE(offset, size);
}

function writeId(bytes: Buffer, id: FrameId, offset: number, size: number, little: boolean): void {
  if (size === 8) {
    if (little) bytes.writeBigUInt64LE(BigInt(id), offset);
    else bytes.writeBigUInt64BE(BigInt(id), offset);
  } else if (little) bytes.writeUIntLE(Number(id), offset, size);
  else bytes.writeUIntBE(Number(id), offset, size);
}
