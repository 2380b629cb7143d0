import type { GivenSecret } from '../../tls/given-secrets.js';
import type { Replayed, WorkerLine } from './cluster-relay.js';

/** Tells workers the secrets of what they serve. */
export function createSecretRelay({ send }: Pick<WorkerLine, 'send'>): {
  readonly set: (key: string, secret: GivenSecret | undefined) => void;
} & Replayed {
  const current = new Map<string, GivenSecret>();
  return {
    set(key, secret) {
      if (secret) current.set(key, secret);
      else current.delete(key);
      send({ kind: 'secret', key, secret });
    },
    replay(sendOne) {
      for (const [key, secret] of current) sendOne({ kind: 'secret', key, secret });
    },
  };
}
