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

const toControlPlane = 'of a control plane';

export const upstreamTlsSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
  'common_tls_context sni auto_host_sni auto_sni_san_validation',
  [
    ...rejected('allow_renegotiation', 'renegotiation is never allowed'),
    ...silent('max_session_keys enforce_rsa_key_usage'),
  ],
  toControlPlane,
);

const noProvider = 'certificate providers are not loaded; use files, inline values or SDS from path_config_source';

export const commonTlsSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.CommonTlsContext',
  `tls_params tls_certificates tls_certificate_sds_secret_configs validation_context
   validation_context_sds_secret_config combined_validation_context alpn_protocols`,
  [
    ...rejected(
      `tls_certificate_provider_instance tls_certificate_certificate_provider
       tls_certificate_certificate_provider_instance validation_context_certificate_provider
       validation_context_certificate_provider_instance`,
      noProvider,
    ),
    ...rejected('custom_handshaker custom_tls_certificate_selector', 'it is not loaded'),
    ...ignored('key_log', 'session keys are never written'),
  ],
  toControlPlane,
);

export const tlsParametersSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.TlsParameters',
  'tls_minimum_protocol_version tls_maximum_protocol_version cipher_suites ecdh_curves signature_algorithms',
  ignored('compliance_policies', 'the limits are those of the other fields'),
  toControlPlane,
);

export const tlsCertificateSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.TlsCertificate',
  'certificate_chain private_key password watched_directory',
  [
    ...rejected('pkcs12', 'use PEM: certificate_chain and private_key'),
    ...rejected('private_key_provider', 'it is not loaded'),
    ...rejected('tls_params', 'use those of common_tls_context'),
    ...ignored('ocsp_staple signed_certificate_timestamp', 'they are not sent'),
  ],
  toControlPlane,
);

export const validationSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext',
  `trusted_ca system_root_certs watched_directory verify_certificate_spki verify_certificate_hash
   match_typed_subject_alt_names match_subject_alt_names crl`,
  [
    ...rejected('ca_certificate_provider_instance', noProvider),
    ...rejected('require_signed_certificate_timestamp', 'timestamps are not checked'),
    ...rejected('allow_expired_certificate', 'an expired certificate is never taken'),
    ...rejected('trust_chain_verification=ACCEPT_UNTRUSTED', 'leave trusted_ca out where nothing is to be checked'),
    ...rejected('custom_validator_config', 'it is not loaded'),
    ...silent('only_verify_leaf_cert_crl max_verify_depth suppress_client_ca_list'),
  ],
  toControlPlane,
);

export const sdsSecretConfigSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig',
  'name sds_config',
  [],
  toControlPlane,
);

export const sanMatcherSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher',
  'san_type matcher',
  rejected('oid', 'names of other kinds are not read'),
  toControlPlane,
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
  upstreamTlsSupport,
  commonTlsSupport,
  tlsParametersSupport,
  tlsCertificateSupport,
  validationSupport,
  sanMatcherSupport,
  sdsSecretConfigSupport,
];
