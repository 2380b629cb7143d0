import streamDecoder from '@grpc/grpc-js/build/src/stream-decoder.js';

/** Whether it is compressed, one byte, and its length, four. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
const headSize = 5;

/**
 * Takes the messages out of a gRPC stream, with their heads. The place for a message is made when its length is known, and what comes is copied there at once:
 * a piece in a turn of the event loop. grpc-js's own keeps the pieces, and copies all of a message when its last one has come. Of one with ten thousand clusters
 * that takes longer than requests should wait, above all when the system must find the memory for it at that moment; and there is less of it to find.
 */
export class MessageDecoder {
  readonly #longest: number;
  readonly #head = Buffer.alloc(headSize);
  #message: Buffer = this.#head;
  /** Bytes of `#message` that are there. */
  #filled = 0;

  /** @param longest bytes of a message; -1: any */
  constructor(longest: number) {
    this.#longest = longest;
  }

  /** Returns the messages that end in these bytes. @throws Error at the head of one that is too long */
  write(data: Buffer): Buffer[] {
    const messages: Buffer[] = [];
    for (let at = 0; at < data.length; ) {
      const copied = data.copy(this.#message, this.#filled, at);
      at += copied;
      this.#filled += copied;
      if (this.#filled < this.#message.length) break;
      if (this.#message === this.#head) this.#message = this.#placeForMessage();
      if (this.#filled < this.#message.length) continue;
      messages.push(this.#message);
      this.#message = this.#head;
      this.#filled = 0;
    }
    return messages;
  }

  #placeForMessage(): Buffer {
    const length = this.#head.readUInt32BE(1);
    if (this.#longest !== -1 && length > this.#longest)
      throw new Error(`Received message larger than max (${length} vs ${this.#longest})`);
    // The system gives memory when it is touched: a server that only says how long its message is has nothing of it.
    const place = Buffer.allocUnsafe(headSize + length);
    this.#head.copy(place);
    return place;
  }
}

/** Calls that begin from now on read with it. There is no option for that: grpc-js looks its own up in the module where it is. */
export function useMessageDecoder(): void {
  (streamDecoder as { StreamDecoder: unknown }).StreamDecoder = MessageDecoder;
}
