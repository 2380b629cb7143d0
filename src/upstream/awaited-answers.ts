import { FrameError, type FrameIds } from './frame-protocol.js';
import type { Share } from './share.js';

/** Whose answers a connection awaits. `find` takes them out. */
export interface AwaitedAnswers {
  readonly size: number;
  /** Its frame, which begins in `head`, is written now. */
  add(share: Share, head: Buffer): void;
  /** Whose answer the frame is that begins with `bytes`; undefined: more are needed. Throws a FrameError when it is nobody's. */
  find(bytes: Buffer): Share | undefined;
}

/** Answers in the order of the requests. */
export class AnswersInOrder implements AwaitedAnswers {
  size = 0;
  #first: Share | undefined;
  #last: Share | undefined;

  add(share: Share): void {
    if (this.#last === undefined) this.#first = share;
    else this.#last.next = share;
    this.#last = share;
    this.size++;
  }

  find(): Share {
    const first = this.#first;
    if (first === undefined) throw new FrameError('an answer without a request');
    this.#first = first.next;
    if (this.#first === undefined) this.#last = undefined;
    first.next = undefined;
    this.size--;
    return first;
  }
}

/** A power of two. */
const fewestSlots = 64;

/** Answers that carry the id of their request. */
export class AnswersById implements AwaitedAnswers {
  readonly #ids: FrameIds;
  /** By the last bits of their ids. (A Map that changes with every request leaves as much for the full collections as a Set: see `SwapList`.) */
  #slots: (Share | undefined)[] = new Array(fewestSlots).fill(undefined);
  #size = 0;
  #lastId = 0;

  constructor(ids: FrameIds) {
    this.#ids = ids;
  }

  get size(): number {
    return this.#size;
  }

  add(share: Share, head: Buffer): void {
    if (2 * this.#size >= this.#slots.length) this.#grow();
    // Counting up, so that an id comes back as late as possible. There are always more ids than shares.
    do this.#lastId = this.#lastId >= this.#ids.max ? 1 : this.#lastId + 1;
    while (this.#slots[this.#slotOf(this.#lastId)] !== undefined);
    share.id = this.#lastId;
    this.#ids.write(head, share.id);
    this.#slots[this.#slotOf(share.id)] = share;
    this.#size++;
  }

  #slotOf(id: number): number {
    return id & (this.#slots.length - 1);
  }

  #grow(): void {
    const shares = this.#slots;
    this.#slots = new Array(2 * shares.length).fill(undefined);
    for (const share of shares) if (share) this.#slots[this.#slotOf(share.id)] = share;
  }

  find(bytes: Buffer): Share | undefined {
    const id = this.#ids.read(bytes);
    if (id === undefined) return undefined;
    const slot = this.#slotOf(Number(id));
    const share = this.#slots[slot];
    if (share === undefined || share.id !== Number(id))
      throw new FrameError(`an answer with the id ${id}, which no request has`);
    this.#slots[slot] = undefined;
    this.#size--;
    this.#ids.write(bytes, share.originalId);
    return share;
  }
}
