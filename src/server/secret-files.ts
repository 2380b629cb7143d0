import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock, Timer } from '../clock.js';
import type { Secret } from '../model/tls.js';
import { fileOf } from '../tls/data-source.js';

/** Files are changed one after the other, or all at once by a rename: the last event counts. */
const settleMs = 50;
/** A folder that can't be watched (it is away for a moment) is tried again. */
const retryMs = 1_000;

/** The folders in which a change may mean that a secret is another one; none for a secret without files. */
export function foldersOf(secret: Secret['secret']): readonly string[] {
  const sources =
    'privateKey' in secret
      ? [secret.certificateChain, secret.privateKey, secret.password]
      : [secret.trustedCa === 'system' ? undefined : secret.trustedCa, secret.crl];
  const files = sources.map(fileOf).filter((file) => file !== undefined);
  if (files.length === 0) return [];
  return secret.watchedDirectory === undefined
    ? [...new Set(files.map((file) => dirname(file)))]
    : [secret.watchedDirectory];
}

/** Calls `onChange` after something in one of the folders has changed, until the function that is returned is called. */
export function watchFolders(folders: readonly string[], clock: Clock, onChange: () => void): () => void {
  const watchers = new Map<string, FSWatcher>();
  const timers = new Map<string, Timer>();

  function later(name: string, ms: number, then: () => void): void {
    timers.get(name)?.cancel();
    timers.set(name, clock.setTimeout(then, ms));
  }
  function open(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => later('', settleMs, onChange));
      watcher.on('error', () => reopen(folder));
      watchers.set(folder, watcher);
    } catch {
      reopen(folder);
    }
  }
  function reopen(folder: string): void {
    watchers.get(folder)?.close();
    watchers.delete(folder);
    later(folder, retryMs, () => {
      open(folder);
      if (watchers.has(folder)) onChange();
    });
  }
  for (const folder of folders) open(folder);
  return () => {
    for (const watcher of watchers.values()) watcher.close();
    for (const timer of timers.values()) timer.cancel();
  };
}
