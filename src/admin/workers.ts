import { type AdminEndpoint, json, text } from './endpoint.js';

/** One process that serves. */
export interface ShownWorker {
  readonly worker: number;
  readonly pid: number | undefined;
  /** As in `serving` or `draining`. */
  readonly state: string;
  /** Open ones, as it said last. */
  readonly connections: number;
  readonly ageMs: number;
}

/** The processes that serve, where those are not this one. */
export interface WorkersSource {
  workers(): readonly ShownWorker[];
  /** Starts workers from the program that is on disk now, one after the other, and drains the old ones. */
  hotRestart(): Promise<void>;
}

/** GET /workers and POST /hot_restart. `source` is undefined where one process does everything. */
export function workersEndpoints(source: WorkersSource | undefined): readonly AdminEndpoint[] {
  return [
    {
      path: '/workers',
      method: 'GET',
      help: 'print the processes that serve',
      handle() {
        const workers = source?.workers() ?? [];
        return json({
          workers: workers.map(({ worker, pid, state, connections, ageMs }) => ({
            worker,
            pid,
            state,
            connections,
            uptime: `${Math.floor(ageMs / 1000)}s`,
          })),
        });
      },
    },
    {
      path: '/hot_restart',
      method: 'POST',
      help: 'start workers from the program that is on disk now, one after the other, and drain the old ones',
      handle() {
        if (source === undefined) {
          return text('no workers: this process serves. Start it with --isolate or --concurrency N\n', 400);
        }
        void source.hotRestart();
        return text('OK\n');
      },
    },
  ];
}
