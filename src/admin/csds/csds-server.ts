import {
  type handleBidiStreamingCall,
  type MethodDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
} from '@grpc/grpc-js';
import type { Logger } from '../../log.js';
import { formatAddress, type SocketAddress } from '../../model/endpoint.js';
import { DecodeError, type Schema } from '../../protobuf/schema.js';
import type { WriteClientStatus } from './client-status.js';
import { addReflection } from './reflection.js';

const service = 'envoy.service.status.v3.ClientStatusDiscoveryService';

/** A request is a node and a flag. */
const largestRequest = 1024 * 1024;
/** Open calls, over all connections: each may have an answer with the whole configuration waiting for its reader. */
const mostCalls = 32;
/** Connections without calls are closed after this long. */
const idleTimeoutMs = 5 * 60_000;

interface ClientStatusRequest {
  readonly node_matchers: readonly unknown[];
  readonly exclude_resource_contents: boolean;
}

type Call = ServerDuplexStream<Buffer, Buffer>;

export interface CsdsServerOptions {
  readonly address: SocketAddress;
  readonly schema: Schema;
  readonly write: WriteClientStatus;
  readonly log: Logger;
}

export interface CsdsServer {
  /** What is really bound; port 0 became a number. */
  readonly address: SocketAddress;
  /** Ends all calls and stops listening. */
  close(): void;
}

class RequestError extends Error {
  readonly code: status;
  readonly details: string;

  constructor(code: status, details: string) {
    super(details);
    this.code = code;
    this.details = details;
  }
}

const identity = (bytes: Buffer) => bytes;

function method(name: string): MethodDefinition<Buffer, Buffer> {
  return {
    path: `/${service}/${name}`,
    requestStream: true,
    responseStream: true,
    requestDeserialize: identity,
    requestSerialize: identity,
    responseDeserialize: identity,
    responseSerialize: identity,
  };
}

/** Builds one answer at a time; who asks meanwhile gets the next, all of them the same one. */
function oneAtATime(write: WriteClientStatus): WriteClientStatus {
  const waiting = new Map<boolean, Promise<Buffer>>();
  let last: Promise<unknown> = Promise.resolve();
  return (excludeContents) => {
    const known = waiting.get(excludeContents);
    if (known) return known;
    const begin = () => {
      waiting.delete(excludeContents);
      return write(excludeContents);
    };
    const answer = last.then(begin, begin);
    waiting.set(excludeContents, answer);
    last = answer;
    return answer;
  };
}

function readRequest(schema: Schema, bytes: Buffer): ClientStatusRequest {
  try {
    const request = schema.decode<ClientStatusRequest>('envoy.service.status.v3.ClientStatusRequest', bytes);
    // As the other clients that serve CSDS: there is one node here, so that matchers could only ask for another.
    if (request.node_matchers.length > 0)
      throw new RequestError(
        status.INVALID_ARGUMENT,
        'node_matchers are not supported: this is a client and tells of itself alone; leave them out',
      );
    return request;
  } catch (error) {
    if (error instanceof DecodeError) throw new RequestError(status.INVALID_ARGUMENT, error.message);
    throw error;
  }
}

/** Resolves when more may be written, or nothing any more. */
function writable(call: Call): Promise<void> {
  const events = ['drain', 'close', 'cancelled'];
  return new Promise((resolve) => {
    const done = () => {
      for (const event of events) call.off(event, done);
      resolve();
    };
    for (const event of events) call.on(event, done);
  });
}

/** Answers one request after the other, or only the first. The next is read when the answer before is on its way. */
function serve(
  call: Call,
  once: boolean,
  answer: (request: Buffer) => Promise<Buffer>,
  fail: (error: unknown) => void,
) {
  let last = Promise.resolve();
  async function respond(request: Buffer): Promise<void> {
    const response = await answer(request);
    if (call.cancelled) return;
    const room = call.write(response);
    if (once) call.end();
    else if (!room) await writable(call);
    call.resume();
  }
  call.on('data', (request: Buffer) => {
    call.pause();
    last = respond(request).catch(fail);
  });
  call.on('end', () => void last.then(() => call.end()));
}

function addCsds(server: Server, { schema, write, log }: CsdsServerOptions): void {
  const build = oneAtATime(write);
  let calls = 0;
  async function answer(request: Buffer): Promise<Buffer> {
    const { exclude_resource_contents: excludeContents } = readRequest(schema, request);
    return build(excludeContents);
  }
  const handler =
    (once: boolean): handleBidiStreamingCall<Buffer, Buffer> =>
    (call) => {
      let open = true;
      const close = () => {
        if (open) calls--;
        open = false;
      };
      const fail = (error: unknown) => {
        if (!open) return;
        const known = error instanceof RequestError;
        if (!known) log.error({ err: error }, 'CSDS request failed');
        close();
        call.emit('error', known ? error : { code: status.INTERNAL, details: 'the answer could not be made' });
      };
      calls++;
      call.on('cancelled', close);
      call.on('close', close);
      if (calls > mostCalls) {
        fail(
          new RequestError(status.RESOURCE_EXHAUSTED, `more than ${mostCalls} calls at the same time; try again later`),
        );
        return;
      }
      serve(call, once, answer, fail);
    };
  // On the wire a unary call is a stream of one message each way.
  server.addService(
    { FetchClientStatus: method('FetchClientStatus'), StreamClientStatus: method('StreamClientStatus') },
    { FetchClientStatus: handler(true), StreamClientStatus: handler(false) },
  );
}

const target = (address: SocketAddress) => (address.kind === 'pipe' ? `unix:${address.path}` : formatAddress(address));

/**
 * Serves CSDS and server reflection by gRPC without TLS.
 *
 * @throws Error when the address can't be bound
 */
export async function startCsdsServer(options: CsdsServerOptions): Promise<CsdsServer> {
  const { address, schema } = options;
  const server = new Server({
    'grpc.max_receive_message_length': largestRequest,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': mostCalls,
    'grpc.max_connection_idle_ms': idleTimeoutMs,
    'grpc.keepalive_time_ms': 60_000,
    'grpc.keepalive_timeout_ms': 20_000,
    'grpc.enable_channelz': 0,
  });
  addCsds(server, options);
  addReflection(server, schema, service);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(target(address), ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  return {
    address: address.kind === 'pipe' ? address : { ...address, port },
    close: () => server.forceShutdown(),
  };
}
