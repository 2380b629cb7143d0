import {
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  connectivityState,
  type Interceptor,
  Metadata,
} from '@grpc/grpc-js';
import { type ChannelConfig, channelOptions, grpcTarget } from './channel.js';
import { useMessageDecoder } from './message-decoder.js';

/** One try to have a stream: a channel of its own, and the call on it. */
export interface StreamCall {
  readonly address: string;
  readonly call: ClientDuplexStream<Buffer, Buffer>;
  /** Calls back when there is someone at the other end: servers may send headers only with their first message. */
  whenReady(callback: () => void): void;
  release(): void;
}

const identity = (bytes: Buffer) => bytes;

/** @throws Error when credentials or metadata can't be had */
export function openStreamCall(
  channel: ChannelConfig,
  address: string,
  method: string,
  interceptors: Interceptor[],
): StreamCall {
  const credentials = channel.credentials?.() ?? ChannelCredentials.createInsecure();
  const metadata = new Metadata();
  for (const { key, value } of channel.metadata?.() ?? []) metadata.add(key, value);
  useMessageDecoder();
  const client = new Client(grpcTarget(address), credentials, channelOptions(channel));
  const call = client.makeBidiStreamRequest<Buffer, Buffer>(method, identity, identity, metadata, { interceptors });
  call.on('error', () => {}); // `status` says the same, and also comes without an error.
  let released = false;
  function whenReady(callback: () => void): void {
    if (released) return;
    const channelOf = client.getChannel();
    const state = channelOf.getConnectivityState(true);
    if (state === connectivityState.READY) callback();
    else channelOf.watchConnectivityState(state, Number.POSITIVE_INFINITY, () => whenReady(callback));
  }
  return {
    address,
    call,
    whenReady,
    release() {
      released = true;
      call.cancel();
      client.close();
    },
  };
}
