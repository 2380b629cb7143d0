import { createSecureContext, getCiphers } from 'node:tls';
import type {
  CertificateValidation,
  CommonTls,
  DownstreamTls,
  Secret,
  SecretSource,
  TlsCertificate,
  TlsVersion,
  UpstreamTls,
} from '../../model/tls.js';
import type { CommonTlsContext__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/CommonTlsContext.js';
import type { DownstreamTlsContext__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/DownstreamTlsContext.js';
import type { SdsSecretConfig__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/SdsSecretConfig.js';
import type { TlsParameters__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/TlsParameters.js';
import type { UpstreamTlsContext__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/UpstreamTlsContext.js';
import { parameterOptions } from '../../tls/secure-context.js';
import { checkSubscribedName, readConfigSource } from './config-source.js';
import { join } from './findings.js';
import { readTlsCertificate, readValidation } from './secret.js';
import { checkFields } from './support/check.js';
import {
  combinedValidationSupport,
  commonTlsSupport,
  downstreamTlsSupport,
  sdsSecretConfigSupport,
  tlsParametersSupport,
  upstreamTlsSupport,
} from './support/tls.js';
import type { Context } from './translate.js';

/** The secrets of the bootstrap, which SDS configurations without a source mean. */
export type StaticSecrets = ReadonlyMap<string, Secret>;

export const noStaticSecrets: StaticSecrets = new Map();

const versions: Readonly<Record<string, TlsVersion>> = {
  TLSv1_0: 'TLSv1',
  TLSv1_1: 'TLSv1.1',
  TLSv1_2: 'TLSv1.2',
  TLSv1_3: 'TLSv1.3',
};

type SecretOf<K extends Secret['kind']> = Extract<Secret, { readonly kind: K }>['secret'];

/** A secret by name: of the bootstrap, or of a source. */
function readSds<K extends Secret['kind']>(
  context: Context,
  config: SdsSecretConfig__Output,
  path: string,
  secrets: StaticSecrets,
  kind: K,
): SecretSource<SecretOf<K>> | undefined {
  checkFields(sdsSecretConfigSupport, config, path, context.findings);
  if (config.sds_config !== null) {
    checkSubscribedName(context, config.name, join(path, 'name'));
    const source = readConfigSource(context, config.sds_config, join(path, 'sds_config'));
    return source && { kind: 'sds', name: config.name, source };
  }
  const found = secrets.get(config.name);
  if (found?.kind === kind) return { kind: 'given', secret: found.secret as SecretOf<K> };
  const known = [...secrets.values()].filter((secret) => secret.kind === kind).map(({ name }) => name);
  const message = `static_resources.secrets has no ${kind} ${config.name} (only: ${known.join(', ') || 'none'}); add it, or set sds_config`;
  context.findings.malformed.push({ path: join(path, 'name'), message });
  return undefined;
}

function readCertificates(
  context: Context,
  common: CommonTlsContext__Output,
  path: string,
  secrets: StaticSecrets,
): SecretSource<TlsCertificate>[] {
  const found: (SecretSource<TlsCertificate> | undefined)[] = [];
  for (const [index, certificate] of common.tls_certificates.entries()) {
    const secret = readTlsCertificate(context, certificate, join(path, `tls_certificates[${index}]`));
    found.push(secret && { kind: 'given', secret });
  }
  for (const [index, config] of common.tls_certificate_sds_secret_configs.entries()) {
    const at = join(path, `tls_certificate_sds_secret_configs[${index}]`);
    found.push(readSds(context, config, at, secrets, 'certificate'));
  }
  return found.filter((source) => source !== undefined);
}

type Validations = Pick<CommonTls, 'validation' | 'defaultValidation'>;

function readValidations(
  context: Context,
  common: CommonTlsContext__Output,
  path: string,
  secrets: StaticSecrets,
): Validations {
  const sds = (config: SdsSecretConfig__Output, member: string) =>
    readSds(context, config, join(path, member), secrets, 'validation');
  if (common.validation_context) {
    const secret = readValidation(context, common.validation_context, join(path, 'validation_context'));
    return { validation: { kind: 'given', secret }, defaultValidation: undefined };
  }
  if (common.validation_context_sds_secret_config) {
    const member = 'validation_context_sds_secret_config';
    return { validation: sds(common.validation_context_sds_secret_config, member), defaultValidation: undefined };
  }
  const combined = common.combined_validation_context;
  if (!combined) return { validation: undefined, defaultValidation: undefined };
  const at = join(path, 'combined_validation_context');
  checkFields(combinedValidationSupport, combined, at, context.findings);
  const { default_validation_context: fallback, validation_context_sds_secret_config: config } = combined;
  return {
    validation: config ? sds(config, 'combined_validation_context.validation_context_sds_secret_config') : undefined,
    defaultValidation: fallback ? readValidation(context, fallback, join(at, 'default_validation_context')) : undefined,
  };
}

/** As Envoy: a name in a certificate that nobody trusted has signed proves nothing. */
function checkTrust({ findings }: Context, { validation, defaultValidation }: Validations, path: string): void {
  const given: CertificateValidation[] = defaultValidation ? [defaultValidation] : [];
  if (validation?.kind === 'given') given.push(validation.secret);
  // SDS may bring the authorities.
  if (validation?.kind === 'sds' || given.some(({ trustedCa }) => trustedCa !== undefined)) return;
  if (given.some(({ sanMatches }) => sanMatches.length > 0))
    findings.malformed.push({
      path,
      message: 'matching of subject alternative names needs trusted_ca: anybody can have that name',
    });
}

/** The protocols that a connection may agree on. Others are not offered, so that they are not chosen. */
function readAlpn(context: Context, protocols: readonly string[], path: string): string[] {
  const spoken = protocols.filter((protocol) => /^(?:istio-)?http\/1\.[01]$/.test(protocol));
  for (const protocol of protocols)
    if (!spoken.includes(protocol))
      context.findings.warnings.push({
        path: join(path, 'alpn_protocols'),
        message: `ignored: ${protocol} is not offered, because it is not spoken`,
      });
  return spoken;
}

type Parameters = Pick<CommonTls, 'minVersion' | 'maxVersion' | 'ciphers' | 'curves' | 'signatureAlgorithms'>;

/** What the TLS library does not know is refused by name: without it a connection would be encrypted in another way. */
function readParameters(
  context: Context,
  params: TlsParameters__Output | null,
  path: string,
  defaultMax: TlsVersion,
): Parameters {
  const { findings } = context;
  if (params) checkFields(tlsParametersSupport, params, path, findings);
  // BoringSSL's groups of equal preference, which OpenSSL does not have.
  const ciphers = (params?.cipher_suites ?? []).flatMap((suite) => suite.replaceAll(/[[\]]/g, '').split(/[|:]/));
  const known = new Set(getCiphers());
  for (const cipher of ciphers)
    if (!known.has(cipher.toLowerCase()) && !/^[A-Z+!@-]*$/.test(cipher))
      findings.unsupported.push({
        path: join(path, 'cipher_suites'),
        message: `not supported: ${cipher} is not known`,
      });
  const read: Parameters = {
    minVersion: versions[params?.tls_minimum_protocol_version ?? ''] ?? 'TLSv1.2',
    maxVersion: versions[params?.tls_maximum_protocol_version ?? ''] ?? defaultMax,
    ciphers: ciphers.join(':'),
    curves: (params?.ecdh_curves ?? []).join(':'),
    signatureAlgorithms: (params?.signature_algorithms ?? []).join(':'),
  };
  if (read.minVersion > read.maxVersion) {
    const message = `${read.minVersion} is above the maximum, ${read.maxVersion}`;
    findings.malformed.push({ path: join(path, 'tls_minimum_protocol_version'), message });
  }
  try {
    createSecureContext({ ...parameterOptions(read), ca: [] });
  } catch (error) {
    findings.unsupported.push({
      path,
      message: `not supported: ${error instanceof Error ? error.message : String(error)}`,
    });
  }
  return read;
}

function readCommon(
  context: Context,
  common: CommonTlsContext__Output | null,
  path: string,
  secrets: StaticSecrets,
  defaultMax: TlsVersion,
): CommonTls & { readonly certificates: readonly SecretSource<TlsCertificate>[] } {
  if (common) checkFields(commonTlsSupport, common, path, context.findings);
  const validations = common
    ? readValidations(context, common, path, secrets)
    : { validation: undefined, defaultValidation: undefined };
  checkTrust(context, validations, join(path, 'validation_context'));
  return {
    ...readParameters(context, common?.tls_params ?? null, join(path, 'tls_params'), defaultMax),
    alpnProtocols: common ? [...common.alpn_protocols] : [],
    certificates: common ? readCertificates(context, common, path, secrets) : [],
    ...validations,
  };
}

/**
 * TLS to servers. What is offered at most is Envoy's default of clients, where nothing else is said.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/transport_sockets/tls/v3/tls.proto
 */
export function readUpstreamTls(
  context: Context,
  message: UpstreamTlsContext__Output,
  path: string,
  secrets: StaticSecrets,
  defaultMax: TlsVersion = 'TLSv1.2',
): UpstreamTls {
  checkFields(upstreamTlsSupport, message, path, context.findings);
  const at = join(path, 'common_tls_context');
  const { certificates, ...common } = readCommon(context, message.common_tls_context, at, secrets, defaultMax);
  const [certificate, ...more] = certificates;
  if (more.length > 0)
    context.findings.malformed.push({
      path: join(at, 'tls_certificates'),
      message: 'a client has one certificate at most',
    });
  const sniIsName = message.auto_sni_san_validation;
  const trusts = [
    common.validation,
    common.defaultValidation && ({ kind: 'given', secret: common.defaultValidation } as const),
  ];
  if (sniIsName && !trusts.some((source) => source && (source.kind === 'sds' || source.secret.trustedCa !== undefined)))
    context.findings.malformed.push({
      path: join(path, 'auto_sni_san_validation'),
      message: 'needs trusted_ca: anybody can have that name',
    });
  return { ...common, sni: message.sni, sniFromHost: message.auto_host_sni, sniIsName, certificate };
}

/** How long a handshake may take where the filter chain does not say: Envoy has no limit then, and clients could hold as many as they like. */
const defaultHandshakeTimeoutMs = 60_000;

/** TLS of clients. `handshakeTimeoutMs` 0: the default. */
export function readDownstreamTls(
  context: Context,
  message: DownstreamTlsContext__Output,
  path: string,
  secrets: StaticSecrets,
  handshakeTimeoutMs: number,
): DownstreamTls {
  const { findings } = context;
  checkFields(downstreamTlsSupport, message, path, findings);
  const at = join(path, 'common_tls_context');
  const tls = readCommon(context, message.common_tls_context, at, secrets, 'TLSv1.3');
  const toldWhy = findings.malformed.length + findings.unsupported.length > 0;
  if (tls.certificates.length === 0 && !toldWhy)
    findings.malformed.push({ path: join(at, 'tls_certificates'), message: 'a server needs a certificate' });
  const requireClientCertificate = message.require_client_certificate?.value ?? false;
  if (requireClientCertificate && tls.validation === undefined && tls.defaultValidation === undefined)
    findings.unsupported.push({
      path: join(path, 'require_client_certificate'),
      message: 'not supported: there is no validation_context, so that no client certificate would be good',
    });
  return {
    ...tls,
    alpnProtocols: readAlpn(context, tls.alpnProtocols, at),
    requireClientCertificate,
    sessionTickets: !(message.disable_stateless_session_resumption ?? false),
    handshakeTimeoutMs: handshakeTimeoutMs || defaultHandshakeTimeoutMs,
  };
}
