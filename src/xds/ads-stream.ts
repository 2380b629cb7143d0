import { InterceptingCall, type Interceptor, status } from '@grpc/grpc-js';
import type { Clock, Timer } from '../clock.js';
import type { Logger } from '../log.js';
import { type BackOff, createBackOff } from './back-off.js';
import type { ChannelConfig } from './channel.js';
import { ServerChoice } from './server-choice.js';
import { openStreamCall, type StreamCall } from './stream-call.js';
import { watchFirstServer } from './watch-first-server.js';

/** What becomes of the stream. Nothing is called after `close`. */
export interface StreamHandlers {
  /**
   * There is a new stream, and the server at its other end is there. Nothing that was sent before counts.
   *
   * @param server which of the control planes it is, 0 for the first
   */
  onConnected(server: number): void;
  onMessage(bytes: Buffer): void;
  /** `send` returned false before; now there is room. */
  onWritable(): void;
  /** The stream is gone; another attempt follows. Also called for attempts that failed. `ended`: the server ended it, without an error. */
  onDisconnected(ended: boolean): void;
}

/** The time between attempts: any part of an interval that doubles. */
export interface RetryIntervals {
  readonly firstMs: number;
  readonly longestMs: number;
}

export interface StreamOptions {
  readonly method: string;
  /** Control planes in the order of preference. */
  readonly channels: readonly [ChannelConfig, ...ChannelConfig[]];
  readonly retry?: RetryIntervals | undefined;
  /** Whether something is wanted that no control plane has told of: only then others than the first are asked at once. */
  readonly somethingMissing: () => boolean;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly handlers: StreamHandlers;
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly attempt: StreamCall; readonly timer: Timer }
  | {
      readonly kind: 'connected';
      readonly attempt: StreamCall;
      /** Ends the watch for a better server. */
      readonly stopWatching: (() => void) | undefined;
    }
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'closed' };

/** Envoy's intervals: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol, retried for ever. */
const defaultRetry: RetryIntervals = { firstMs: 500, longestMs: 30_000 };

/**
 * One bidirectional stream to the control plane, made again for as long as it is wanted. Every attempt has a channel of its own to the
 * next address, so that this back-off is the only one.
 */
export class AdsStream {
  readonly #options: StreamOptions;
  readonly #backOff: BackOff;
  readonly #choice: ServerChoice;
  #state: State = { kind: 'idle' };
  /** Since the last response. */
  #attempts = 0;
  #lastFailure = '';
  #paused = false;
  /** A message that is held back while reading is paused; there is never more than one, since the next is asked for after it. */
  #held: (() => void) | undefined;

  constructor(options: StreamOptions) {
    const { retry = defaultRetry, random, channels } = options;
    this.#options = options;
    this.#backOff = createBackOff(retry.firstMs, retry.longestMs, random);
    this.#choice = new ServerChoice(channels.length);
  }

  get connected(): boolean {
    return this.#state.kind === 'connected';
  }

  start(): void {
    if (this.#state.kind === 'idle') this.#connect();
  }

  /** Sends a message. Returns false when the next should wait for `onWritable`. Without a stream it is dropped. */
  send(message: Buffer): boolean {
    return this.#state.kind === 'connected' && this.#state.attempt.call.write(message);
  }

  /** Stops (and goes on with) reading: what the server sends then waits on its side of HTTP/2's flow control. */
  setPaused(paused: boolean): void {
    this.#paused = paused;
    if (paused) return;
    const deliver = this.#held;
    this.#held = undefined;
    deliver?.();
  }

  /** The server said something sensible: the next loss starts with the shortest wait again. */
  succeeded(): void {
    this.#backOff.reset();
    this.#attempts = 0;
    this.#choice.responded();
    this.#lastFailure = '';
  }

  /** Gives this stream up and tries another after the back-off. */
  abandon(reason: string): void {
    if (this.#state.kind === 'connected') this.#failed(this.#state.attempt, reason);
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: 'closed' };
    this.#held = undefined;
    if (state.kind === 'connecting' || state.kind === 'waiting') state.timer.cancel();
    if (state.kind === 'connected') state.stopWatching?.();
    if (state.kind === 'connecting' || state.kind === 'connected') state.attempt.release();
  }

  get #channel(): ChannelConfig {
    const { channels } = this.#options;
    return channels[this.#choice.current] ?? channels[0];
  }

  #connect(): void {
    const { clock, method } = this.#options;
    const channel = this.#channel;
    const attemptNumber = this.#attempts++;
    const addresses = channel.addresses(attemptNumber);
    const address = addresses[attemptNumber % Math.max(addresses.length, 1)];
    if (address === undefined) {
      this.#retry('the control plane has no address (yet)');
      return;
    }
    let attempt: StreamCall;
    try {
      attempt = openStreamCall(channel, address, method, [this.#gate()]);
    } catch (error) {
      this.#retry(error instanceof Error ? error.message : String(error), address);
      return;
    }
    const expire = () => this.#failed(attempt, `no connection within ${channel.connectTimeoutMs} ms`);
    this.#state = { kind: 'connecting', attempt, timer: clock.setTimeout(expire, channel.connectTimeoutMs) };
    attempt.call.on('data', (message: Buffer) => {
      if (this.#isConnected(attempt)) this.#options.handlers.onMessage(message);
    });
    attempt.call.on('drain', () => {
      if (this.#isConnected(attempt)) this.#options.handlers.onWritable();
    });
    attempt.call.on('status', ({ code, details }) =>
      this.#failed(attempt, `${status[code]}: ${details}`, code === status.OK),
    );
    attempt.whenReady(() => this.#opened(attempt));
  }

  #isConnected(attempt: StreamCall): boolean {
    return this.#state.kind === 'connected' && this.#state.attempt === attempt;
  }

  #opened(attempt: StreamCall): void {
    if (this.#state.kind !== 'connecting' || this.#state.attempt !== attempt) return;
    const { channels, log, handlers, method } = this.#options;
    this.#state.timer.cancel();
    const { current } = this.#choice;
    const stopWatching =
      current === 0
        ? undefined
        : watchFirstServer({ ...this.#options, channel: channels[0], onBack: () => this.#returnToFirst() });
    this.#state = { kind: 'connected', attempt, stopWatching };
    log.info(
      { address: attempt.address, method, ...(current > 0 && { fallback: current }) },
      current > 0 ? 'connected to a fallback of the control plane' : 'connected to the control plane',
    );
    handlers.onConnected(current);
  }

  /** Holds messages back while reading is paused. The stream object alone would go on and read sixteen more. */
  #gate(): Interceptor {
    return (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, _listener, next) =>
          next(metadata, {
            onReceiveMessage: (message, deliver) => {
              if (this.#paused) this.#held = () => deliver(message);
              else deliver(message);
            },
          }),
      });
  }

  #returnToFirst(): void {
    const state = this.#state;
    if (state.kind !== 'connected') return;
    this.#options.log.info({ address: state.attempt.address }, 'the first control plane is back: leaving its fallback');
    this.#leave(state);
    this.#choice.returned();
    this.#attempts = 0;
    this.#options.handlers.onDisconnected(false);
    if (this.#state.kind === 'waiting') this.#connect();
  }

  #failed(attempt: StreamCall, reason: string, ended = false): void {
    const state = this.#state;
    if ((state.kind !== 'connecting' && state.kind !== 'connected') || state.attempt !== attempt) return;
    this.#leave(state);
    this.#retry(reason, attempt.address, ended);
  }

  #leave(state: Extract<State, { kind: 'connecting' | 'connected' }>): void {
    if (state.kind === 'connecting') state.timer.cancel();
    else state.stopWatching?.();
    this.#held = undefined;
    this.#state = { kind: 'waiting', timer: noTimer };
    state.attempt.release();
  }

  #retry(reason: string, address?: string, ended = false): void {
    const { clock, handlers, log, somethingMissing } = this.#options;
    const delay = this.#backOff.next();
    // Said once at `warn`; an outage is not a flood of lines.
    log[reason === this.#lastFailure ? 'debug' : 'warn'](
      { address, reason, retryMs: Math.round(delay) },
      'no stream to the control plane',
    );
    this.#lastFailure = reason;
    this.#choice.lost(clock.monotonic(), somethingMissing);
    this.#state = {
      kind: 'waiting',
      timer: clock.setTimeout(() => this.#connect(), delay),
    };
    handlers.onDisconnected(ended);
  }
}

const noTimer: Timer = { cancel: () => undefined };
