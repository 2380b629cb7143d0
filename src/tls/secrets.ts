import { createHash } from 'node:crypto';
import type { CertificateValidation, SecretSource, TlsCertificate } from '../model/tls.js';
import type { CertificateMaterial, ValidationMaterial } from './material.js';

export type SecretKind = 'certificate' | 'validation';

/** A secret that somebody uses. */
export interface SecretWatch<M> {
  /** The last good version; undefined: none has come yet. */
  readonly current: M | undefined;
  /** For people, as in `secret server_cert (SDS)`. */
  readonly label: string;
  /** Nothing came within its initial_fetch_timeout: what must not wait for ever goes on without it. */
  readonly overdue: boolean;
  /** `onChange` is not called any more. */
  close(): void;
}

/** Where the users of TLS get their secrets from. `onChange` is called later, after `current` or `overdue` has changed. */
export interface Secrets {
  certificate(source: SecretSource<TlsCertificate>, onChange: () => void): SecretWatch<CertificateMaterial>;
  validation(source: SecretSource<CertificateValidation>, onChange: () => void): SecretWatch<ValidationMaterial>;
}

/** Equal for sources of equal meaning, in every process. It tells nothing of a secret. */
export function secretKey(kind: SecretKind, source: SecretSource<unknown>): string {
  const text = JSON.stringify([kind, source], (_name, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value,
  );
  return createHash('sha256').update(text).digest('hex');
}

/** For who has no secrets to give: nobody who needs one ever gets it. */
export const noSecrets: Secrets = {
  certificate: () => ({ current: undefined, label: 'a certificate', overdue: true, close: () => undefined }),
  validation: () => ({ current: undefined, label: 'a validation context', overdue: true, close: () => undefined }),
};
