import { active, type MessageSupport, message, rejected, warned } from './rules.js';

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

export const pipeSupport: MessageSupport = message(
  'envoy.config.core.v3.Pipe',
  'path',
  rejected('mode', 'the file would have other permissions than configured'),
);

export const configSourceSupport: MessageSupport = message(
  'envoy.config.core.v3.ConfigSource',
  'ads self path path_config_source api_config_source initial_fetch_timeout resource_api_version',
  [
    ...rejected('authorities', 'names are asked of the source, whatever their authority'),
    ...rejected('resource_api_version=V2', 'resources are those of v3'),
  ],
);

const byType = 'extensions are chosen by the type of their configuration';

export const typedExtensionSupport: MessageSupport = message(
  'envoy.config.core.v3.TypedExtensionConfig',
  'typed_config',
  active('name', byType),
);

export const transportSocketFieldsSupport: MessageSupport = message(
  'envoy.config.core.v3.TransportSocket',
  'typed_config',
  active('name', byType),
);

export const dataSourceSupport: MessageSupport = message(
  'envoy.config.core.v3.DataSource',
  'filename inline_bytes inline_string environment_variable',
  warned('watched_directory', 'a file is read again only as part of a secret, which has watched_directory itself'),
);

export const watchedDirectorySupport: MessageSupport = message(
  'envoy.config.core.v3.WatchedDirectory',
  'path',
  warned('watch_modify', 'files are swapped by moving others to their place'),
);

export const localityFieldsSupport: MessageSupport = message('envoy.config.core.v3.Locality', 'region zone sub_zone');

export const headerValueSupport: MessageSupport = message('envoy.config.core.v3.HeaderValue', 'key value raw_value');

export const headerValueOptionSupport: MessageSupport = message(
  'envoy.config.core.v3.HeaderValueOption',
  'header append append_action keep_empty_value',
);

export const selfSourceSupport: MessageSupport = message(
  'envoy.config.core.v3.SelfConfigSource',
  '',
  active('transport_api_version', 'it is that of the source'),
);

export const commonMessages: readonly MessageSupport[] = [
  addressSupport,
  socketAddressSupport,
  pipeSupport,
  configSourceSupport,
  selfSourceSupport,
  watchedDirectorySupport,
  dataSourceSupport,
  typedExtensionSupport,
  transportSocketFieldsSupport,
  localityFieldsSupport,
  headerValueSupport,
  headerValueOptionSupport,
];
