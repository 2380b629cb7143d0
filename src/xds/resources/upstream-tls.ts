import { existsSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { DataSource } from '../../model/data-source.js';
import type {
  CertificateValidation,
  SanMatch,
  SecretSource,
  TlsCertificate,
  TlsVersion,
  UpstreamTls,
} from '../../model/tls.js';
import type { DataSource__Output } from '../../protobuf/generated/envoy/config/core/v3/DataSource.js';
import type { CertificateValidationContext__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/CertificateValidationContext.js';
import type { CommonTlsContext__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/CommonTlsContext.js';
import type { SdsSecretConfig__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/SdsSecretConfig.js';
import type { Secret__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/Secret.js';
import type { TlsCertificate__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/TlsCertificate.js';
import type { UpstreamTlsContext__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/UpstreamTlsContext.js';
import { readConfigSource } from './config-source.js';
import { dataSource } from './data-source.js';
import { join } from './findings.js';
import { readStringMatch } from './string-match.js';
import { checkFields } from './support/check.js';
import {
  commonTlsSupport,
  sanMatcherSupport,
  sdsSecretConfigSupport,
  tlsCertificateSupport,
  tlsParametersSupport,
  upstreamTlsSupport,
  validationSupport,
} from './support/control-plane.js';
import type { Context } from './translate.js';

/** The secrets of the bootstrap, which SDS configurations without a source mean. */
export type StaticSecrets = ReadonlyMap<string, Secret__Output>;

const versions: Readonly<Record<string, TlsVersion>> = {
  TLSv1_0: 'TLSv1',
  TLSv1_1: 'TLSv1.1',
  TLSv1_2: 'TLSv1.2',
  TLSv1_3: 'TLSv1.3',
};

/** A file has to be there from the start, as in Envoy; what it holds may change. */
function readSource(context: Context, source: DataSource__Output | null, path: string): DataSource | undefined {
  if (source === null) return undefined;
  const read = dataSource(source);
  if (read.kind === 'file' && !existsSync(read.path))
    context.findings.malformed.push({ path: join(path, 'filename'), message: `there is no file ${read.path}` });
  return read;
}

export function readTlsCertificate(
  context: Context,
  certificate: TlsCertificate__Output,
  path: string,
): TlsCertificate | undefined {
  checkFields(tlsCertificateSupport, certificate, path, context.findings);
  const certificateChain = readSource(context, certificate.certificate_chain, join(path, 'certificate_chain'));
  const privateKey = readSource(context, certificate.private_key, join(path, 'private_key'));
  const password = readSource(context, certificate.password, join(path, 'password'));
  if (certificateChain && privateKey) return { certificateChain, privateKey, password };
  context.findings.malformed.push({ path, message: 'needs certificate_chain and private_key' });
  return undefined;
}

function readSanMatches(context: Context, validation: CertificateValidationContext__Output, path: string): SanMatch[] {
  const found: SanMatch[] = [];
  for (const [index, san] of validation.match_typed_subject_alt_names.entries()) {
    const at = join(path, `match_typed_subject_alt_names[${index}]`);
    checkFields(sanMatcherSupport, san, at, context.findings);
    const type = san.san_type;
    if (type === 'OTHER_NAME' || type === 'SAN_TYPE_UNSPECIFIED') {
      const message = `${type} is not supported; allowed are DNS, URI, EMAIL and IP_ADDRESS`;
      context.findings.unsupported.push({ path: join(at, 'san_type'), message });
      continue;
    }
    const matcher = san.matcher && readStringMatch(context, san.matcher, join(at, 'matcher'));
    if (matcher) found.push({ type, matcher });
  }
  for (const [index, matcher] of validation.match_subject_alt_names.entries()) {
    const read = readStringMatch(context, matcher, join(path, `match_subject_alt_names[${index}]`));
    if (read) found.push({ type: 'any', matcher: read });
  }
  return found;
}

export function readValidation(
  context: Context,
  validation: CertificateValidationContext__Output,
  path: string,
): CertificateValidation {
  checkFields(validationSupport, validation, path, context.findings);
  const given = readSource(context, validation.trusted_ca, join(path, 'trusted_ca'));
  return {
    trustedCa: given ?? (validation.system_root_certs ? 'system' : undefined),
    crl: readSource(context, validation.crl, join(path, 'crl')),
    sanMatches: readSanMatches(context, validation, path),
    certificateHashes: validation.verify_certificate_hash.map((hash) => hash.replaceAll(':', '').toLowerCase()),
    publicKeyHashes: validation.verify_certificate_spki,
  };
}

/** A secret by name: of the bootstrap, or in a file. */
function readSds<T>(
  context: Context,
  config: SdsSecretConfig__Output,
  path: string,
  secrets: StaticSecrets,
  pick: (secret: Secret__Output) => T | undefined,
): SecretSource<T> | undefined {
  const { findings } = context;
  checkFields(sdsSecretConfigSupport, config, path, findings);
  if (config.sds_config === null) {
    const secret = secrets.get(config.name);
    const found = secret && pick(secret);
    if (found !== undefined) return { kind: 'given', secret: found };
    const known = [...secrets.keys()].join(', ') || 'none';
    const message = `${config.name} is not a fitting one of static_resources.secrets (${known})`;
    findings.malformed.push({ path: join(path, 'name'), message });
    return undefined;
  }
  const source = readConfigSource(context, config.sds_config, join(path, 'sds_config'));
  if (source?.kind === 'path') return { kind: 'file', name: config.name, path: source.path };
  if (source !== undefined)
    findings.unsupported.push({
      path: join(path, 'sds_config'),
      message:
        'not supported: the connection to a control plane cannot wait for a secret of one; use path_config_source or static_resources.secrets',
    });
  return undefined;
}

function readCertificate(
  context: Context,
  common: CommonTlsContext__Output,
  path: string,
  secrets: StaticSecrets,
): UpstreamTls['certificate'] {
  const given = common.tls_certificates;
  const named = common.tls_certificate_sds_secret_configs;
  if (given.length + named.length > 1) {
    const message = 'a client has one certificate; leave one of them';
    context.findings.malformed.push({ path: join(path, 'tls_certificates'), message });
    return undefined;
  }
  if (given[0]) {
    const secret = readTlsCertificate(context, given[0], join(path, 'tls_certificates[0]'));
    return secret && { kind: 'given', secret };
  }
  if (!named[0]) return undefined;
  return readSds(context, named[0], join(path, 'tls_certificate_sds_secret_configs[0]'), secrets, (secret) =>
    secret.tls_certificate ? readTlsCertificate(context, secret.tls_certificate, `secret ${secret.name}`) : undefined,
  );
}

function readValidations(
  context: Context,
  common: CommonTlsContext__Output,
  path: string,
  secrets: StaticSecrets,
): Pick<UpstreamTls, 'validation' | 'defaultValidation'> {
  const sds = (config: SdsSecretConfig__Output, member: string) =>
    readSds(context, config, join(path, member), secrets, (secret) =>
      secret.validation_context
        ? readValidation(context, secret.validation_context, `secret ${secret.name}`)
        : undefined,
    );
  if (common.validation_context) {
    const secret = readValidation(context, common.validation_context, join(path, 'validation_context'));
    return { validation: { kind: 'given', secret }, defaultValidation: undefined };
  }
  if (common.validation_context_sds_secret_config) {
    const member = 'validation_context_sds_secret_config';
    return { validation: sds(common.validation_context_sds_secret_config, member), defaultValidation: undefined };
  }
  const combined = common.combined_validation_context;
  if (!combined?.default_validation_context || !combined.validation_context_sds_secret_config)
    return { validation: undefined, defaultValidation: undefined };
  const at = 'combined_validation_context';
  const defaults = readValidation(
    context,
    combined.default_validation_context,
    join(path, `${at}.default_validation_context`),
  );
  const member = `${at}.validation_context_sds_secret_config`;
  return {
    validation: sds(combined.validation_context_sds_secret_config, member),
    defaultValidation: defaults,
  };
}

/** Certificates are looked at only where there is a CA to trust: Envoy refuses a name without one, and so do we. */
function checkTrust({ findings }: Context, tls: UpstreamTls, path: string): void {
  if (tls.validation?.kind !== 'given') return;
  const { trustedCa, sanMatches, certificateHashes, publicKeyHashes } = tls.validation.secret;
  if (trustedCa ?? tls.defaultValidation?.trustedCa) return;
  if (sanMatches.length + certificateHashes.length + publicKeyHashes.length > 0)
    findings.malformed.push({
      path,
      message: 'checks of the certificate need trusted_ca: without it anybody passes them',
    });
}

/**
 * TLS to a control plane.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/transport_sockets/tls/v3/tls.proto
 */
export function readUpstreamTls(
  context: Context,
  message: UpstreamTlsContext__Output,
  path: string,
  secrets: StaticSecrets,
): UpstreamTls {
  checkFields(upstreamTlsSupport, message, path, context.findings);
  const common = message.common_tls_context;
  const at = join(path, 'common_tls_context');
  if (common) checkFields(commonTlsSupport, common, at, context.findings);
  const params = common?.tls_params ?? null;
  if (params) checkFields(tlsParametersSupport, params, join(at, 'tls_params'), context.findings);
  const tls: UpstreamTls = {
    sni: message.sni,
    minVersion: versions[params?.tls_minimum_protocol_version ?? ''] ?? 'TLSv1.2',
    maxVersion: versions[params?.tls_maximum_protocol_version ?? ''] ?? 'TLSv1.3',
    // BoringSSL's groups of equal preference, which OpenSSL does not have.
    ciphers: (params?.cipher_suites ?? []).join(':').replaceAll(/[[\]]/g, '').replaceAll('|', ':'),
    curves: (params?.ecdh_curves ?? []).join(':'),
    signatureAlgorithms: (params?.signature_algorithms ?? []).join(':'),
    certificate: common ? readCertificate(context, common, at, secrets) : undefined,
    ...(common
      ? readValidations(context, common, at, secrets)
      : { validation: undefined, defaultValidation: undefined }),
  };
  checkTrust(context, tls, join(at, 'validation_context'));
  try {
    createSecureContext(secureContextOptions(tls));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    context.findings.malformed.push({ path: join(at, 'tls_params'), message: reason });
  }
  return tls;
}

/** What of the configuration needs no file. */
export function secureContextOptions({ minVersion, maxVersion, ciphers, curves, signatureAlgorithms }: UpstreamTls) {
  return {
    minVersion,
    maxVersion,
    ...(ciphers && { ciphers }),
    ...(curves && { ecdhCurve: curves }),
    ...(signatureAlgorithms && { sigalgs: signatureAlgorithms }),
  };
}
