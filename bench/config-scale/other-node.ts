import { Client, credentials } from '@grpc/grpc-js';
import protobuf from 'protobufjs/minimal.js';

const method = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const typeUrl = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
const asItIs = (bytes: Buffer): Buffer => bytes;

/**
 * A node that asks for all clusters by Delta, acknowledges what comes and throws it away: to its control plane a change costs as much as with a proxy.
 * It goes on after this resolved, at the first answer, until the control plane ends.
 */
export async function startOtherNode(address: string, nodeId: string): Promise<void> {
  const client = new Client(address, credentials.createInsecure(), { 'grpc.max_receive_message_length': -1 });
  const stream = client.makeBidiStreamRequest(method, asItIs, asItIs);
  stream.write(request(nodeId, ''));
  await new Promise<void>((resolve, reject) => {
    const failed = (error: Error) => {
      client.close();
      reject(error);
    };
    stream.on('error', failed).on('data', (response: Buffer) => {
      stream.write(request('', nonceOf(response)));
      resolve();
    });
  });
}

/** https://github.com/envoyproxy/envoy/blob/main/api/envoy/service/discovery/v3/discovery.proto: DeltaDiscoveryRequest */
function request(nodeId: string, nonce: string): Buffer {
  const writer = protobuf.Writer.create();
  if (nodeId !== '')
    writer
      .uint32((1 << 3) | 2)
      .fork()
      .uint32((1 << 3) | 2)
      .string(nodeId)
      .ldelim();
  writer.uint32((2 << 3) | 2).string(typeUrl);
  if (nonce !== '') writer.uint32((6 << 3) | 2).string(nonce);
  return Buffer.from(writer.finish());
}

/** Of a DeltaDiscoveryResponse, of which nothing else is looked at. */
function nonceOf(response: Buffer): string {
  const reader = protobuf.Reader.create(response);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === 5) return reader.string();
    reader.skipType(tag & 7);
  }
  return '';
}
