import { KeptBytes } from '../kept-bytes.js';
import { kept } from '../turn-memory.js';
import type { AwaitedAnswers } from './awaited-answers.js';
import { FrameError, type FrameProtocol } from './frame-protocol.js';
import { FrameReader, type FrameSink } from './frame-reader.js';
import type { FrameWriter } from './frame-writer.js';
import type { Share } from './share.js';

/** Who hears of what comes on a shared connection. */
export interface FrameEvents {
  /** A piece of the answer to that exchange. */
  onAnswer(share: Share, piece: Buffer, last: boolean): void;
  /** A frame for nobody came, and was answered; `drain`: it asks for no more requests. */
  onStray(drain: boolean): void;
}

/** Of one frame that answers nobody, and of the replies to them that wait to be written, bytes. */
const longestStray = 65_536;

/** Finds for each frame that comes whose answer it is. */
export class IncomingFrames implements FrameSink {
  readonly #protocol: FrameProtocol;
  readonly #awaited: AwaitedAnswers;
  readonly #writer: FrameWriter;
  readonly #events: FrameEvents;
  readonly #reader: FrameReader;
  /** Whose frame is coming; pieces: nobody's. */
  #target: Share | Buffer[] | undefined;
  /** Bytes of replies that wait. */
  #replies = 0;

  constructor(protocol: FrameProtocol, awaited: AwaitedAnswers, writer: FrameWriter, events: FrameEvents) {
    this.#protocol = protocol;
    this.#awaited = awaited;
    this.#writer = writer;
    this.#events = events;
    this.#reader = new FrameReader(protocol, this);
  }

  /** A frame has begun and has not ended. */
  get inFrame(): boolean {
    return this.#target !== undefined;
  }

  /** Whose answer has begun and has not ended. */
  get unfinished(): Share | undefined {
    return Array.isArray(this.#target) ? undefined : this.#target;
  }

  /** Throws a FrameError; then the connection is of no use any more. */
  read(chunk: Buffer): void {
    this.#reader.read(chunk);
  }

  stop(): void {
    this.#reader.stop();
  }

  onFrame(start: Buffer, length: number): boolean {
    const { stray } = this.#protocol;
    const isStray = stray === undefined ? false : stray.is(start);
    if (isStray === undefined) return false;
    if (isStray && length > longestStray)
      throw new FrameError(`a frame of ${length} bytes that answers nobody; allowed are ${longestStray}`);
    const target = isStray ? [] : this.#awaited.find(start);
    if (target === undefined) return false;
    this.#target = target;
    this.onRest(start, start.length === length);
    return true;
  }

  onRest(piece: Buffer, last: boolean): void {
    const target = this.#target;
    if (last) this.#target = undefined;
    if (!Array.isArray(target)) {
      if (target !== undefined) this.#events.onAnswer(target, piece, last);
      return;
    }
    target.push(last ? piece : kept(piece));
    if (last) this.#onStray(Buffer.concat(target));
  }

  #onStray(frame: Buffer): void {
    const { reply, drain } = this.#protocol.stray?.receive(frame) ?? {};
    if (reply !== undefined && reply.length > 0) this.#reply(reply);
    this.#events.onStray(drain === true);
  }

  #reply(reply: Buffer): void {
    const { length } = reply;
    this.#replies += length;
    if (this.#replies > longestStray) throw new FrameError('the server does not read the replies to its frames');
    const onWrite = (): boolean => {
      this.#replies -= length;
      return true;
    };
    this.#writer.add({ bytes: new KeptBytes([reply]), size: length, place: 0, onWrite, whenWritten: undefined });
  }
}
