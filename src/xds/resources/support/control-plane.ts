import { ignored, type MessageSupport, message, rejected, silent } from './rules.js';

export const apiConfigSourceSupport: MessageSupport = message(
  'envoy.config.core.v3.ApiConfigSource',
  'api_type transport_api_version grpc_services set_node_on_first_message_only rate_limit_settings',
  [
    ...rejected('cluster_names refresh_delay', 'these are for REST; use grpc_services'),
    ...ignored('config_validators', 'they are not loaded'),
    ...silent('request_timeout'),
  ],
);

export const grpcServiceSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService',
  'envoy_grpc google_grpc initial_metadata retry_policy',
  silent('timeout'),
  'of a control plane',
);

export const envoyGrpcSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService.EnvoyGrpc',
  'cluster_name authority retry_policy max_receive_message_length',
  silent('skip_envoy_headers'),
  'of a control plane',
);

export const googleGrpcSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService.GoogleGrpc',
  'target_uri channel_credentials call_credentials credentials_factory_name channel_args',
  [
    ...ignored('config', 'the credentials are those of channel_credentials and call_credentials'),
    ...rejected('channel_credentials_plugin call_credentials_plugin', 'use channel_credentials and call_credentials'),
    ...silent('stat_prefix per_stream_buffer_limit_bytes'),
  ],
  'of a control plane',
);

export const channelCredentialsSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService.GoogleGrpc.ChannelCredentials',
  'ssl_credentials local_credentials',
  rejected('google_default', "Google's default credentials are not known here; use ssl_credentials"),
);

export const sslCredentialsSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService.GoogleGrpc.SslCredentials',
  'root_certs private_key cert_chain',
);

const otherCredentials = 'use access_token, or from_plugin with envoy.grpc_credentials.file_based_metadata';

export const callCredentialsSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService.GoogleGrpc.CallCredentials',
  'access_token from_plugin',
  rejected(
    'google_compute_engine google_refresh_token service_account_jwt_access google_iam sts_service',
    otherCredentials,
  ),
);

export const pluginCredentialsSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService.GoogleGrpc.CallCredentials.MetadataCredentialsFromPlugin',
  'name typed_config',
);

export const rateLimitSupport: MessageSupport = message(
  'envoy.config.core.v3.RateLimitSettings',
  'max_tokens fill_rate',
);

export const pathConfigSourceSupport: MessageSupport = message(
  'envoy.config.core.v3.PathConfigSource',
  'path watched_directory poll_interval',
);

export const controlPlaneMessages: readonly MessageSupport[] = [
  apiConfigSourceSupport,
  rateLimitSupport,
  pathConfigSourceSupport,
  grpcServiceSupport,
  envoyGrpcSupport,
  googleGrpcSupport,
  channelCredentialsSupport,
  sslCredentialsSupport,
  callCredentialsSupport,
  pluginCredentialsSupport,
];
