import type { handleBidiStreamingCall, Server, ServerDuplexStream } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { fileDescriptors } from '../../protobuf/file-descriptors.js';
import type { Schema } from '../../protobuf/schema.js';

/** What resources hold in Anys: a client that knows these shows them as JSON. */
const insideOfAny = [
  'envoy.config.cluster.v3.Cluster',
  'envoy.config.endpoint.v3.ClusterLoadAssignment',
  'envoy.config.listener.v3.Listener',
  'envoy.config.route.v3.RouteConfiguration',
  'envoy.extensions.access_loggers.file.v3.FileAccessLog',
  'envoy.extensions.access_loggers.stream.v3.StderrAccessLog',
  'envoy.extensions.access_loggers.stream.v3.StdoutAccessLog',
  'envoy.extensions.clusters.dns.v3.DnsCluster',
  'envoy.extensions.filters.http.router.v3.Router',
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
  'envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest',
  'envoy.extensions.load_balancing_policies.random.v3.Random',
  'envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin',
  'envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer',
  'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
  'envoy.extensions.transport_sockets.tls.v3.Secret',
  'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
  'envoy.extensions.upstreams.http.generic.v3.GenericConnectionPoolProto',
  'envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config',
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
  'udpa.type.v1.TypedStruct',
  'xds.type.v3.TypedStruct',
];

type Handler = handleBidiStreamingCall<unknown, unknown>;

/** Questions are a few bytes and answers many: no more of them are read while the client does not read. */
function withBackpressure(handle: Handler): Handler {
  return (call: ServerDuplexStream<unknown, unknown>) => {
    const write = call.write.bind(call) as (message: unknown) => boolean;
    call.write = (message: unknown) => {
      const room = write(message);
      if (!room) {
        call.pause();
        call.once('drain', () => call.resume());
      }
      return room;
    };
    handle(call);
  };
}

/**
 * Lets clients without proto files ask for the service's types, in v1 and v1alpha
 * (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md).
 *
 * The descriptors are our own: those of @grpc/proto-loader name no imports, without which clients can't put several packages together.
 */
export function addReflection(server: Server, schema: Schema, service: string): void {
  const fileDescriptorProtos = fileDescriptors(schema.subset([service, ...insideOfAny]));
  const reflection = new ReflectionService({ all: { fileDescriptorProtos } } as unknown as PackageDefinition);
  reflection.addToServer({
    addService(definition: Parameters<Server['addService']>[0], handlers: Record<string, Handler>) {
      const wrapped = Object.entries(handlers).map(([name, handle]) => [name, withBackpressure(handle)]);
      server.addService(definition, Object.fromEntries(wrapped));
    },
  } as unknown as Server);
}
