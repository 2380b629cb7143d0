import type { KeptBytes } from '../kept-bytes.js';
import { FrameError, type FrameId, type FrameProtocol, longestHead } from './frame-protocol.js';

/** A request up to this size is put into one piece when its first doesn't tell enough; of a larger one so many bytes, and more when they, too, don't. */
const smallFrame = 4096;
const shortHead = 256;

/**
 * Makes `frame` begin with a piece that is long enough to tell its length and id, and answers that id.
 * Throws a FrameError when the bytes are not exactly one frame.
 */
export function checkWholeFrame(protocol: FrameProtocol, frame: KeptBytes): FrameId {
  const size = frame.length;
  let head = frame.head(0);
  for (let wanted = size <= smallFrame ? size : shortHead; ; wanted *= 2) {
    if (head === undefined) throw new FrameError('the request is empty, not a frame');
    const length = protocol.frameLength(head);
    const id = length === undefined ? undefined : protocol.ids === undefined ? 0 : protocol.ids.read(head);
    if (length !== undefined && length !== size)
      throw new FrameError(`the request has ${size} bytes, its frame ${length}: it must be exactly one frame`);
    if (id !== undefined) return id;
    if (head.length === size) {
      const missing = length === undefined ? 'are not a whole frame' : 'have no id';
      throw new FrameError(`the ${size} bytes of the request ${missing}`);
    }
    head = frame.head(Math.max(wanted, 2 * head.length));
  }
}

/**
 * Makes the beginning of a frame begin with a piece that is long enough to tell its length and id, and answers them; undefined: more bytes are needed.
 * Throws a FrameError when that can't be, or when there are more bytes than the frame has.
 */
export function readFrameHead(
  protocol: FrameProtocol,
  bytes: KeptBytes,
): { readonly length: number; readonly id: FrameId } | undefined {
  const size = bytes.length;
  let head = bytes.head(0);
  while (head !== undefined) {
    const length = protocol.frameLength(head);
    const id = length === undefined ? undefined : protocol.ids === undefined ? 0 : protocol.ids.read(head);
    if (length !== undefined && length < size)
      throw new FrameError(`the request has more than the ${length} bytes of its frame: it must be exactly one frame`);
    if (length !== undefined && id !== undefined) return { length, id };
    if (head.length >= longestHead)
      throw new FrameError(
        `the first ${head.length} bytes of the request do not tell the length of its frame and its id`,
      );
    if (head.length === size) return undefined;
    head = bytes.head(Math.max(shortHead, 2 * head.length));
  }
  return undefined;
}
