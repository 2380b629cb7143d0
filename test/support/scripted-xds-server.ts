import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  loadPackageDefinition,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceClientConstructor,
  type status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

/** A request of either variant, with the field names of discovery.proto. */
export interface XdsRequest {
  node: { id: string; cluster: string; user_agent_name: string; client_features: string[]; metadata: unknown } | null;
  type_url: string;
  response_nonce: string;
  error_detail: { code: number; message: string } | null;
  version_info: string;
  resource_names: string[];
  resource_names_subscribe: string[];
  resource_names_unsubscribe: string[];
  initial_resource_versions: Record<string, string>;
}

const waitMs = 5_000;

/** One stream as the server sees it: requests come out of `next`, in order; whatever is given to `send` goes out as it is. */
export class ScriptedStream {
  readonly variant: 'SOTW' | 'DELTA';
  readonly metadata: Metadata;
  readonly #call: ServerDuplexStream<XdsRequest, object>;
  readonly #requests: XdsRequest[] = [];
  readonly #waiting: ((request: XdsRequest) => void)[] = [];
  /** Resolves when the client is gone. */
  readonly closed: Promise<void>;

  constructor(variant: 'SOTW' | 'DELTA', call: ServerDuplexStream<XdsRequest, object>) {
    this.variant = variant;
    this.metadata = call.metadata;
    this.#call = call;
    call.on('data', (request: XdsRequest) => {
      const waiting = this.#waiting.shift();
      if (waiting) waiting(request);
      else this.#requests.push(request);
    });
    call.on('error', () => {});
    this.closed = new Promise((resolve) => {
      call.on('cancelled', resolve);
      call.on('end', resolve);
    });
  }

  /** Requests that came and were not asked for yet. */
  get unread(): number {
    return this.#requests.length;
  }

  async next(): Promise<XdsRequest> {
    const request = this.#requests.shift();
    if (request) return request;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no request within ${waitMs} ms`)), waitMs);
      this.#waiting.push((next) => {
        clearTimeout(timer);
        resolve(next);
      });
    });
  }

  /** The message as it is. Returns false when the client does not read on. */
  send(response: object): boolean {
    return this.#call.write(response);
  }

  /** Ends the stream with status OK, as servers do that limit a stream's age. */
  end(): void {
    this.#call.end();
  }

  fail(code: status, details: string): void {
    this.#call.emit('error', { code, details });
  }
}

/** A real gRPC server for ADS that does only what a test says. */
export class ScriptedXdsServer {
  readonly #streams: ScriptedStream[] = [];
  readonly #waiting: ((stream: ScriptedStream) => void)[] = [];
  #server = new Server();
  #port = 0;

  static async start(): Promise<ScriptedXdsServer> {
    const server = new ScriptedXdsServer();
    await server.start();
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Listens, on the same port as before if there was one. */
  async start(): Promise<void> {
    this.#server = new Server({ 'grpc.max_send_message_length': -1, 'grpc.max_receive_message_length': -1 });
    this.#server.addService(adsService(), {
      StreamAggregatedResources: (call: ServerDuplexStream<XdsRequest, object>) => this.#opened('SOTW', call),
      DeltaAggregatedResources: (call: ServerDuplexStream<XdsRequest, object>) => this.#opened('DELTA', call),
    });
    this.#port = await new Promise((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${this.#port}`, ServerCredentials.createInsecure(), (error, port) => {
        if (error) reject(error);
        else resolve(port);
      });
    });
  }

  /** Drops all streams and the port. */
  stop(): void {
    this.#server.forceShutdown();
  }

  /** The next stream that a client opens. */
  async nextStream(): Promise<ScriptedStream> {
    const stream = this.#streams.shift();
    if (stream) return stream;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no stream within ${waitMs} ms`)), waitMs);
      this.#waiting.push((next) => {
        clearTimeout(timer);
        resolve(next);
      });
    });
  }

  #opened(variant: 'SOTW' | 'DELTA', call: ServerDuplexStream<XdsRequest, object>): void {
    const stream = new ScriptedStream(variant, call);
    const waiting = this.#waiting.shift();
    if (waiting) waiting(stream);
    else this.#streams.push(stream);
  }
}

/** The service as the proto files have it, read by another protobuf implementation than the client's. */
function adsService() {
  const deps = join(dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json')), 'deps');
  const definition = loadSync('envoy/service/discovery/v3/ads.proto', {
    includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((name) => join(deps, name)),
    keepCase: true,
    defaults: true,
    longs: String,
    enums: String,
  });
  // biome-ignore lint/suspicious/noExplicitAny: what the loader returns has the shape of the packages
  const loaded = loadPackageDefinition(definition) as any;
  return (loaded.envoy.service.discovery.v3.AggregatedDiscoveryService as ServiceClientConstructor).service;
}
