import { KeptBytes } from '../kept-bytes.js';
import type { TlsInfo } from '../tls/tls-info.js';
import { AnswerDelivery, type DeliveryOwner } from './answer-delivery.js';
import { AnswerTimer } from './answer-timer.js';
import { AnswersById, AnswersInOrder, type AwaitedAnswers } from './awaited-answers.js';
import type { UpstreamConnectionHandler } from './connection.js';
import { FrameError, type FrameProtocol } from './frame-protocol.js';
import { FrameWriter } from './frame-writer.js';
import type { Host } from './host.js';
import { type FrameEvents, IncomingFrames } from './incoming-frames.js';
import type { Lease } from './lease.js';
import type { MultiplexingStats } from './multiplexing-stats.js';
import type { ConnectionContext } from './pooled-connection.js';
import { type Loss, Share } from './share.js';
import { SwapList } from './swap-list.js';
import { checkWholeFrame, readFrameHead } from './whole-frame.js';

/** What a pool's shared connections have in common. */
export interface SharingContext extends ConnectionContext {
  readonly protocol: FrameProtocol;
  readonly sharing: MultiplexingStats;
}

/** The pool that a shared connection belongs to. */
export interface SharedConnectionOwner {
  /** An exchange ended. */
  onShareEnd(connection: SharedConnection): void;
  /** It may have become ready. */
  onRoom(connection: SharedConnection): void;
}

/** A connection that has been silent for so long while answers are due, gets no new exchanges until it speaks. Milliseconds. */
const silence = 1000;
/** In order, those that come meanwhile had rather use another one after so many milliseconds. */
const overdueAfter = 20;

/**
 * A connection that several exchanges use at once. Requests go out as whole frames, once per turn of the event loop; answers are handed to their exchanges as they
 * come. What the exchange of one does, or its client, or its answer, does not reach the others.
 */
export class SharedConnection implements UpstreamConnectionHandler, FrameEvents, DeliveryOwner {
  /** Clock.monotonic() when its last exchange ended. */
  idleSince = 0;
  /** How many have come whole. */
  answers = 0;
  readonly #lease: Lease;
  readonly #owner: SharedConnectionOwner;
  readonly #context: SharingContext;
  readonly #incoming: IncomingFrames;
  readonly #delivery: AnswerDelivery;
  readonly #awaited: AwaitedAnswers;
  readonly #writer: FrameWriter;
  readonly #answerTimer: AnswerTimer | undefined;
  /** Those whose exchange has not ended. */
  readonly #live = new SwapList<Share>();
  /** Places that are taken: by live shares without a whole answer, and by abandoned ones. */
  #taken = 0;
  #abandoned = 0;
  /** The one that has it to itself until its request, which is streamed, is written. */
  #streaming: Share | undefined;
  /** No new exchanges; closed when the last one ends. */
  #retired = false;
  #closed = false;
  /** Clock.monotonic() of the last sign of life that counts. */
  #lastHeard = 0;
  /** When what is being read came. */
  #heard = 0;

  constructor(lease: Lease, owner: SharedConnectionOwner, context: SharingContext) {
    this.#lease = lease;
    this.#owner = owner;
    this.#context = context;
    const { protocol } = context;
    this.#writer = new FrameWriter(lease);
    this.#delivery = new AnswerDelivery(lease.host, this.#live, context, this);
    if (protocol.ids === undefined) {
      this.#awaited = new AnswersInOrder();
      this.#answerTimer = new AnswerTimer(
        context.clock,
        protocol.answerTimeoutMs,
        () => this.#waited(),
        () => this.#onAnswerTimeout(),
      );
    } else {
      this.#awaited = new AnswersById(protocol.ids);
    }
    this.#incoming = new IncomingFrames(protocol, this.#awaited, this.#writer, this);
    lease.exchanges = 0;
    lease.setHandler(this);
  }

  get host(): Host {
    return this.#lease.host;
  }

  get localAddress(): string {
    return this.#lease.localAddress;
  }

  get tlsInfo(): TlsInfo | undefined {
    return this.#lease.tlsInfo;
  }

  get unfinished(): Share | undefined {
    return this.#incoming.unfinished;
  }

  get idle(): boolean {
    return this.#live.size === 0;
  }

  /** Whether it can take another exchange. */
  get hasRoom(): boolean {
    const { protocol, bufferLimitBytes } = this.#context;
    if (this.#closed || this.#retired || this.#streaming !== undefined) return false;
    if (this.#taken >= protocol.maxInFlight) return false;
    return (
      !this.#writer.blocked && this.#writer.bytes <= bufferLimitBytes && this.#delivery.heldBytes <= bufferLimitBytes
    );
  }

  /** Whether it should, too: it isn't one that lets those wait that it has. */
  get ready(): boolean {
    return this.hasRoom && !this.#delivery.paused && !this.#isSilent();
  }

  /** Whether nothing at all is on its way on it, so that it can be one exchange's alone. */
  get free(): boolean {
    return this.#taken === 0 && this.#writer.bytes === 0 && this.hasRoom;
  }

  /** Whether one exchange has it to itself. */
  get reserved(): boolean {
    return this.#streaming !== undefined;
  }

  /** How many are on their way on it. */
  get depth(): number {
    return this.#taken;
  }

  /** In order: whether the next answer, for which all others wait, takes long. */
  get overdue(): boolean {
    const waited = this.#waited();
    return this.#delivery.paused || (waited !== undefined && waited > overdueAfter);
  }

  /** A place for another exchange; `alone`: no other gets one until its request is written. */
  open(alone = false): Share {
    const share = new Share(this);
    this.#taken++;
    this.#live.add(share);
    this.#lease.exchanges = this.#live.size;
    if (alone) {
      share.stream = 'reserved';
      this.#streaming = share;
    }
    if (this.#delivery.paused) this.#delivery.balance();
    return share;
  }

  /** No new exchanges; it is closed when those that it has have ended. */
  retire(reason: string): void {
    this.#retired = true;
    if (this.#live.size === 0) this.close(reason);
  }

  /** Ends it, and the exchanges that it has with it. */
  close(reason: string, protocolError = false): void {
    if (this.#closed) return;
    this.#stop();
    this.#lease.release(false);
    this.#failAll({ reason, protocolError });
  }

  // The requests.

  send(share: Share, request: KeptBytes): void {
    const { protocol } = this.#context;
    share.originalId = checkWholeFrame(protocol, request);
    // Only to see that it can be done: when the frame goes out it's too late to tell its plugin.
    protocol.ids?.write(request.pieces[0] as Buffer, share.originalId);
    share.bytes = request;
    share.size = request.length;
    share.state = 'queued';
    this.#writer.add(share);
  }

  /** Its frame leaves the queue. */
  onWrite(share: Share): boolean {
    try {
      if (share.whenWritten === undefined) this.#await(share);
      share.state = 'sent';
      share.wrote = true;
      return true;
    } catch (error) {
      this.#taken--;
      this.onLost(share, { reason: (error as Error).message, protocolError: false });
      return false;
    }
  }

  #await(share: Share): void {
    const waiting = this.#awaited.size > 0;
    this.#awaited.add(share, share.bytes.pieces[0] as Buffer);
    if (waiting) return;
    this.#lastHeard = this.#context.clock.monotonic();
    this.#answerTimer?.start();
  }

  /** No answer follows. */
  onWritten(share: Share, tell: () => void): void {
    this.#free(share);
    if (share.state !== 'answered') return;
    try {
      tell();
    } catch (error) {
      this.#delivery.onFault(share, error);
    }
  }

  onWritable(): void {
    if (this.#streaming?.wrote) {
      this.#streaming.handler?.onWritable();
      return;
    }
    this.#writer.onWritable();
    this.#owner.onRoom(this);
  }

  // A request that is streamed.

  writeNext(share: Share, pieces: Buffer[], last: boolean): boolean {
    share.stream = 'begun';
    let writable = true;
    if (share.wrote) {
      for (const piece of pieces) writable = this.#writePiece(share, piece);
    } else {
      if (share.bytes.length === 0) share.bytes = new KeptBytes(pieces);
      else for (const piece of pieces) share.bytes.append(piece);
      if (this.#begin(share)) for (const piece of share.bytes.take()) writable = this.#writePiece(share, piece);
    }
    if (last && !(share.wrote && share.size === 0))
      throw new FrameError('the request ended before its frame did: it must be exactly one frame');
    return writable;
  }

  /** False: more must come first. */
  #begin(share: Share): boolean {
    const head = readFrameHead(this.#context.protocol, share.bytes);
    if (head === undefined) {
      share.bytes.keep();
      return false;
    }
    share.originalId = head.id;
    share.size = head.length;
    this.#await(share);
    share.state = 'sent';
    share.wrote = true;
    this.#writer.pause();
    return true;
  }

  #writePiece(share: Share, piece: Buffer): boolean {
    const { length } = piece;
    if (length > share.size) throw new FrameError('the request is longer than its frame: it must be exactly one frame');
    share.size -= length;
    const writable = this.#lease.write(piece, share.size > 0);
    if (share.size > 0) return writable;
    this.#endStream();
    return true;
  }

  /** It is written: others may come, and the time that its answer takes counts from now. */
  #endStream(): void {
    this.#streaming = undefined;
    this.#lastHeard = this.#context.clock.monotonic();
    this.#writer.resume();
    this.#owner.onRoom(this);
  }

  onUnreserve(share: Share): void {
    if (this.#streaming !== share) return;
    share.stream = 'none';
    this.#streaming = undefined;
    this.#owner.onRoom(this);
  }

  // The answers.

  onData(chunk: Buffer): void {
    const { protocol, clock } = this.#context;
    this.#heard = clock.turnTime();
    if (protocol.ids !== undefined) this.#lastHeard = this.#heard;
    try {
      this.#incoming.read(chunk);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#context.stats.cxProtocolError.value++;
      this.#context.log.debug({ host: this.host.address, reason: error.message }, 'closing a shared connection');
      this.close(`protocol error: ${error.message}`, true);
    }
  }

  onAnswer(share: Share, piece: Buffer, last: boolean): void {
    // In order only answers count as signs of life: heartbeats say nothing about the one that all wait for.
    if (this.#answerTimer !== undefined) this.#lastHeard = this.#heard;
    if (last) {
      this.answers++;
      this.#free(share);
    }
    this.#delivery.deliver(share, piece, last);
  }

  onStray(drain: boolean): void {
    this.#context.sharing.strayFrames.value++;
    if (drain) this.retire('the server asked for no more requests');
  }

  /** Its answer is whole, or none comes: others may have its place. */
  #free(share: Share): void {
    this.#taken--;
    if (share.state === 'abandoned') {
      share.state = 'closed';
      this.#abandoned--;
      this.#context.sharing.abandoned.value--;
    } else if (share.state !== 'closed') {
      share.state = 'answered';
    }
    this.#owner.onRoom(this);
  }

  // Exchanges that end.

  onRelease(share: Share): void {
    const { state } = share;
    if (state === 'abandoned' || state === 'closed') return;
    share.state = 'closed';
    const cut = this.#leaveStream(share);
    if (state === 'sent' && !cut && !this.#closed) {
      share.state = 'abandoned';
      this.#abandoned++;
      this.#context.sharing.abandoned.value++;
    } else if (state !== 'answered') {
      if (state === 'queued') {
        this.#writer.remove(share);
        share.bytes.clear();
      }
      this.#taken--;
    }
    this.#letGo(share);
    if (cut) this.close('a request was cut short');
    if (this.#live.size === 0) {
      if (this.#retired) this.close('draining');
      // Nobody is left who could be hurt, and who knows whether the server is still there.
      else if (state === 'sent' && this.#isSilent()) this.close('no answer came');
    }
    // Ids of answers that never come are not kept for ever.
    if (2 * this.#abandoned > this.#context.protocol.maxInFlight) this.retire('too many answers never came');
    this.#delivery.balance();
    this.#owner.onShareEnd(this);
    if (!this.#closed) this.#owner.onRoom(this);
  }

  /** True: a part of its request was written, so that nothing else can ever be written behind it. */
  #leaveStream(share: Share): boolean {
    if (share.stream === 'none') return false;
    if (!share.wrote) share.bytes.clear();
    if (this.#streaming !== share) return false;
    this.#streaming = undefined;
    return share.wrote;
  }

  #letGo(share: Share): void {
    this.#live.delete(share);
    this.#lease.exchanges = this.#live.size;
    share.handler = undefined;
    this.#delivery.drop(share);
  }

  // The end of the connection.

  /** Whatever the server still wants to read, it answers nobody any more. An answer that it has cut short is no answer. */
  onEnd(): void {
    const cut = this.#incoming.unfinished;
    if (cut !== undefined && this.#live.has(cut)) {
      this.#context.stats.cxProtocolError.value++;
      this.#lose(cut, { reason: 'protocol error: the server closed in the middle of a frame', protocolError: true });
    }
    this.close('the server closed the connection');
  }

  onClose(reason: string): void {
    if (this.#closed) return;
    this.#stop();
    this.#failAll({ reason, protocolError: false });
  }

  #stop(): void {
    this.#closed = true;
    this.#incoming.stop();
    this.#writer.stop();
    this.#answerTimer?.cancel();
    this.#context.sharing.abandoned.value -= this.#abandoned;
    this.#abandoned = 0;
  }

  #failAll(loss: Loss): void {
    for (const share of this.#live.toArray()) {
      // A whole answer doesn't need the connection any more.
      if (share.state !== 'answered') this.#lose(share, loss);
    }
  }

  /** What came before the end is told before it. */
  #lose(share: Share, loss: Loss): void {
    if (share.held === undefined) this.onLost(share, loss);
    else share.loss ??= loss;
  }

  /** It has been told all that came. */
  onLost(share: Share, loss: Loss): void {
    const { handler } = share;
    share.state = 'closed';
    share.loss = loss;
    this.#letGo(share);
    this.#owner.onShareEnd(this);
    this.#delivery.tellClose(handler, loss);
  }

  // Answers that do not come.

  /** How long the server has said nothing although it should; undefined: nothing is due. */
  #waited(): number | undefined {
    if (this.#awaited.size === 0 && !this.#incoming.inFrame) return undefined;
    // What is not yet asked is not due.
    if (this.#delivery.paused || this.#streaming !== undefined) return 0;
    return this.#context.clock.turnTime() - this.#lastHeard;
  }

  #isSilent(): boolean {
    const waited = this.#waited();
    return waited !== undefined && waited > silence;
  }

  #onAnswerTimeout(): void {
    this.#context.sharing.answerTimeouts.value++;
    this.close(`no answer within ${this.#context.protocol.answerTimeoutMs} ms`);
  }

  // Exchanges that read slowly.

  onPause(): void {
    this.#delivery.balance();
  }

  onResume(share: Share): void {
    this.#delivery.resume(share);
    if (!this.#closed) this.#owner.onRoom(this);
  }

  setReading(paused: boolean): void {
    if (this.#closed) return;
    if (paused) {
      this.#lease.pauseReading();
    } else {
      this.#lastHeard = this.#context.clock.monotonic();
      this.#lease.resumeReading();
    }
  }
}
