import type { StatsRegistry } from './create-store.js';
import { exportedBounds } from './histogram.js';

/** Where a name holds a value that Envoy moves into a label, and under which label. The first group is the value; it is cut out of the name. */
const tagRules: readonly (readonly [RegExp, string])[] = [
  [/_rq_(\d{3})$/, 'envoy_response_code'],
  [/_rq_(\d)xx$/, 'envoy_response_code_class'],
];

/** Statistics whose second part is a name of the user's, which may itself hold dots: the rest of the name tells where it ends. */
const namedPrefixes: readonly (readonly [RegExp, string])[] = [
  [
    /^(cluster)\.(.+?)\.((?:circuit_breakers\.[a-z]+\.[a-z_]+|external\.[a-z_0-9]+|internal\.[a-z_0-9]+|[a-z_0-9]+))$/,
    'envoy_cluster_name',
  ],
  [/^(listener)\.(.+?)\.((?:http\..+|[a-z_0-9]+))$/, 'envoy_listener_address'],
  [/^(http)\.(.+?)\.((?:rds\..+|[a-z_0-9]+))$/, 'envoy_http_conn_manager_prefix'],
  [/^(bridge)\.(.+?)\.([a-z_0-9]+)$/, 'pontoon_bridge_plugin'],
];

interface Family {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly lines: string[];
}

const escapeLabel = (value: string): string => value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/"/g, '\\"');

/** `cluster.a.upstream_rq_200` → `envoy_cluster_upstream_rq` with labels, as Envoy's tag extraction names them. */
export function prometheusName(stat: string): {
  readonly name: string;
  readonly labels: readonly (readonly [string, string])[];
} {
  let name = stat;
  const labels: [string, string][] = [];
  for (const [pattern, label] of tagRules) {
    const match = pattern.exec(name);
    if (!match) continue;
    labels.push([label, match[1] as string]);
    name = label === 'envoy_response_code' ? name.slice(0, -4) : `${name.slice(0, match.index)}_rq_xx`;
  }
  for (const [pattern, label] of namedPrefixes) {
    const match = pattern.exec(name);
    if (!match) continue;
    labels.push([label, match[2] as string]);
    name = `${match[1]}.${match[3]}`;
    break;
  }
  return { name: `envoy_${name.replace(/[^a-zA-Z0-9_]/g, '_')}`, labels };
}

function withLabels(name: string, labels: readonly (readonly [string, string])[]): string {
  return `${name}{${labels.map(([key, value]) => `${key}="${escapeLabel(value)}"`).join(',')}}`;
}

/** All statistics in the text format that Prometheus scrapes. https://prometheus.io/docs/instrumenting/exposition_formats/ */
export function formatPrometheus(stats: StatsRegistry, wanted: (name: string) => boolean, usedOnly = false): string {
  const families = new Map<string, Family>();
  function family(name: string, type: Family['type']): string[] {
    let found = families.get(name);
    if (!found) {
      found = { type, lines: [] };
      families.set(name, found);
    }
    return found.lines;
  }
  for (const [type, map] of [
    ['counter', stats.counters],
    ['gauge', stats.gauges],
  ] as const) {
    for (const stat of map.values()) {
      if (!wanted(stat.name) || (usedOnly && stat.value === 0)) continue;
      const { name, labels } = prometheusName(stat.name);
      family(name, type).push(`${withLabels(name, labels)} ${stat.value}`);
    }
  }
  for (const histogram of stats.histograms.values()) {
    if (!wanted(histogram.name) || (usedOnly && histogram.total.count === 0)) continue;
    const { name, labels } = prometheusName(histogram.name);
    const lines = family(name, 'histogram');
    for (const bound of exportedBounds) {
      lines.push(
        `${withLabels(`${name}_bucket`, [...labels, ['le', String(bound)]])} ${histogram.total.countUpTo(bound)}`,
      );
    }
    lines.push(`${withLabels(`${name}_bucket`, [...labels, ['le', '+Inf']])} ${histogram.total.count}`);
    lines.push(`${withLabels(`${name}_sum`, labels)} ${histogram.total.sum}`);
    lines.push(`${withLabels(`${name}_count`, labels)} ${histogram.total.count}`);
  }
  const parts: string[] = [];
  for (const [name, { type, lines }] of [...families].sort(([a], [b]) => (a < b ? -1 : 1))) {
    parts.push(`# TYPE ${name} ${type}\n${lines.join('\n')}\n`);
  }
  return parts.join('');
}
