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

/** Answers that carry the id of their request. */
export class AnswersById implements AwaitedAnswers {
  readonly #ids: FrameIds;
  readonly #shares = new Map<number, Share>();
  #lastId = 0;

  constructor(ids: FrameIds) {
    this.#ids = ids;
  }

  get size(): number {
    return this.#shares.size;
  }

  add(share: Share, head: Buffer): void {
    // Counting up, so that an id comes back as late as possible. There are always more ids than shares.
    do this.#lastId = this.#lastId >= this.#ids.max ? 1 : this.#lastId + 1;
    while (this.#shares.has(this.#lastId));
    share.id = this.#lastId;
    this.#ids.write(head, share.id);
    this.#shares.set(share.id, share);
  }

  find(bytes: Buffer): Share | undefined {
    const id = this.#ids.read(bytes);
    if (id === undefined) return undefined;
    const share = this.#shares.get(Number(id));
    if (share === undefined) throw new FrameError(`an answer with the id ${id}, which no request has`);
    this.#shares.delete(share.id);
    this.#ids.write(bytes, share.originalId);
    return share;
  }
}
