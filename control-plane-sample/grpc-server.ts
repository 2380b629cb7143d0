import {
  type handleBidiStreamingCall,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import type { Clock } from '../src/clock.js';
import type { Logger } from '../src/log.js';
import type { SnapshotCache } from './cache.js';
import { DeltaState } from './delta.js';
import type {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
  DiscoveryRequestBase,
  DiscoveryResponse,
  TypeState,
} from './discovery.js';
import type { EventLog } from './events.js';
import type { NodeRegistry, Variant } from './nodes.js';
import { kindsInOrder, type ResourceKind } from './resource-kind.js';
import { ProtocolError, Session } from './session.js';
import { SotwState } from './sotw.js';
import {
  decodeDeltaDiscoveryRequest,
  decodeDiscoveryRequest,
  encodeDeltaDiscoveryResponse,
  encodeDiscoveryResponse,
} from './wire.js';

const adsService = 'envoy.service.discovery.v3.AggregatedDiscoveryService';
/** A Delta client that comes back lists all that it has, in one message. */
const maxRequestBytes = 16 * 1024 * 1024;

/** What the server needs of the rest: it never learns where resources come from. */
export interface GrpcServerOptions {
  readonly cache: SnapshotCache;
  readonly nodes: NodeRegistry;
  readonly events: EventLog;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface GrpcServer {
  /** The bound port. */
  readonly port: number;
  /** Ends all streams and stops listening. */
  close(): Promise<void>;
}

interface VariantDefinition<Request extends DiscoveryRequestBase> {
  readonly variant: Variant;
  readonly decode: (bytes: Buffer) => Request;
  readonly encode: (response: DiscoveryResponse) => Buffer;
  readonly createState: (typeUrl: string) => TypeState<Request>;
}

const sotw: VariantDefinition<DiscoveryRequest> = {
  variant: 'sotw',
  decode: decodeDiscoveryRequest,
  encode: encodeDiscoveryResponse,
  createState: (typeUrl) => new SotwState(typeUrl),
};

const delta: VariantDefinition<DeltaDiscoveryRequest> = {
  variant: 'delta',
  decode: decodeDeltaDiscoveryRequest,
  encode: encodeDeltaDiscoveryResponse,
  createState: (typeUrl) => new DeltaState(typeUrl),
};

/**
 * Serves xDS over plain-text gRPC: the aggregated service and one service per type, each in both variants.
 * @throws when the address can't be bound
 */
export async function startGrpcServer(options: GrpcServerOptions, host: string, port: number): Promise<GrpcServer> {
  const server = new Server({
    'grpc.max_receive_message_length': maxRequestBytes,
    // Streams are quiet for hours; a client that is gone without a word is found by pings.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
  });
  let streams = 0;
  const nextStream = () => ++streams;
  addService(
    server,
    adsService,
    'StreamAggregatedResources',
    'DeltaAggregatedResources',
    undefined,
    options,
    nextStream,
  );
  for (const kind of kindsInOrder) {
    addService(server, kind.service, kind.streamMethod, kind.deltaMethod, kind, options, nextStream);
  }
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, boundPort) => {
      if (error) reject(new Error(`xDS cannot listen on ${address}: ${error.message}; choose another --port`));
      else resolve(boundPort);
    });
  });
  return {
    port: bound,
    close: () =>
      new Promise((resolve) => {
        // xDS streams never end by themselves, so that a graceful end would wait for ever.
        server.forceShutdown();
        server.tryShutdown(() => resolve());
      }),
  };
}

function addService(
  server: Server,
  service: string,
  streamMethod: string,
  deltaMethod: string,
  kind: ResourceKind | undefined,
  options: GrpcServerOptions,
  nextStream: () => number,
): void {
  const definition: ServiceDefinition = {
    [streamMethod]: method(service, streamMethod, sotw),
    [deltaMethod]: method(service, deltaMethod, delta),
  };
  server.addService(definition, {
    [streamMethod]: handler(sotw, kind, options, nextStream),
    [deltaMethod]: handler(delta, kind, options, nextStream),
  });
}

function method<Request extends DiscoveryRequestBase>(
  service: string,
  name: string,
  { decode, encode }: VariantDefinition<Request>,
): MethodDefinition<Request, DiscoveryResponse> {
  return {
    path: `/${service}/${name}`,
    requestStream: true,
    responseStream: true,
    requestDeserialize: decode,
    responseSerialize: encode,
    // The client's half of a definition, which a server doesn't use.
    requestSerialize: () => Buffer.alloc(0),
    responseDeserialize: () => ({ typeUrl: '', version: '', nonce: '', resources: [], removed: [] }),
  };
}

function handler<Request extends DiscoveryRequestBase>(
  { variant, createState }: VariantDefinition<Request>,
  kind: ResourceKind | undefined,
  { cache, nodes, events, clock, log }: GrpcServerOptions,
  nextStream: () => number,
): handleBidiStreamingCall<Request, DiscoveryResponse> {
  return (call: ServerDuplexStream<Request, DiscoveryResponse>) => {
    const stream = { id: nextStream(), variant, service: kind?.shortName ?? 'ads' };
    let open = true;
    const session = new Session<Request>({
      stream,
      onlyType: kind?.typeUrl,
      cache,
      nodes,
      events,
      clock,
      createState,
      send: (response) => {
        if (open) call.write(response);
      },
    });
    const close = () => {
      if (!open) return;
      open = false;
      session.close();
    };
    call.on('data', (request: Request) => {
      if (!open) return;
      try {
        session.receive(request);
      } catch (error) {
        if (!(error instanceof ProtocolError || error instanceof RangeError)) throw error;
        log.warn({ stream: stream.id, peer: call.getPeer() }, `xDS stream ended: ${error.message}`);
        close();
        const code = error instanceof ProtocolError ? status.INVALID_ARGUMENT : status.RESOURCE_EXHAUSTED;
        call.emit('error', { code, details: error.message });
      }
    });
    call.on('error', (error: Error) => {
      log.debug({ stream: stream.id }, `xDS stream failed: ${error.message ?? ''}`);
      close();
    });
    call.on('cancelled', close);
    call.on('close', close);
    call.on('end', () => {
      close();
      call.end();
    });
  };
}
