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

/** Services of one type: the folder and name of the service, and of what its methods bring. */
const services = [
  ['cluster', 'ClusterDiscoveryService', 'Clusters', 'cds'],
  ['endpoint', 'EndpointDiscoveryService', 'Endpoints', 'eds'],
  ['listener', 'ListenerDiscoveryService', 'Listeners', 'lds'],
  ['route', 'RouteDiscoveryService', 'Routes', 'rds'],
] as const;

/** One stream as the server sees it: requests come out of `next`, in order; whatever is given to `send` goes out as it is. */
export class ScriptedStream {
  readonly variant: 'SOTW' | 'DELTA';
  /** Path of the gRPC method that was called. */
  readonly method: string;
  readonly metadata: Metadata;
  /** The client's address and, where there is TLS, its certificate. */
  readonly peer: string;
  readonly #call: ServerDuplexStream<XdsRequest, object>;
  readonly #requests: XdsRequest[] = [];
  readonly #waiting: ((request: XdsRequest) => void)[] = [];
  /** Resolves when the client is gone. */
  readonly closed: Promise<void>;

  constructor(variant: 'SOTW' | 'DELTA', call: ServerDuplexStream<XdsRequest, object>) {
    this.variant = variant;
    this.method = call.getPath();
    this.peer = call.getPeer();
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

  /** The message as it is, or bytes. Returns false when the client does not read on. */
  send(response: object | Buffer): boolean {
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
  /** For the next start: TLS, when it is not plain text. */
  credentials = ServerCredentials.createInsecure();
  /** Called for each stream before it is a test's; returns why it is refused. */
  admit: (metadata: Metadata) => { code: status; details: string } | undefined = () => undefined;
  /** Streams that were refused. */
  refused = 0;

  static async start(credentials?: ServerCredentials): Promise<ScriptedXdsServer> {
    const server = new ScriptedXdsServer();
    if (credentials) server.credentials = credentials;
    await server.start();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Listens, on the same port as before if there was one. */
  async start(): Promise<void> {
    this.#server = new Server({ 'grpc.max_send_message_length': -1, 'grpc.max_receive_message_length': -1 });
    const ads = serviceOf('service/discovery/v3/ads.proto', 'service.discovery.v3.AggregatedDiscoveryService');
    this.#server.addService(ads, {
      StreamAggregatedResources: (call: ServerDuplexStream<XdsRequest, object>) => this.#opened('SOTW', call),
      DeltaAggregatedResources: (call: ServerDuplexStream<XdsRequest, object>) => this.#opened('DELTA', call),
    });
    for (const [folder, service, resources, shortName] of services) {
      this.#server.addService(serviceOf(`service/${folder}/v3/${shortName}.proto`, `service.${folder}.v3.${service}`), {
        [`Stream${resources}`]: (call: ServerDuplexStream<XdsRequest, object>) => this.#opened('SOTW', call),
        [`Delta${resources}`]: (call: ServerDuplexStream<XdsRequest, object>) => this.#opened('DELTA', call),
      });
    }
    this.#port = await new Promise((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${this.#port}`, this.credentials, (error, port) => {
        if (error) reject(error);
        else resolve(port);
      });
    });
  }

  /** Drops all streams and the port. */
  stop(): void {
    this.#server.forceShutdown();
  }

  /** Streams that nobody asked for yet. */
  get unclaimed(): number {
    return this.#streams.length;
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

  /** The next stream of one service, `cds`, `eds`, `lds`, `rds` or `ads`; others are kept. */
  async streamOf(kind: 'ads' | 'cds' | 'eds' | 'lds' | 'rds'): Promise<ScriptedStream> {
    const service = services.find(([, , , shortName]) => shortName === kind)?.[1] ?? 'AggregatedDiscoveryService';
    const others: ScriptedStream[] = [];
    for (;;) {
      const stream = await this.nextStream();
      if (stream.method.includes(service)) {
        this.#streams.unshift(...others);
        return stream;
      }
      others.push(stream);
    }
  }

  #opened(variant: 'SOTW' | 'DELTA', call: ServerDuplexStream<XdsRequest, object>): void {
    const refusal = this.admit(call.metadata);
    if (refusal) {
      this.refused++;
      call.emit('error', refusal);
      return;
    }
    const stream = new ScriptedStream(variant, call);
    const waiting = this.#waiting.shift();
    if (waiting) waiting(stream);
    else this.#streams.push(stream);
  }
}

const loaded = new Map<string, ServiceClientConstructor['service']>();

/** A service as the proto files have it, read by another protobuf implementation than the client's. */
function serviceOf(file: string, name: string): ServiceClientConstructor['service'] {
  const known = loaded.get(name);
  if (known) return known;
  const deps = join(dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json')), 'deps');
  const definition = loadSync(`envoy/${file}`, {
    includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((each) => join(deps, each)),
    keepCase: true,
    defaults: true,
    longs: String,
    enums: String,
  });
  // biome-ignore lint/suspicious/noExplicitAny: what the loader returns has the shape of the packages
  let found = loadPackageDefinition(definition).envoy as any;
  for (const part of name.split('.')) found = found[part];
  const { service } = found as ServiceClientConstructor;
  for (const method of Object.values(service)) {
    const serialize = method.responseSerialize;
    // Bytes go out as they are: recordings, and what is no message at all.
    method.responseSerialize = (response: unknown) => (Buffer.isBuffer(response) ? response : serialize(response));
  }
  loaded.set(name, service);
  return service;
}
