import { isIP } from 'node:net';
import type { SocketAddress } from '../../model/endpoint.js';
import type { Address__Output } from '../../protobuf/generated/envoy/config/core/v3/Address.js';
import { join } from './findings.js';
import { checkFields } from './support/check.js';
import { addressSupport, pipeSupport, socketAddressSupport } from './support/common.js';
import type { Context } from './translate.js';

/**
 * An address of an endpoint or to bind. `names` says whether DNS names are allowed; otherwise only IP addresses are,
 * because nobody would resolve them. A Unix domain socket can't be resolved, so it is only allowed where names are not.
 */
export function readAddress(
  context: Context,
  address: Address__Output | null,
  path: string,
  names: 'ip' | 'dns',
): SocketAddress | undefined {
  const { findings } = context;
  if (address === null) {
    findings.malformed.push({ path, message: 'is required' });
    return undefined;
  }
  checkFields(addressSupport, address, path, findings);
  if (address.pipe) {
    const at = join(path, 'pipe');
    checkFields(pipeSupport, address.pipe, at, findings);
    if (names === 'dns') {
      findings.unsupported.push({ path: at, message: 'not supported: a DNS cluster needs a socket_address' });
      return undefined;
    }
    return { kind: 'pipe', path: address.pipe.path };
  }
  if (!address.socket_address) return undefined;
  const at = join(path, 'socket_address');
  const socket = address.socket_address;
  checkFields(socketAddressSupport, socket, at, findings);
  if (names === 'ip' && isIP(socket.address) === 0 && socket.resolver_name === '') {
    findings.malformed.push({
      path: join(at, 'address'),
      message: `malformed IP address: ${socket.address}. Names are resolved in clusters of type STRICT_DNS and LOGICAL_DNS only`,
    });
    return undefined;
  }
  return { kind: 'tcp', address: socket.address, port: socket.port_value ?? 0 };
}
