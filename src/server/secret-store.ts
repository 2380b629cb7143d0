import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.js';
import type { Logger } from '../log.js';
import type { ConfigSource } from '../model/config-source.js';
import type { Secret, SecretSource } from '../model/tls.js';
import type { StatsStore } from '../stats/store.js';
import type { GivenSecret } from '../tls/given-secrets.js';
import {
  type CertificateMaterial,
  certificateMaterial,
  type ValidationMaterial,
  validationMaterial,
} from '../tls/material.js';
import { type SecretKind, type Secrets, type SecretWatch, secretKey } from '../tls/secrets.js';
import type { Watcher } from '../xds/ads-client.js';
import type { RejectedResource, ResourceUpdate } from '../xds/resource-type.js';
import { foldersOf, watchFolders } from './secret-files.js';
import { createSubscriptionStats } from './subscription-stats.js';

/** Asks for one secret of a source. */
export type SubscribeSecrets = (
  name: string,
  source: ConfigSource,
  watcher: Omit<Watcher<Secret>, 'initialFetchTimeoutMs'>,
) => { close(): void };

export interface SecretStoreOptions {
  readonly subscribe: SubscribeSecrets;
  readonly stats: StatsStore;
  readonly log: Logger;
  readonly clock: Clock;
  /** A secret that is used came or changed; undefined: nobody uses it any more. */
  readonly onSecret?: (key: string, secret: GivenSecret | undefined) => void;
}

/** The secrets that are used, each kept at its last good version: given where it is used or by SDS, its files read again when they change. */
export interface SecretStore extends Secrets {
  /** For `/certs`. */
  materials(): readonly GivenSecret[];
  close(): void;
}

interface Entry {
  readonly key: string;
  readonly label: string;
  readonly users: Set<() => void>;
  current: GivenSecret | undefined;
  overdue: boolean;
  close(): void;
}

function materialOf(kind: SecretKind, secret: Secret['secret']): GivenSecret {
  return kind === 'certificate'
    ? certificateMaterial(secret as Extract<Secret, { kind: 'certificate' }>['secret'])
    : validationMaterial(secret as Extract<Secret, { kind: 'validation' }>['secret']);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export function createSecretStore(options: SecretStoreOptions): SecretStore {
  const { log, clock } = options;
  const entries = new Map<string, Entry>();

  function tell({ users }: Entry): void {
    for (const onChange of [...users]) if (users.has(onChange)) onChange();
  }

  /** Keeps an entry's material up with its secret, whose files may change. */
  function follower(entry: Entry, kind: SecretKind, onFailure: () => void) {
    let stopWatching = (): void => undefined;
    let followed: Secret['secret'] | undefined;

    function read(secret: Secret['secret']): string | undefined {
      try {
        const material = materialOf(kind, secret);
        if (isDeepStrictEqual(material, entry.current)) return undefined;
        entry.current = material;
        entry.overdue = false;
        options.onSecret?.(entry.key, material);
        tell(entry);
        return undefined;
      } catch (error) {
        return messageOf(error);
      }
    }
    function reload(secret: Secret['secret']): void {
      const problem = read(secret);
      if (problem === undefined) {
        log.info({ secret: entry.label }, 'the files of a secret were read again');
        return;
      }
      onFailure();
      const kept = entry.current === undefined ? 'what uses it waits' : 'what was read before stays in use';
      log.error({ secret: entry.label }, `its files can't be used, ${kept}: ${problem}`);
    }
    return {
      /** @returns why it can't be used: the last good one stays then, unless there is none, and files may still become good */
      set(secret: Secret['secret']): string | undefined {
        const problem = read(secret);
        if (problem !== undefined && followed !== undefined) return problem;
        if (followed !== undefined && isDeepStrictEqual(followed, secret)) return problem;
        followed = secret;
        stopWatching();
        const folders = foldersOf(secret);
        stopWatching = folders.length === 0 ? () => undefined : watchFolders(folders, clock, () => reload(secret));
        return problem;
      },
      stop: () => stopWatching(),
    };
  }

  function openGiven(entry: Entry, kind: SecretKind, secret: Secret['secret']): void {
    const failures = options.stats.counter('sds.key_rotation_failed');
    const files = follower(entry, kind, () => {
      failures.value++;
    });
    const problem = files.set(secret);
    // It was good when its user was judged: nothing waits for that its files come back.
    entry.overdue = problem !== undefined;
    if (problem !== undefined)
      log.error({ secret: entry.label }, `it can't be used, and what uses it waits: ${problem}`);
    entry.close = () => files.stop();
  }

  function openSds(entry: Entry, kind: SecretKind, name: string, source: ConfigSource): void {
    const scope = options.stats.scope(`sds.${name.replaceAll(':', '_')}`);
    const counts = {
      ...createSubscriptionStats(scope, clock),
      keyRotationFailed: scope.counter('key_rotation_failed'),
      duration: scope.histogram('update_duration', 'ms'),
    };
    const files = follower(entry, kind, () => {
      counts.keyRotationFailed.value++;
    });

    function take({ version: said, changed, unchanged }: ResourceUpdate<Secret>): RejectedResource[] {
      const refused: RejectedResource[] = [];
      if (unchanged.length > 0) counts.accepted(said);
      for (const { version, verdict } of changed) {
        const model = verdict.kind === 'active' && verdict.model.kind === kind ? verdict.model : undefined;
        const problem =
          model === undefined ? `it is used as a ${kind}, and is of another kind` : files.set(model.secret);
        if (problem === undefined) counts.accepted(version);
        else refused.push({ name, problems: [{ path: '', message: problem }] });
      }
      return refused;
    }
    counts.attempt.value++;
    const subscription = options.subscribe(name, source, {
      async onUpdate(update) {
        counts.attempt.value++;
        const start = clock.monotonic();
        const refused = take(update);
        if (refused.length + update.rejected.length + update.removed.length === 0)
          counts.duration.record(clock.monotonic() - start);
        counts.rejected.value += refused.length + update.rejected.length;
        const late = update.cause === 'initial_fetch_timeout';
        if ((late || update.cause === 'source_failure') && entry.current === undefined) {
          if (late) counts.timeout.value++;
          entry.overdue = true;
          log.warn({ secret: name }, 'no secret in time: what uses it still waits, and nothing else waits for that');
          tell(entry);
        } else if (update.removed.length > 0) {
          log.warn({ secret: name, kept: entry.current !== undefined }, 'the control plane has no such secret');
        }
        return refused;
      },
      onConnectionFailure() {
        counts.attempt.value++;
        counts.failure.value++;
      },
    });
    entry.close = () => {
      subscription.close();
      files.stop();
      scope.remove();
    };
  }

  function entryOf(kind: SecretKind, source: SecretSource<Secret['secret']>): Entry {
    const key = secretKey(kind, source);
    const known = entries.get(key);
    if (known) return known;
    const label = source.kind === 'sds' ? `secret ${source.name} (SDS)` : `a ${kind} of its own`;
    const entry: Entry = { key, label, users: new Set(), current: undefined, overdue: false, close: () => undefined };
    entries.set(key, entry);
    if (source.kind === 'given') openGiven(entry, kind, source.secret);
    else openSds(entry, kind, source.name, source.source);
    return entry;
  }

  function watch<M extends GivenSecret>(
    kind: SecretKind,
    source: SecretSource<Secret['secret']>,
    onChange: () => void,
  ): SecretWatch<M> {
    const entry = entryOf(kind, source);
    // One function may be that of several users.
    const user = (): void => onChange();
    entry.users.add(user);
    return {
      get current() {
        return entry.current as M | undefined;
      },
      label: entry.label,
      get overdue() {
        return entry.overdue;
      },
      close() {
        if (!entry.users.delete(user) || entry.users.size > 0) return;
        entries.delete(entry.key);
        entry.close();
        if (entry.current) options.onSecret?.(entry.key, undefined);
      },
    };
  }

  return {
    certificate: (source, onChange) => watch<CertificateMaterial>('certificate', source, onChange),
    validation: (source, onChange) => watch<ValidationMaterial>('validation', source, onChange),
    materials: () => [...entries.values()].flatMap(({ current }) => (current ? [current] : [])),
    close() {
      for (const entry of entries.values()) entry.close();
      entries.clear();
    },
  };
}
