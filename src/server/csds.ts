import { isIP } from 'node:net';
import { createClientStatus } from '../admin/csds/client-status.js';
import { type CsdsServer, startCsdsServer } from '../admin/csds/csds-server.js';
import type { AdminSources } from '../admin/sources.js';
import { explainBindError, removeStaleSocket } from '../listener/bound-socket.js';
import type { Logging } from '../log.js';
import type { Bootstrap } from '../model/bootstrap.js';
import { formatAddress, type SocketAddress } from '../model/endpoint.js';
import type { Schema } from '../protobuf/schema.js';
import { nodeMessage } from '../xds/discovery.js';

export interface CsdsOptions {
  readonly address: SocketAddress;
  readonly bootstrap: Bootstrap;
  readonly schema: Schema;
  readonly version: string;
  readonly logging: Logging;
  readonly dump: AdminSources['dump'];
}

const isLoopback = (address: string) => (isIP(address) === 4 ? address.startsWith('127.') : address === '::1');

/**
 * Serves CSDS where the command line says so.
 *
 * @throws Error when the address can't be bound
 */
export async function startCsds(options: CsdsOptions): Promise<CsdsServer> {
  const { address, bootstrap, schema, version, dump } = options;
  const log = options.logging.logger('csds');
  const node = schema.encode('envoy.config.core.v3.Node', nodeMessage(bootstrap.node, version));
  if (address.kind === 'pipe') await removeStaleSocket(address.path);
  const write = createClientStatus({ schema, sources: { node, dump } });
  const server = await startCsdsServer({ address, schema, write, log }).catch((error: NodeJS.ErrnoException) => {
    throw new Error(`--csds-address ${formatAddress(address)}: cannot bind: ${explainBindError(error)}`);
  });
  log.info({ address: formatAddress(server.address) }, 'CSDS is served');
  if (address.kind === 'tcp' && !isLoopback(address.address))
    log.warn(
      { address: formatAddress(server.address) },
      'CSDS has neither TLS nor authentication: whoever reaches the address sees the configuration',
    );
  return server;
}
