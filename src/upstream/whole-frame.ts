import { FrameError, type FrameId, type FrameProtocol } from './frame-protocol.js';

/** A request up to this size is put into one piece when its first doesn't tell enough; of a larger one so many bytes, and more when they, too, don't. */
const smallFrame = 4096;
const shortHead = 256;

/**
 * Makes `pieces` begin with a piece that is long enough to tell the frame's length and id, and answers that id.
 * Throws a FrameError when they are not exactly one frame.
 */
export function checkWholeFrame(protocol: FrameProtocol, pieces: Buffer[], size: number): FrameId {
  for (let wanted = size <= smallFrame ? size : shortHead; ; wanted *= 2) {
    const head = pieces[0];
    if (head === undefined) throw new FrameError('the request is empty, not a frame');
    const length = protocol.frameLength(head);
    const id = length === undefined ? undefined : protocol.ids === undefined ? 0 : protocol.ids.read(head);
    if (length !== undefined && length !== size)
      throw new FrameError(`the request has ${size} bytes, its frame ${length}: it must be exactly one frame`);
    if (id !== undefined) return id;
    if (pieces.length === 1) {
      const missing = length === undefined ? 'are not a whole frame' : 'have no id';
      throw new FrameError(`the ${size} bytes of the request ${missing}`);
    }
    joinHead(pieces, Math.max(wanted, 2 * head.length));
  }
}

/** Copies pieces from the front together until there are `wanted` bytes, and no more. */
function joinHead(pieces: Buffer[], wanted: number): void {
  let size = 0;
  let count = 0;
  for (; count < pieces.length && size < wanted; count++) size += (pieces[count] as Buffer).length;
  const head = Buffer.allocUnsafe(Math.min(size, wanted));
  let end = 0;
  let last = pieces[0] as Buffer;
  for (let i = 0; i < count; i++) {
    last = pieces[i] as Buffer;
    end += last.copy(head, end);
  }
  const rest = size - head.length;
  if (rest === 0) pieces.splice(0, count, head);
  else pieces.splice(0, count, head, last.subarray(last.length - rest));
}
