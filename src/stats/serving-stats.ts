interface Group {
  readonly serving?: RegExp;
  readonly own?: RegExp;
}

/**
 * By a name's first part: which last parts are counted where requests are served, and which by who decides the configuration. What is between
 * them, names of clusters, listeners, prefixes and plugins, may hold anything.
 */
const groups: ReadonlyMap<string, Group> = new Map<string, Group>([
  [
    'cluster',
    {
      own: /^(?:membership_.+|max_host_weight|update_.+|init_fetch_timeout|assignment_.+|warming_state|ssl_context_update_by_sds|version)$/,
      serving: /./,
    },
  ],
  ['listener', { own: /^ssl_context_update_by_sds$/, serving: /./ }],
  ['http', { own: /^(?:update_.+|config_reload|config_reload_time_ms|init_fetch_timeout|version)$/, serving: /./ }],
  [
    'bridge',
    { own: /^(?:go_libraries.*|judge_crashes|library_rollbacks|rolled_back_clusters|crashes_.+)$/, serving: /./ },
  ],
  ['tls_inspector', { serving: /./ }],
  ['filesystem', { serving: /./ }],
  ['access_log_file', { serving: /./ }],
  ...['cluster_manager', 'listener_manager', 'control_plane', 'xds', 'sds', 'server', 'workers'].map(
    (group): [string, Group] => [group, { own: /./ }],
  ),
]);

/**
 * Whose a statistic is where one process decides what others serve: `serving` is counted where requests are served, and is merged; `own` is
 * counted by the deciding process, so that what the others have under that name (they carry out the same configuration) is left out.
 *
 * @returns undefined for a name that no rule knows: it is not merged
 */
export function classifyStat(name: string): 'serving' | 'own' | undefined {
  const group = groups.get(name.slice(0, name.indexOf('.')));
  const last = name.slice(name.lastIndexOf('.') + 1);
  if (group?.own?.test(last)) return 'own';
  return group?.serving?.test(last) ? 'serving' : undefined;
}

/** Whether a serving process's statistic of that name is merged into those that are shown. */
export const isServingStat = (name: string): boolean => classifyStat(name) === 'serving';
