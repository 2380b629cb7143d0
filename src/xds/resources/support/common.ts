import { type MessageSupport, message, rejected, silent } from './rules.js';

/** Of endpoints and of admin; a listener with such an address is parked instead. */
export const addressSupport: MessageSupport = message(
  'envoy.config.core.v3.Address',
  'socket_address pipe',
  rejected('envoy_internal_address', 'use socket_address or pipe'),
);

export const socketAddressSupport: MessageSupport = message(
  'envoy.config.core.v3.SocketAddress',
  'protocol address port_value ipv4_compat',
  [
    ...rejected('protocol=UDP', 'only TCP is'),
    ...rejected('named_port', 'use port_value'),
    ...rejected('network_namespace_filepath', 'sockets belong to the namespace of the process'),
    ...rejected('resolver_name', 'there are no custom resolvers'),
  ],
);

export const pipeSupport: MessageSupport = message('envoy.config.core.v3.Pipe', 'path', silent('mode'));

export const configSourceSupport: MessageSupport = message(
  'envoy.config.core.v3.ConfigSource',
  'ads self path path_config_source api_config_source initial_fetch_timeout resource_api_version',
  [
    ...rejected('authorities', 'names are asked of the source, whatever their authority'),
    ...rejected('resource_api_version=V2', 'resources are those of v3'),
  ],
);

export const commonMessages: readonly MessageSupport[] = [
  addressSupport,
  socketAddressSupport,
  pipeSupport,
  configSourceSupport,
];
