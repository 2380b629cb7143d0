import { type AdminEndpoint, json, text } from './endpoint.js';
import type { AdminSources } from './sources.js';

/** What operators may ask of the process. */
export interface LifecycleActions {
  /** Drains, then ends the process. */
  quit(): void;
  failHealthCheck(failed: boolean): void;
  /** Opens log files anew under their paths. */
  reopenLogs(): void;
  /** Closes all listeners; gracefully first when asked. */
  drainListeners(graceful: boolean): void;
}

const seconds = (from: Date): string => `${Math.floor((Date.now() - from.getTime()) / 1000)}s`;

/**
 * GET /ready, /server_info, /init_dump, /memory and POST /quitquitquit, /healthcheck/*, /drain_listeners, /reopen_logs; and those of Envoy's
 * that scripts ask and that have nothing to tell here: no TLS certificates, no runtime, no hot restart.
 */
export function lifecycleEndpoints(sources: AdminSources, actions: LifecycleActions): readonly AdminEndpoint[] {
  const action = (
    path: string,
    help: string,
    run: (query: URLSearchParams) => void,
    parameters?: Record<string, string>,
  ): AdminEndpoint => ({
    path,
    method: 'POST',
    help,
    ...(parameters && { parameters }),
    handle({ query }) {
      run(query);
      return text('OK\n');
    },
  });
  return [
    {
      path: '/ready',
      method: 'GET',
      help: 'print server state, return 200 if LIVE, otherwise return 503',
      handle: () => text(`${sources.state()}\n`, sources.state() === 'LIVE' ? 200 : 503),
    },
    {
      path: '/server_info',
      method: 'GET',
      help: 'print server version/status information',
      handle: () => {
        const { node } = sources.bootstrap;
        return json({
          version: sources.version,
          state: sources.state(),
          uptime_current_epoch: seconds(sources.startTime),
          uptime_all_epochs: seconds(sources.startTime),
          hot_restart_version: 'disabled',
          command_line_options: sources.commandLine,
          node: {
            id: node.id,
            cluster: node.cluster,
            metadata: node.metadata,
            locality: {
              region: node.locality.region,
              zone: node.locality.zone,
              sub_zone: node.locality.subZone,
            },
            user_agent_name: 'pontoon',
          },
        });
      },
    },
    {
      path: '/init_dump',
      method: 'GET',
      help: 'dump what the server is waiting for (unready targets)',
      handle: () => {
        const waiting = sources.waitingFor();
        return json(
          waiting.length === 0
            ? {}
            : {
                unready_targets_dumps: [{ name: 'server', target_names: waiting }],
              },
        );
      },
    },
    {
      path: '/memory',
      method: 'GET',
      help: 'print current allocation/heap usage',
      handle: () => {
        const { heapUsed, heapTotal, rss } = process.memoryUsage();
        return json({
          allocated: String(heapUsed),
          heap_size: String(heapTotal),
          total_physical_bytes: String(rss),
        });
      },
    },
    { path: '/certs', method: 'GET', help: 'print certs on machine', handle: () => json({ certificates: [] }) },
    {
      path: '/runtime',
      method: 'GET',
      help: 'print runtime values',
      handle: () => json({ entries: {}, layers: [] }),
    },
    {
      path: '/hot_restart_version',
      method: 'GET',
      help: 'print the hot restart compatibility version',
      handle: () => text('disabled'),
    },
    action('/reopen_logs', 'reopen access logs', () => actions.reopenLogs()),
    action('/quitquitquit', 'exit the server', () => actions.quit()),
    action('/healthcheck/fail', 'cause the server to fail health checks', () => actions.failHealthCheck(true)),
    action('/healthcheck/ok', 'cause the server to pass health checks', () => actions.failHealthCheck(false)),
    action('/drain_listeners', 'drain listeners', (query) => actions.drainListeners(query.has('graceful')), {
      graceful: 'let running requests end before connections are closed',
    }),
  ];
}
