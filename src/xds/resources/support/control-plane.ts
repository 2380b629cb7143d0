import { active, type MessageSupport, message, rejected, warned } from './rules.js';

export const apiConfigSourceSupport: MessageSupport = message(
  'envoy.config.core.v3.ApiConfigSource',
  'api_type transport_api_version grpc_services set_node_on_first_message_only rate_limit_settings',
  [
    ...rejected('cluster_names refresh_delay', 'these are for REST; use grpc_services'),
    ...warned('config_validators', 'they are not loaded'),
    ...active('request_timeout', 'it is for REST'),
  ],
);

export const grpcServiceSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService',
  'envoy_grpc google_grpc initial_metadata retry_policy',
  active('timeout', 'a stream has no end'),
  'of a control plane',
);

export const envoyGrpcSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService.EnvoyGrpc',
  'cluster_name authority retry_policy max_receive_message_length',
  active('skip_envoy_headers', 'no such headers are sent'),
  'of a control plane',
);

export const googleGrpcSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService.GoogleGrpc',
  'target_uri channel_credentials call_credentials credentials_factory_name channel_args',
  [
    ...warned('config', 'the credentials are those of channel_credentials and call_credentials'),
    ...rejected('channel_credentials_plugin call_credentials_plugin', 'use channel_credentials and call_credentials'),
    ...active('stat_prefix', 'statistics are those of the type that is asked for'),
    ...active('per_stream_buffer_limit_bytes', 'reading stops while 16 MiB wait'),
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
  'typed_config',
  active('name', 'plugins are chosen by the type of their configuration'),
);

export const rateLimitSupport: MessageSupport = message(
  'envoy.config.core.v3.RateLimitSettings',
  'max_tokens fill_rate',
);

export const pathConfigSourceSupport: MessageSupport = message(
  'envoy.config.core.v3.PathConfigSource',
  'path watched_directory poll_interval',
);

export const grpcRetrySupport: MessageSupport = message('envoy.config.core.v3.RetryPolicy', 'retry_back_off', [
  ...warned('num_retries', 'a control plane is tried again until it answers'),
  ...warned(
    'retry_on retry_priority retry_host_predicate host_selection_retry_max_attempts',
    'its addresses are tried in turn, whatever the error',
  ),
]);

export const backOffSupport: MessageSupport = message(
  'envoy.config.core.v3.BackoffStrategy',
  'base_interval max_interval',
);

export const channelArgsSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService.GoogleGrpc.ChannelArgs',
  'args',
);

export const channelArgSupport: MessageSupport = message(
  'envoy.config.core.v3.GrpcService.GoogleGrpc.ChannelArgs.Value',
  'string_value int_value',
);

export const fileMetadataSupport: MessageSupport = message(
  'envoy.config.grpc_credential.v3.FileBasedMetadataConfig',
  'secret_data header_key header_prefix',
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
  fileMetadataSupport,
  channelArgsSupport,
  channelArgSupport,
  grpcRetrySupport,
  backOffSupport,
];
