import type { CertificateValidation, SanMatch, Secret, TlsCertificate } from '../../model/tls.js';
import type { CertificateValidationContext__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/CertificateValidationContext.js';
import type { Secret__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/Secret.js';
import type { TlsCertificate__Output } from '../../protobuf/generated/envoy/extensions/transport_sockets/tls/v3/TlsCertificate.js';
import type { Schema } from '../../protobuf/schema.js';
import { certificateMaterial, validationMaterial } from '../../tls/material.js';
import { dataSource } from './data-source.js';
import { join } from './findings.js';
import { readStringMatch } from './string-match.js';
import { checkFields } from './support/check.js';
import { sanMatcherSupport, secretSupport, tlsCertificateSupport, validationSupport } from './support/tls.js';
import { type Context, type ResourceTranslator, translateResource } from './translate.js';
import { readWatchedDirectory } from './watched-directory.js';

const typeName = 'envoy.extensions.transport_sockets.tls.v3.Secret';

/** What is wrong with a secret's content: `field: reason`. */
function check(context: Context, path: string, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    const [, field = '', reason = String(error)] =
      /^(\w+): ([\s\S]*)$/.exec(error instanceof Error ? error.message : String(error)) ?? [];
    context.findings.malformed.push({ path: join(path, field), message: reason });
  }
}

/** A certificate that can't be used is refused, and where it stands in a file, one that can't be read. */
export function readTlsCertificate(
  context: Context,
  certificate: TlsCertificate__Output,
  path: string,
): TlsCertificate | undefined {
  const { findings } = context;
  const before = findings.unsupported.length;
  checkFields(tlsCertificateSupport, certificate, path, findings);
  if (findings.unsupported.length > before) return undefined;
  if (!certificate.certificate_chain || !certificate.private_key) {
    findings.malformed.push({ path, message: 'needs certificate_chain and private_key' });
    return undefined;
  }
  const read: TlsCertificate = {
    certificateChain: dataSource(context, certificate.certificate_chain, join(path, 'certificate_chain')),
    privateKey: dataSource(context, certificate.private_key, join(path, 'private_key')),
    password: certificate.password ? dataSource(context, certificate.password, join(path, 'password')) : undefined,
    watchedDirectory: readWatchedDirectory(context, certificate.watched_directory, join(path, 'watched_directory')),
  };
  check(context, path, () => certificateMaterial(read));
  return read;
}

function readSanMatches(context: Context, validation: CertificateValidationContext__Output, path: string): SanMatch[] {
  const found: SanMatch[] = [];
  for (const [index, san] of validation.match_typed_subject_alt_names.entries()) {
    const at = join(path, `match_typed_subject_alt_names[${index}]`);
    checkFields(sanMatcherSupport, san, at, context.findings);
    const { san_type: type } = san;
    const matcher = san.matcher && readStringMatch(context, san.matcher, join(at, 'matcher'));
    if (matcher && (type === 'DNS' || type === 'URI' || type === 'EMAIL' || type === 'IP_ADDRESS'))
      found.push({ type, matcher });
  }
  for (const [index, matcher] of validation.match_subject_alt_names.entries()) {
    const read = readStringMatch(context, matcher, join(path, `match_subject_alt_names[${index}]`));
    if (read) found.push({ type: 'any', matcher: read });
  }
  return found;
}

const hexSha256 = /^[0-9a-f]{64}$/;

function readHashes(context: Context, validation: CertificateValidationContext__Output, path: string): string[] {
  return validation.verify_certificate_hash.map((hash, index) => {
    const plain = hash.replaceAll(':', '').toLowerCase();
    if (!hexSha256.test(plain))
      context.findings.malformed.push({
        path: join(path, `verify_certificate_hash[${index}]`),
        message: 'is not a SHA-256 in hexadecimal',
      });
    return plain;
  });
}

export function readValidation(
  context: Context,
  validation: CertificateValidationContext__Output,
  path: string,
): CertificateValidation {
  checkFields(validationSupport, validation, path, context.findings);
  const read: CertificateValidation = {
    trustedCa: validation.trusted_ca
      ? dataSource(context, validation.trusted_ca, join(path, 'trusted_ca'))
      : validation.system_root_certs
        ? 'system'
        : undefined,
    crl: validation.crl ? dataSource(context, validation.crl, join(path, 'crl')) : undefined,
    watchedDirectory: readWatchedDirectory(context, validation.watched_directory, join(path, 'watched_directory')),
    sanMatches: readSanMatches(context, validation, path),
    certificateHashes: readHashes(context, validation, path),
    publicKeyHashes: validation.verify_certificate_spki,
    acceptUntrusted: validation.trust_chain_verification === 'ACCEPT_UNTRUSTED',
  };
  check(context, path, () => validationMaterial(read));
  return read;
}

function readSecret(secret: Secret__Output, context: Context): Secret | undefined {
  const { name } = secret;
  checkFields(secretSupport, secret, '', context.findings);
  if (secret.tls_certificate) {
    const read = readTlsCertificate(context, secret.tls_certificate, 'tls_certificate');
    return read && { kind: 'certificate', name, secret: read };
  }
  if (secret.validation_context) {
    return {
      kind: 'validation',
      name,
      secret: readValidation(context, secret.validation_context, 'validation_context'),
    };
  }
  if (context.findings.parked.length === 0)
    context.findings.malformed.push({ path: '', message: 'needs tls_certificate or validation_context' });
  return undefined;
}

/**
 * SDS.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/transport_sockets/tls/v3/secret.proto
 */
export function secretResource(schema: Schema): ResourceTranslator<Secret> {
  return {
    typeUrl: `type.googleapis.com/${typeName}`,
    nameOf: (bytes) => schema.decode<Secret__Output>(typeName, bytes).name,
    translate: (bytes, origin) => translateResource(schema, typeName, bytes, origin, readSecret),
  };
}
