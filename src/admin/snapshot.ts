import { type AdminEndpoint, json } from './endpoint.js';

/** The configuration that is kept on disk. */
export interface SnapshotStatus {
  readonly path: string;
  /** The file that this process began with; undefined: there was none that could be used. */
  readonly loaded: { readonly path: string; readonly savedAt: Date; readonly resources: number } | undefined;
  /** What was wrong with files that were there. */
  readonly problems: readonly string[];
  /** Resources that run as the file had them, and that no control plane has spoken of. */
  readonly staleResources: number;
  readonly lastWrite: { readonly at: Date; readonly bytes: number; readonly resources: number } | undefined;
  /** undefined: the last write was good. */
  readonly lastFailure: { readonly at: Date; readonly message: string } | undefined;
}

/** GET /snapshot. `source` is undefined where nothing is kept. */
export function snapshotEndpoint(source: (() => SnapshotStatus) | undefined): AdminEndpoint {
  return {
    path: '/snapshot',
    method: 'GET',
    help: 'print what is kept on disk of the last good configuration',
    handle() {
      const status = source?.();
      if (status === undefined) return json({ enabled: false });
      const { path, loaded, problems, staleResources, lastWrite, lastFailure } = status;
      return json({
        enabled: true,
        path,
        in_use: staleResources > 0,
        stale_resources: staleResources,
        ...(loaded && {
          loaded: { path: loaded.path, saved_at: loaded.savedAt.toISOString(), resources: loaded.resources },
        }),
        ...(problems.length > 0 && { load_problems: problems }),
        ...(lastWrite && {
          last_write: { at: lastWrite.at.toISOString(), bytes: lastWrite.bytes, resources: lastWrite.resources },
        }),
        ...(lastFailure && { last_failure: { at: lastFailure.at.toISOString(), reason: lastFailure.message } }),
      });
    },
  };
}
