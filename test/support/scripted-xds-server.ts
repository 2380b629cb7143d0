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
import { Inbox } from './inbox.js';

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

/** Services of one type: the folder and name of the service, and of what its methods bring. */
const services = [
  ['cluster', 'ClusterDiscoveryService', 'Clusters', 'cds'],
  ['endpoint', 'EndpointDiscoveryService', 'Endpoints', 'eds'],
  ['listener', 'ListenerDiscoveryService', 'Listeners', 'lds'],
  ['route', 'RouteDiscoveryService', 'Routes', 'rds'],
  ['secret', 'SecretDiscoveryService', 'Secrets', 'sds'],
] as const;

export type ServiceKind = 'ads' | (typeof services)[number][3];

/** What the path of a service's methods contains. */
export function servicePart(kind: ServiceKind): string {
  return services.find(([, , , shortName]) => shortName === kind)?.[1] ?? 'AggregatedDiscoveryService';
}

/** One stream as the server sees it: requests come out of `next`, in order; whatever is given to `send` goes out as it is. */
export interface XdsStream {
  readonly variant: 'SOTW' | 'DELTA';
  /** Path of the gRPC method that was called. */
  readonly method: string;
  /** Resolves when the client is gone. */
  readonly closed: Promise<void>;
  /** Requests that came and were not asked for yet. */
  readonly unread: number;
  /** Responses that wait because the client does not read on. */
  readonly unsent: number;
  next(): Promise<XdsRequest>;
  /** The message as it is, or bytes. */
  send(response: object | Buffer): void;
  /** Ends the stream with status OK, as servers do that limit a stream's age. */
  end(): void;
  fail(code: status, details: string): void;
}

/** A server that does only what a test says. */
export interface XdsServer {
  readonly port: number;
  readonly address: string;
  /** Streams that nobody asked for yet. */
  readonly unclaimed: number;
  /** Listens, on the same port as before if there was one. */
  start(): Promise<void>;
  /** Drops all streams and the port. */
  stop(): void;
  /** The next stream that a client opens. */
  nextStream(): Promise<XdsStream>;
  /** The next stream of one service; others are kept. */
  streamOf(kind: ServiceKind): Promise<XdsStream>;
}

export class ScriptedStream implements XdsStream {
  readonly variant: 'SOTW' | 'DELTA';
  readonly method: string;
  readonly metadata: Metadata;
  /** The client's address and, where there is TLS, its certificate. */
  readonly peer: string;
  readonly closed: Promise<void>;
  readonly #call: ServerDuplexStream<XdsRequest, object>;
  readonly #requests = new Inbox<XdsRequest>('request');

  constructor(variant: 'SOTW' | 'DELTA', call: ServerDuplexStream<XdsRequest, object>) {
    this.variant = variant;
    this.method = call.getPath();
    this.peer = call.getPeer();
    this.metadata = call.metadata;
    this.#call = call;
    call.on('data', (request: XdsRequest) => this.#requests.push(request));
    call.on('error', () => {});
    this.closed = new Promise((resolve) => {
      call.on('cancelled', resolve);
      call.on('end', resolve);
    });
  }

  get unread(): number {
    return this.#requests.length;
  }

  get unsent(): number {
    return this.#call.writableLength;
  }

  next(): Promise<XdsRequest> {
    return this.#requests.next();
  }

  send(response: object | Buffer): void {
    this.#call.write(response);
  }

  end(): void {
    this.#call.end();
  }

  fail(code: status, details: string): void {
    this.#call.emit('error', { code, details });
  }
}

/** A real gRPC server for ADS that does only what a test says. */
export class ScriptedXdsServer implements XdsServer {
  readonly #streams = new Inbox<ScriptedStream>('stream');
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

  stop(): void {
    this.#server.forceShutdown();
  }

  get unclaimed(): number {
    return this.#streams.length;
  }

  nextStream(): Promise<ScriptedStream> {
    return this.#streams.next();
  }

  streamOf(kind: ServiceKind): Promise<ScriptedStream> {
    return this.#streams.find(({ method }) => method.includes(servicePart(kind)));
  }

  #opened(variant: 'SOTW' | 'DELTA', call: ServerDuplexStream<XdsRequest, object>): void {
    const refusal = this.admit(call.metadata);
    if (refusal) {
      this.refused++;
      call.emit('error', refusal);
      return;
    }
    this.#streams.push(new ScriptedStream(variant, call));
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
