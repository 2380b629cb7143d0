import type { WatchedDirectory__Output } from '../../protobuf/generated/envoy/config/core/v3/WatchedDirectory.js';
import { checkFields } from './support/check.js';
import { watchedDirectorySupport } from './support/common.js';
import type { Context } from './translate.js';

/** The folder whose swaps make files be read again. */
export function readWatchedDirectory(
  { findings }: Context,
  directory: WatchedDirectory__Output | null | undefined,
  path: string,
): string | undefined {
  if (!directory) return undefined;
  checkFields(watchedDirectorySupport, directory, path, findings);
  return directory.path || undefined;
}
