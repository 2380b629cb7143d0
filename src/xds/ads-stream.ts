import {
  type CallOptions,
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  connectivityState,
  InterceptingCall,
  type Interceptor,
  Metadata,
  status,
} from '@grpc/grpc-js';
import type { Clock, Timer } from '../clock.js';
import type { Logger } from '../log.js';
import { type BackOff, createBackOff } from './back-off.js';
import { type ChannelConfig, channelOptions, grpcTarget } from './channel.js';

/** What becomes of the stream. Nothing is called after `close`. */
export interface StreamHandlers {
  /** There is a new stream, and the server at its other end is there. Nothing that was sent before counts. */
  onConnected(): void;
  onMessage(bytes: Buffer): void;
  /** `send` returned false before; now there is room. */
  onWritable(): void;
  /** The stream is gone; another attempt follows. Also called for attempts that failed. */
  onDisconnected(): void;
}

export interface StreamOptions {
  readonly method: string;
  readonly channel: ChannelConfig;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly handlers: StreamHandlers;
}

type Call = ClientDuplexStream<Buffer, Buffer>;

type State =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'connecting';
      readonly client: Client;
      readonly call: Call;
      readonly timer: Timer;
      readonly address: string;
    }
  | {
      readonly kind: 'connected';
      readonly client: Client;
      readonly call: Call;
      readonly address: string;
    }
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'closed' };

/** Envoy's intervals: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol, retried for ever. */
const firstRetryMs = 500;
const longestRetryMs = 30_000;

const identity = (bytes: Buffer) => bytes;

/**
 * One bidirectional stream to the control plane, made again for as long as it is wanted. Every attempt has a channel of its own to the
 * next address, so that this back-off is the only one.
 */
export class AdsStream {
  readonly #options: StreamOptions;
  readonly #backOff: BackOff;
  #state: State = { kind: 'idle' };
  #attempts = 0;
  #lastFailure = '';
  #paused = false;
  /** A message that is held back while reading is paused; there is never more than one, since the next is asked for after it. */
  #held: (() => void) | undefined;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#backOff = createBackOff(firstRetryMs, longestRetryMs, options.random);
  }

  get connected(): boolean {
    return this.#state.kind === 'connected';
  }

  start(): void {
    if (this.#state.kind === 'idle') this.#connect();
  }

  /** Sends a message. Returns false when the next should wait for `onWritable`. Without a stream it is dropped. */
  send(message: Buffer): boolean {
    return this.#state.kind === 'connected' && this.#state.call.write(message);
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
    this.#lastFailure = '';
  }

  /** Gives this stream up and tries another after the back-off. */
  abandon(reason: string): void {
    if (this.#state.kind === 'connected') this.#failed(this.#state.call, reason);
  }

  close(): void {
    const state = this.#state;
    this.#state = { kind: 'closed' };
    this.#held = undefined;
    if (state.kind === 'connecting' || state.kind === 'waiting') state.timer.cancel();
    if (state.kind === 'connecting' || state.kind === 'connected') release(state);
  }

  #connect(): void {
    const { channel, clock, method } = this.#options;
    const addresses = channel.addresses();
    const address = addresses[this.#attempts++ % Math.max(addresses.length, 1)];
    if (address === undefined) {
      this.#retry('the control plane has no address (yet)');
      return;
    }
    const client = new Client(
      grpcTarget(address),
      channel.credentials ?? ChannelCredentials.createInsecure(),
      channelOptions(channel),
    );
    const metadata = new Metadata();
    for (const { key, value } of channel.initialMetadata ?? []) metadata.add(key, value);
    const options: CallOptions = { interceptors: [this.#gate()] };
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(method, identity, identity, metadata, options);
    const expire = () => this.#failed(call, `no connection within ${channel.connectTimeoutMs} ms`);
    this.#state = {
      kind: 'connecting',
      client,
      call,
      address,
      timer: clock.setTimeout(expire, channel.connectTimeoutMs),
    };
    call.on('data', (message: Buffer) => this.#received(call, message));
    call.on('drain', () => {
      if (this.#state.kind === 'connected' && this.#state.call === call) this.#options.handlers.onWritable();
    });
    call.on('error', () => {}); // `status` says the same, and also comes without an error.
    call.on('status', ({ code, details }) => this.#failed(call, `${status[code]}: ${details}`));
    this.#awaitReady(client, call);
  }

  /** Servers may send headers only with their first message, so the channel says when there is someone at the other end. */
  #awaitReady(client: Client, call: Call): void {
    if (this.#state.kind !== 'connecting' || this.#state.call !== call) return;
    const channel = client.getChannel();
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) this.#opened();
    else channel.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => this.#awaitReady(client, call));
  }

  #opened(): void {
    if (this.#state.kind !== 'connecting') return;
    const { client, call, address, timer } = this.#state;
    timer.cancel();
    this.#state = { kind: 'connected', client, call, address };
    this.#options.log.info({ address }, 'connected to the control plane');
    this.#options.handlers.onConnected();
  }

  #received(call: Call, message: Buffer): void {
    if (this.#state.kind === 'connected' && this.#state.call === call) this.#options.handlers.onMessage(message);
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

  #failed(call: Call, reason: string): void {
    const state = this.#state;
    if ((state.kind !== 'connecting' && state.kind !== 'connected') || state.call !== call) return;
    if (state.kind === 'connecting') state.timer.cancel();
    this.#retry(reason, state.address);
    release(state);
  }

  #retry(reason: string, address?: string): void {
    const { clock, handlers, log } = this.#options;
    const delay = this.#backOff.next();
    // Said once at `warn`; an outage is not a flood of lines.
    log[reason === this.#lastFailure ? 'debug' : 'warn'](
      { address, reason, retryMs: Math.round(delay) },
      'no stream to the control plane',
    );
    this.#lastFailure = reason;
    this.#held = undefined;
    this.#state = {
      kind: 'waiting',
      timer: clock.setTimeout(() => this.#connect(), delay),
    };
    handlers.onDisconnected();
  }
}

function release({ client, call }: { readonly client: Client; readonly call: Call }): void {
  call.cancel();
  client.close();
}
