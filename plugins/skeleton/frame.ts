/** Frames of this protocol: four bytes of length, big-endian, then so many bytes. */
export const headerSize = 4;

/** What the server sent is none of the protocol's. */
export class FrameError extends Error {}

/**
 * The whole length of the frame that `bytes` begin with; undefined when more bytes are needed to tell.
 * Throws a FrameError as soon as it can be seen that it is none, or larger than allowed: nothing is buffered for what will be refused.
 */
export function frameLength(bytes: Buffer, maxSize: number): number | undefined {
  if (bytes.length < headerSize) return undefined;
  const length = headerSize + bytes.readUInt32BE(0);
  if (length > maxSize) throw new FrameError(`the server announced a frame of ${length} bytes; allowed are ${maxSize}`);
  return length;
}

export function frame(payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(headerSize + payload.length);
  bytes.writeUInt32BE(payload.length, 0);
  bytes.set(payload, headerSize);
  return bytes;
}
