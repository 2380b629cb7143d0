import { Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import type { ResourceKind } from '../../control-plane-sample/resource-kind.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { waitFor } from './wait.js';

const discovery = 'envoy.service.discovery.v3';
const adsService = 'envoy.service.discovery.v3.AggregatedDiscoveryService';

/** A response of either variant, decoded by protobufjs: another library than the one that wrote it. */
export interface Received {
  readonly type_url: string;
  readonly version_info?: string;
  readonly system_version_info?: string;
  readonly nonce: string;
  readonly resources: readonly unknown[];
  readonly removed_resources?: readonly string[];
}

export interface XdsStream {
  readonly received: Received[];
  readonly errors: Error[];
  send(request: object): void;
  /** Waits until so many responses came. */
  response(count: number): Promise<Received>;
  close(): void;
}

/** A real gRPC stream to a control plane, aggregated unless `kind` is given. */
export function openStream(port: number, variant: 'sotw' | 'delta', kind?: ResourceKind): XdsStream {
  const schema = loadSchema();
  const prefix = variant === 'sotw' ? '' : 'Delta';
  const service = kind?.service ?? adsService;
  const sotwMethod = kind?.streamMethod ?? 'StreamAggregatedResources';
  const deltaMethod = kind?.deltaMethod ?? 'DeltaAggregatedResources';
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const stream: ClientDuplexStream<object, Received> = client.makeBidiStreamRequest(
    `/${service}/${variant === 'sotw' ? sotwMethod : deltaMethod}`,
    (request: object) => schema.encode(`${discovery}.${prefix}DiscoveryRequest`, request),
    (bytes: Buffer) => schema.decode<Received>(`${discovery}.${prefix}DiscoveryResponse`, bytes),
  );
  const received: Received[] = [];
  const errors: Error[] = [];
  stream.on('data', (response: Received) => received.push(response));
  stream.on('error', (error: Error) => errors.push(error));
  return {
    received,
    errors,
    send: (request) => void stream.write(request),
    response: (count) =>
      waitFor(`${count} responses`, () => {
        if (errors[0]) throw errors[0];
        return received[count - 1];
      }),
    close() {
      stream.cancel();
      client.close();
    },
  };
}
