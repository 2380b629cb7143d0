import { endsWithTurn, kept } from '../turn-memory.js';
import { ChunkParser } from './http1-chunk-parser.js';
import { HeadParser } from './http1-head-parser.js';
import { type KnownHeads, LastHead } from './known-heads.js';
import { type RequestFraming, readFraming } from './request-framing.js';
import type { KnownHead, ParseError, RequestHead, RequestParser, RequestParserEvents } from './request-parser.js';

/**
 * What the next byte belongs to.
 * - head: a request line and headers, or nothing yet
 * - length, chunked, trailers: the body
 * - complete: the next request, which waits until this one is over
 * - tunnel: whatever goes through a CONNECT
 * - failed: nothing; the bytes broke the protocol
 * - destroyed: nothing; no event follows
 */
type State = 'head' | 'length' | 'chunked' | 'trailers' | 'complete' | 'tunnel' | 'failed' | 'destroyed';

const nothing = Buffer.alloc(0);
const noTrailers: readonly string[] = [];
const badChunk: ParseError = { status: 400, details: 'http1.codec_error' };

/**
 * Reads the requests of one connection from its bytes, as they come (RFC 9112). Never looser than Node's own parser in its strict mode, nor
 * than Envoy. Body pieces are slices of what was read, not copies. Holds at most what one `write` brought.
 */
export class Http1RequestParser implements RequestParser {
  readonly #events: RequestParserEvents;
  readonly #head: HeadParser;
  readonly #last: LastHead;
  readonly #chunks = new ChunkParser();
  #state: State = 'head';
  /** What was fed, and how much of it was read. */
  #data: Buffer = nothing;
  #at = 0;
  /** Body bytes that are still to come, with a length. */
  #left = 0;
  /** Whoever takes the body has asked for it, and has asked to wait. */
  #started = false;
  #paused = false;
  /** The client sends no more. */
  #inputEnded = false;
  /** Reading, further up the stack; and about to. */
  #running = false;
  #scheduled = false;
  /** `write` returned false. */
  #full = false;
  /** Of the request that is complete. They go no further, as in Envoy without `enable_trailers`. */
  trailers: readonly string[] = noTrailers;

  /**
   * @param maxHeadBytes a longer head, or trailer section, is refused with 431
   * @param known of all connections that have the same limit
   */
  constructor(maxHeadBytes: number, known: KnownHeads, events: RequestParserEvents) {
    this.#events = events;
    this.#last = new LastHead(known);
    this.#head = new HeadParser(maxHeadBytes);
  }

  write(data: Buffer): boolean {
    if (this.#state === 'failed' || this.#state === 'destroyed') return true;
    this.#data = this.#at < this.#data.length ? Buffer.concat([this.#data.subarray(this.#at), data]) : data;
    this.#at = 0;
    this.#run();
    this.#keepRest();
    this.#full = this.#at < this.#data.length;
    return !this.#full;
  }

  startBody(): void {
    this.#started = true;
    this.#runSoon();
  }

  pauseBody(): void {
    this.#paused = true;
  }

  resumeBody(): void {
    this.#paused = false;
    this.#runSoon();
  }

  nextRequest(): void {
    if (this.#state !== 'complete') return;
    this.#state = 'head';
    this.#runSoon();
  }

  end(): void {
    this.#inputEnded = true;
    this.#run();
  }

  destroy(): void {
    this.#state = 'destroyed';
    this.#last.destroy();
    this.#data = nothing;
    this.#at = 0;
  }

  /** Events come from a turn of their own, and none is needed where nothing waits. */
  #runSoon(): void {
    if (this.#running || this.#scheduled) return;
    if (this.#at === this.#data.length && !this.#inputEnded) return;
    this.#scheduled = true;
    process.nextTick(runScheduled, this);
  }

  /** @internal for `runScheduled` */
  runScheduled(): void {
    this.#scheduled = false;
    this.#run();
    this.#keepRest();
    if (!this.#full || this.#at < this.#data.length || this.#state === 'destroyed') return;
    this.#full = false;
    this.#events.onDrain();
  }

  #run(): void {
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#step());
    } finally {
      this.#running = false;
    }
    if (this.#at === this.#data.length) {
      this.#data = nothing;
      this.#at = 0;
    }
  }

  /** What is not read in this turn waits longer than its memory may be there. */
  #keepRest(): void {
    if (this.#scheduled || this.#at === this.#data.length || !endsWithTurn(this.#data)) return;
    this.#data = kept(this.#data.subarray(this.#at));
    this.#at = 0;
  }

  /** Reads up to the next event. False: there is nothing to read, or nobody to read for. */
  #step(): boolean {
    switch (this.#state) {
      case 'head':
        return this.#at < this.#data.length && this.#readHead();
      case 'length':
        return this.#mayReadBody() && this.#readLength();
      case 'chunked':
        return this.#mayReadBody() && this.#readChunk();
      case 'trailers':
        return this.#mayReadBody() && this.#readTrailers();
      case 'tunnel':
        return this.#mayReadBody() ? this.#readTunnel() : this.#mayEndTunnel() && this.#endTunnel();
      case 'complete':
      case 'failed':
      case 'destroyed':
        return false;
    }
  }

  #mayReadBody(): boolean {
    return this.#started && !this.#paused && this.#at < this.#data.length;
  }

  #readHead(): boolean {
    const data = this.#data;
    const start = this.#at;
    const known = this.#head.begun ? undefined : this.#last.find(data, start);
    if (known !== undefined) {
      this.#at = start + known.bytes.length;
      this.#beginRequest(known.head, known.framing, known);
      return true;
    }
    const end = this.#head.parse(data, start);
    if (typeof end !== 'number') return this.#fail(end);
    this.#at = end < 0 ? data.length : end;
    if (end < 0) return false;
    const head = this.#head.takeHead(data);
    const framing = readFraming(head);
    if ('status' in framing) return this.#fail(framing);
    // One that came in pieces has left its first one behind.
    const inOnePiece = end - head.size >= start;
    const kept = inOnePiece ? this.#last.offer(data, end - head.size, end, head, framing) : undefined;
    this.#beginRequest(head, framing, kept);
    return true;
  }

  #beginRequest(head: RequestHead, framing: RequestFraming, known: KnownHead | undefined): void {
    this.#started = false;
    this.#paused = false;
    this.trailers = noTrailers;
    if (framing.kind === 'length') this.#left = framing.length;
    else if (framing.kind === 'chunked') this.#chunks.start();
    this.#state = framing.kind === 'none' ? 'complete' : framing.kind;
    this.#events.onRequest(head, known);
  }

  #readLength(): boolean {
    const piece = this.#takePiece(this.#left);
    this.#left -= piece.length;
    if (this.#left === 0) this.#state = 'complete';
    this.#events.onBody(piece, this.#left === 0);
    return true;
  }

  #readChunk(): boolean {
    const chunks = this.#chunks;
    const at = chunks.parse(this.#data, this.#at);
    if (at < 0) return this.#fail(badChunk);
    this.#at = at;
    if (chunks.ended) {
      this.#head.expectTrailers();
      this.#state = 'trailers';
      return true;
    }
    if (at === this.#data.length) return false;
    const piece = this.#takePiece(chunks.left);
    chunks.takeData(piece.length);
    this.#events.onBody(piece, false);
    return true;
  }

  #readTrailers(): boolean {
    const data = this.#data;
    const end = this.#head.parse(data, this.#at);
    if (typeof end !== 'number') return this.#fail(end);
    this.#at = end < 0 ? data.length : end;
    if (end < 0) return false;
    this.trailers = this.#head.takeTrailers(data);
    this.#state = 'complete';
    this.#events.onBody(nothing, true);
    return true;
  }

  #readTunnel(): boolean {
    this.#events.onBody(this.#takePiece(this.#data.length), false);
    return true;
  }

  #mayEndTunnel(): boolean {
    return this.#inputEnded && this.#started && !this.#paused && this.#at === this.#data.length;
  }

  #endTunnel(): boolean {
    this.#state = 'complete';
    this.#events.onBody(nothing, true);
    return true;
  }

  /** At most `longest` of the bytes that are there. */
  #takePiece(longest: number): Buffer {
    const start = this.#at;
    this.#at = Math.min(this.#data.length, start + longest);
    return this.#data.subarray(start, this.#at);
  }

  #fail(error: ParseError): false {
    this.#state = 'failed';
    this.#data = nothing;
    this.#at = 0;
    this.#events.onError(error);
    return false;
  }
}

function runScheduled(parser: Http1RequestParser): void {
  parser.runScheduled();
}
