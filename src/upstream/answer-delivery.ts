import { KeptBytes } from '../kept-bytes.js';
import type { UpstreamConnectionHandler } from './connection.js';
import { HeldAnswers, slowestOf } from './held-answers.js';
import type { Host } from './host.js';
import type { Loss, Share } from './share.js';
import type { SharingContext } from './shared-connection.js';
import type { SwapList } from './swap-list.js';

/** The connection that the answers come on. */
export interface DeliveryOwner {
  /** Whose answer has begun and has not ended. */
  readonly unfinished: Share | undefined;
  /** An exchange that was lost has been told all that came before. */
  onLost(share: Share, loss: Loss): void;
  /** Whether the server has to wait. */
  setReading(paused: boolean): void;
}

/** What is held for exchanges that don't read, per connection, bytes. */
const longestHeld = 16 * 1024 * 1024;

/** Hands answers to the exchanges of one connection, and holds what they do not read. What one of them does costs only itself. */
export class AnswerDelivery {
  /** The server waits. */
  paused = false;
  readonly #host: Host;
  readonly #live: SwapList<Share>;
  readonly #context: SharingContext;
  readonly #owner: DeliveryOwner;
  readonly #held = new HeldAnswers();

  /** @param live those whose exchange has not ended */
  constructor(host: Host, live: SwapList<Share>, context: SharingContext, owner: DeliveryOwner) {
    this.#host = host;
    this.#live = live;
    this.#context = context;
    this.#owner = owner;
  }

  get heldBytes(): number {
    return this.#held.bytes;
  }

  deliver(share: Share, piece: Buffer, last: boolean): void {
    if (share.state === 'abandoned' || share.state === 'closed') {
      if (last) this.#context.sharing.lateAnswers.value++;
      return;
    }
    if (share.paused || share.held !== undefined) this.#hold(share, piece);
    else this.#tell(share, piece);
    if (!last) return;
    // The end, too, waits for an exchange that does not read.
    if (share.paused) share.held ??= new KeptBytes();
    if (share.held === undefined) this.#tellEnd(share);
  }

  /** The exchange reads again. */
  resume(share: Share): void {
    if (this.#held.passOn(share, (to, piece) => this.#tell(to, piece))) {
      if (share.loss === undefined) this.#tellEnd(share);
      else this.#owner.onLost(share, share.loss);
    }
    this.balance();
  }

  /** The exchange has ended. */
  drop(share: Share): void {
    this.#held.drop(share);
  }

  /** Reading stops only when nobody else waits for what comes: at once in the middle of an answer, else when much is held. */
  balance(): void {
    const { only } = this.#live;
    const stops = only?.paused === true && this.#owner.unfinished === only;
    const paused = stops || (only !== undefined && this.#held.bytes > this.#context.bufferLimitBytes);
    if (paused === this.paused) return;
    this.paused = paused;
    this.#owner.setReading(paused);
  }

  /** A fault in one exchange must not end the process, nor the others. */
  onFault(share: Share, error: unknown): void {
    this.#context.log.error({ err: error, host: this.#host.address }, 'an exchange on a shared connection failed');
    share.release();
  }

  tellClose(handler: UpstreamConnectionHandler | undefined, { reason, protocolError }: Loss): void {
    try {
      handler?.onClose(reason, protocolError);
    } catch (error) {
      this.#context.log.error(
        { err: error, host: this.#host.address },
        'an exchange failed while its connection closed',
      );
    }
  }

  #tell(share: Share, piece: Buffer): void {
    try {
      share.handler?.onData(piece);
    } catch (error) {
      this.onFault(share, error);
    }
  }

  /** Behind the last byte of an answer, for an exchange that has not let go by itself. */
  #tellEnd(share: Share): void {
    if (share.state !== 'answered') return;
    try {
      share.handler?.onEnd();
    } catch (error) {
      this.onFault(share, error);
    }
  }

  #hold(share: Share, piece: Buffer): void {
    this.#held.hold(share, piece);
    if (this.#held.bytes > longestHeld && this.#live.size > 1) this.#failSlowest();
    this.balance();
  }

  #failSlowest(): void {
    const slowest = slowestOf(this.#live.toArray());
    if (slowest === undefined) return;
    this.#context.sharing.slowReaders.value++;
    const { handler } = slowest;
    slowest.release();
    this.tellClose(handler, { reason: 'the client reads too slowly for a shared connection', protocolError: false });
  }
}
