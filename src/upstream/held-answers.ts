import { kept } from '../turn-memory.js';
import type { Share } from './share.js';

/** What came for the exchanges of one connection that don't read at the moment. */
export class HeldAnswers {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  hold(share: Share, piece: Buffer): void {
    share.held ??= [];
    share.held.push(kept(piece));
    share.heldBytes += piece.length;
    this.#bytes += piece.length;
  }

  drop(share: Share): void {
    this.#bytes -= share.heldBytes;
    share.held = undefined;
    share.heldBytes = 0;
  }

  /** Hands over what is held, until the exchange stops reading again. True: nothing is left. */
  passOn(share: Share, tell: (share: Share, piece: Buffer) => void): boolean {
    while (share.held !== undefined && !share.paused) {
      const piece = share.held.shift();
      if (piece === undefined) {
        share.held = undefined;
        return true;
      }
      share.heldBytes -= piece.length;
      this.#bytes -= piece.length;
      tell(share, piece);
    }
    return false;
  }
}

/** Whose held bytes are most. */
export function slowestOf(shares: Iterable<Share>): Share | undefined {
  let slowest: Share | undefined;
  for (const share of shares) if (share.heldBytes > (slowest?.heldBytes ?? 0)) slowest = share;
  return slowest;
}
