import { active, type MessageSupport, message, rejected, warned } from './rules.js';

const noProvider = 'certificate providers are not loaded; use files, inline values or SDS';

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
    ...warned('key_log', 'session keys are never written'),
  ],
);

export const combinedValidationSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.CommonTlsContext.CombinedCertificateValidationContext',
  'default_validation_context validation_context_sds_secret_config',
  rejected('validation_context_certificate_provider validation_context_certificate_provider_instance', noProvider),
);

export const downstreamTlsSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext',
  'common_tls_context require_client_certificate disable_stateless_session_resumption',
  [
    ...warned('require_sni', 'Envoy does not look at it either'),
    ...warned(
      'session_ticket_keys session_ticket_keys_sds_secret_config',
      'sessions are resumed only where they began, until a secret changes',
    ),
    ...warned('session_timeout', "the TLS library's limit applies"),
    ...warned('ocsp_staple_policy=STRICT_STAPLING', 'responses of OCSP are not sent'),
    ...rejected('ocsp_staple_policy=MUST_STAPLE', 'responses of OCSP are not sent'),
    ...warned('prefer_client_ciphers=true', 'the order of cipher_suites is preferred'),
    ...active('disable_stateful_session_resumption', 'there are no stateful sessions'),
    ...active('full_scan_certs_on_sni_mismatch', 'all certificates are looked at'),
  ],
);

export const upstreamTlsSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
  'common_tls_context sni auto_host_sni auto_sni_san_validation',
  [
    ...warned('allow_renegotiation=true', 'renegotiation is never allowed'),
    ...warned('enforce_rsa_key_usage=true', 'the usage of keys is checked by the rules of the TLS library'),
    ...active('max_session_keys', 'sessions are kept per host'),
  ],
);

export const tlsParametersSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.TlsParameters',
  'tls_minimum_protocol_version tls_maximum_protocol_version cipher_suites ecdh_curves signature_algorithms',
  rejected('compliance_policies', 'set versions, ciphers and curves themselves'),
);

export const tlsCertificateSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.TlsCertificate',
  'certificate_chain private_key password watched_directory',
  [
    ...rejected('pkcs12', 'use PEM: certificate_chain and private_key'),
    ...rejected('private_key_provider', 'it is not loaded'),
    ...rejected('tls_params', 'use those of common_tls_context'),
    ...warned('ocsp_staple signed_certificate_timestamp', 'they are not sent'),
  ],
);

export const validationSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.CertificateValidationContext',
  `trusted_ca system_root_certs watched_directory verify_certificate_spki verify_certificate_hash
   match_typed_subject_alt_names match_subject_alt_names crl trust_chain_verification`,
  [
    ...rejected('ca_certificate_provider_instance', noProvider),
    ...rejected('require_signed_certificate_timestamp=true', 'timestamps are not checked'),
    ...rejected('allow_expired_certificate=true', 'an expired certificate is never taken'),
    ...rejected('custom_validator_config', 'it is not loaded'),
    ...rejected('only_verify_leaf_cert_crl=true', 'every certificate of a chain is looked up in the lists'),
    ...rejected('max_verify_depth', 'chains have the limit of the TLS library'),
    ...warned('suppress_client_ca_list=true', 'clients are told which authorities are trusted'),
  ],
);

export const sanMatcherSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.SubjectAltNameMatcher',
  'san_type matcher',
  [
    ...rejected('san_type=OTHER_NAME', 'use DNS, URI, EMAIL or IP_ADDRESS'),
    ...rejected('oid', 'use DNS, URI, EMAIL or IP_ADDRESS'),
  ],
);

export const sdsSecretConfigSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.SdsSecretConfig',
  'name sds_config',
);

const nothingUsesIt = 'nothing uses it';

export const secretSupport: MessageSupport = message(
  'envoy.extensions.transport_sockets.tls.v3.Secret',
  'name tls_certificate validation_context',
  [
    { field: 'session_ticket_keys', treatment: 'parked', reason: nothingUsesIt },
    { field: 'generic_secret', treatment: 'parked', reason: nothingUsesIt },
  ],
);

export const tlsMessages: readonly MessageSupport[] = [
  downstreamTlsSupport,
  upstreamTlsSupport,
  commonTlsSupport,
  combinedValidationSupport,
  tlsParametersSupport,
  tlsCertificateSupport,
  validationSupport,
  sanMatcherSupport,
  sdsSecretConfigSupport,
  secretSupport,
];
