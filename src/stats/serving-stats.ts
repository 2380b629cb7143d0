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
      serving: /^(?:upstream_.+|lb_healthy_panic|(?:cx|rq|rq_pending)_open|remaining_(?:cx|pending|rq))$/,
      own: /^(?:membership_.+|max_host_weight|update_.+|init_fetch_timeout|warming_state)$/,
    },
  ],
  ['listener', { serving: /^downstream_/ }],
  [
    'http',
    {
      serving: /^(?:downstream_.+|rq_total|no_route|no_cluster|rq_direct_response)$/,
      own: /^(?:update_.+|config_reload|init_fetch_timeout)$/,
    },
  ],
  ['bridge', { serving: /^(?!go_libraries)/, own: /^go_libraries/ }],
  ['filesystem', { serving: /./ }],
  ['access_log_file', { serving: /./ }],
  ...['cluster_manager', 'listener_manager', 'control_plane', 'xds', 'server', 'workers'].map(
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
  if (group?.serving?.test(last)) return 'serving';
  return group?.own?.test(last) ? 'own' : undefined;
}

/** Whether a serving process's statistic of that name is merged into those that are shown. */
export const isServingStat = (name: string): boolean => classifyStat(name) === 'serving';
