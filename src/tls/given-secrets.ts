import type { SecretSource } from '../model/tls.js';
import type { CertificateMaterial, ValidationMaterial } from './material.js';
import { type SecretKind, type Secrets, type SecretWatch, secretKey } from './secrets.js';

/** A secret as another process has found it. */
export type GivenSecret = CertificateMaterial | ValidationMaterial;

/** The secrets of a process that is told them. */
export interface GivenSecrets extends Secrets {
  /** undefined: nobody uses it any more. */
  set(key: string, secret: GivenSecret | undefined): void;
}

export function createGivenSecrets(): GivenSecrets {
  const known = new Map<string, GivenSecret>();
  const users = new Map<string, Set<(secret: GivenSecret) => void>>();

  function watch<M extends GivenSecret>(
    kind: SecretKind,
    source: SecretSource<unknown>,
    onChange: () => void,
  ): SecretWatch<M> {
    const key = secretKey(kind, source);
    const watchers = users.get(key) ?? new Set();
    // Who uses it keeps it, also when the other process wants it no more.
    let current = known.get(key);
    const take = (secret: GivenSecret): void => {
      current = secret;
      onChange();
    };
    users.set(key, watchers.add(take));
    return {
      get current() {
        return current as M | undefined;
      },
      label: source.kind === 'sds' ? `secret ${source.name}` : 'a secret of its own',
      overdue: true,
      close() {
        watchers.delete(take);
        if (watchers.size === 0 && users.get(key) === watchers) users.delete(key);
      },
    };
  }
  return {
    set(key, secret) {
      if (secret === undefined) {
        known.delete(key);
        return;
      }
      known.set(key, secret);
      for (const take of [...(users.get(key) ?? [])]) take(secret);
    },
    certificate: (source, onChange) => watch<CertificateMaterial>('certificate', source, onChange),
    validation: (source, onChange) => watch<ValidationMaterial>('validation', source, onChange),
  };
}
