import { KeptBytes } from '../kept-bytes.js';
import type { Share } from './share.js';

/** What came for the exchanges of one connection that don't read at the moment. */
export class HeldAnswers {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  hold(share: Share, piece: Buffer): void {
    share.held ??= new KeptBytes();
    share.held.append(piece);
    share.held.keep();
    this.#bytes += piece.length;
  }

  drop(share: Share): void {
    if (share.held === undefined) return;
    this.#bytes -= share.held.length;
    share.held.clear();
    share.held = undefined;
  }

  /** Hands over what is held, until the exchange stops reading again. True: nothing is left. */
  passOn(share: Share, tell: (share: Share, piece: Buffer) => void): boolean {
    while (share.held !== undefined && !share.paused) {
      const piece = share.held.shift();
      if (piece === undefined) {
        share.held = undefined;
        return true;
      }
      this.#bytes -= piece.length;
      tell(share, piece);
    }
    return false;
  }
}

/** Whose held bytes are most. */
export function slowestOf(shares: Iterable<Share>): Share | undefined {
  let slowest: Share | undefined;
  for (const share of shares) if ((share.held?.length ?? 0) > (slowest?.held?.length ?? 0)) slowest = share;
  return slowest;
}
