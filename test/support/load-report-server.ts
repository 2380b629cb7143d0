import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { until } from './until.js';

interface Requests {
  readonly total_successful_requests: number;
  readonly total_error_requests: number;
  readonly total_requests_in_progress: number;
  readonly total_issued_requests: number;
}

/** One cluster of a report, with the field names of load_report.proto. */
export interface ClusterReport {
  readonly cluster_name: string;
  readonly cluster_service_name: string;
  readonly upstream_locality_stats: readonly (Requests & {
    readonly locality: { readonly region: string; readonly zone: string; readonly sub_zone: string };
    readonly priority: number;
    readonly upstream_endpoint_stats: readonly (Requests & {
      readonly address: { readonly socket_address?: { readonly address: string; readonly port_value: number } };
    })[];
  })[];
  readonly total_dropped_requests: number;
  readonly dropped_requests: readonly object[];
  readonly load_report_interval: { readonly seconds: number; readonly nanos: number };
}

export interface LoadReport {
  readonly node: { readonly id: string; readonly client_features: readonly string[] };
  readonly cluster_stats: readonly ClusterReport[];
}

/** What a server asks for; bytes go out as they are. */
export type Asked =
  | Buffer
  | {
      readonly clusters?: readonly string[];
      readonly send_all_clusters?: boolean;
      readonly load_reporting_interval?: { readonly seconds?: number; readonly nanos?: number };
      readonly report_endpoint_granularity?: boolean;
    };

export interface LoadReportStream {
  readonly nodeId: string;
  /** All that came, in order. */
  readonly reports: LoadReport[];
  ask(asked: Asked): void;
  /** The report with that number, from 0 on, when it came. */
  report(index: number): Promise<LoadReport>;
  /** The first report from `index` on of which the condition holds. */
  find(condition: (report: LoadReport) => boolean, index?: number): Promise<LoadReport>;
  /** Stops reading. */
  pause(): void;
  resume(): void;
  /** Ends the stream with status OK. */
  end(): void;
}

/** A real gRPC server of load reports that does only what a test says, with another protobuf implementation than the client's. */
export interface LoadReportServer {
  readonly port: number;
  /** By the order in which they came; each tells its node in its first message. */
  stream(nodeId: string, index?: number): Promise<LoadReportStream>;
  /** Drops all streams and the port. */
  stop(): void;
  /** Listens again on the same port. */
  start(): Promise<void>;
}

function lrsService(): ServiceClientConstructor['service'] {
  const deps = join(dirname(createRequire(import.meta.url).resolve('@grpc/grpc-js-xds/package.json')), 'deps');
  const definition = loadSync('envoy/service/load_stats/v3/lrs.proto', {
    includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((each) => join(deps, each)),
    keepCase: true,
    defaults: true,
    longs: Number,
    enums: String,
  });
  // biome-ignore lint/suspicious/noExplicitAny: what the loader returns has the shape of the packages
  const { service } = (loadPackageDefinition(definition).envoy as any).service.load_stats.v3.LoadReportingService;
  const { StreamLoadStats: method } = service;
  const serialize = method.responseSerialize;
  method.responseSerialize = (response: unknown) => (Buffer.isBuffer(response) ? response : serialize(response));
  return service;
}

export async function startLoadReportServer(): Promise<LoadReportServer> {
  const service = lrsService();
  const streams: LoadReportStream[] = [];
  let server = new Server();
  let port = 0;

  function opened(call: ServerDuplexStream<LoadReport, Asked>): void {
    const reports: LoadReport[] = [];
    const find = (condition: (report: LoadReport) => boolean, index = 0) =>
      until('a load report', () => reports.slice(index).find(condition));
    call.on('error', () => undefined);
    call.on('data', (report: LoadReport) => {
      reports.push(report);
      if (reports.length > 1) return;
      streams.push({
        nodeId: report.node.id,
        reports,
        ask: (asked) => void call.write(asked),
        report: (index) => until(`load report ${index}`, () => reports[index]),
        find,
        pause: () => call.pause(),
        resume: () => call.resume(),
        end: () => call.end(),
      });
    });
  }
  async function start(): Promise<void> {
    server = new Server({ 'grpc.max_receive_message_length': -1 });
    server.addService(service, { StreamLoadStats: opened });
    port = await new Promise((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
  }
  await start();
  return {
    get port() {
      return port;
    },
    stream: (nodeId, index = 0) =>
      until(`stream ${index} of ${nodeId}`, () => streams.filter((each) => each.nodeId === nodeId)[index]),
    stop: () => server.forceShutdown(),
    start,
  };
}
