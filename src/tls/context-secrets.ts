import type { CertificateValidation, SecretSource, TlsCertificate } from '../model/tls.js';
import { type CertificateMaterial, mergeValidation, type ValidationMaterial } from './material.js';
import type { Secrets } from './secrets.js';

/** All secrets of one side of TLS at one time. */
export interface ContextMaterial {
  readonly certificates: readonly CertificateMaterial[];
  readonly validation: ValidationMaterial | undefined;
}

export interface ContextSecrets {
  /** undefined: one of them has never come. The same object until something changes. */
  readonly current: ContextMaterial | undefined;
  /** What has never come, for people. */
  waitingFor(): readonly string[];
  /** What has never come is not to be waited for any more. */
  readonly overdue: boolean;
  close(): void;
}

/** Follows the secrets of one TLS context. */
export function watchContextSecrets(
  sources: {
    readonly certificates: readonly SecretSource<TlsCertificate>[];
    readonly validation: SecretSource<CertificateValidation> | undefined;
    readonly defaultValidation: CertificateValidation | undefined;
  },
  secrets: Secrets,
  onChange: () => void,
): ContextSecrets {
  let current: ContextMaterial | undefined;
  const changed = (): void => {
    current = undefined;
    onChange();
  };
  const certificates = sources.certificates.map((source) => secrets.certificate(source, changed));
  const validation = sources.validation && secrets.validation(sources.validation, changed);
  const fallback =
    sources.defaultValidation && secrets.validation({ kind: 'given', secret: sources.defaultValidation }, changed);
  const all = [...certificates, ...(validation ? [validation] : []), ...(fallback ? [fallback] : [])];
  const missing = () => all.filter((watch) => watch.current === undefined);

  return {
    get current() {
      if (current !== undefined || missing().length > 0) return current;
      current = {
        certificates: certificates.map((watch) => watch.current as CertificateMaterial),
        validation: mergeValidation(fallback?.current, validation?.current),
      };
      return current;
    },
    waitingFor: () => missing().map(({ label }) => label),
    get overdue() {
      return missing().some((watch) => watch.overdue);
    },
    close() {
      for (const watch of all) watch.close();
    },
  };
}
