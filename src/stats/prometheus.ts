import type { ScopeView, StatsRegistry } from './create-store.js';
import type { GroupInstance, StatKind } from './group.js';
import { createHistogram, exportedBounds, type HistogramData } from './histogram.js';
import type { Counter, Histogram } from './store.js';

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

type Labels = readonly (readonly [string, string])[];

function* numberLines(name: string, labels: Labels, { value }: Counter): Generator<string> {
  yield `${withLabels(name, labels)} ${value}\n`;
}

function* histogramLines(name: string, labels: Labels, { total }: HistogramData): Generator<string> {
  for (const bound of exportedBounds)
    yield `${withLabels(`${name}_bucket`, [...labels, ['le', String(bound)]])} ${total.countUpTo(bound)}\n`;
  yield `${withLabels(`${name}_bucket`, [...labels, ['le', '+Inf']])} ${total.count}\n`;
  yield `${withLabels(`${name}_sum`, labels)} ${total.sum}\n`;
  yield `${withLabels(`${name}_count`, labels)} ${total.count}\n`;
}

const untouchedNumber: Counter = { name: '', value: 0 };
const untouchedHistogram = createHistogram('');

function linesOf(
  kind: StatKind,
  stat: Counter | Histogram | undefined,
  name: string,
  labels: Labels,
): Generator<string> {
  return kind === 'histograms'
    ? histogramLines(name, labels, (stat as HistogramData | undefined) ?? untouchedHistogram)
    : numberLines(name, labels, (stat as Counter | undefined) ?? untouchedNumber);
}

const isUsed = (kind: StatKind, stat: Counter | Histogram | undefined): boolean =>
  stat !== undefined &&
  (kind === 'histograms' ? (stat as HistogramData).total.count > 0 : (stat as Counter).value !== 0);

/** One statistic of a group, in whatever scopes have the group. */
interface Place {
  readonly template: object;
  readonly inner: string;
  readonly place: number;
}

interface Family {
  readonly kind: StatKind;
  readonly places: Place[];
  readonly others: (Counter | Histogram)[];
}

const kinds = ['counters', 'gauges', 'histograms'] as const;
const types = { counters: 'counter', gauges: 'gauge', histograms: 'histogram' } as const;

/**
 * All statistics in the text format that Prometheus scrapes, family by family; nothing is kept but what is being told. Yields '' now and
 * then, for whoever lets others have their turn. https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function* formatPrometheus(
  stats: StatsRegistry,
  wanted: (name: string) => boolean,
  usedOnly = false,
): Generator<string> {
  const scopes = [...stats.scopes()];
  const families = yield* findFamilies(scopes);
  for (const [name, { kind, places, others }] of [...families].sort(([a], [b]) => (a < b ? -1 : 1))) {
    let head = `# TYPE ${name} ${types[kind]}\n`;
    for (const stat of others) {
      if (!wanted(stat.name) || (usedOnly && !isUsed(kind, stat))) continue;
      yield head;
      head = '';
      yield* linesOf(kind, stat, name, prometheusName(stat.name).labels);
    }
    for (const { template, inner, place } of places) {
      for (const { prefix, groups } of scopes) {
        yield '';
        const group = groups.find((each) => each.template === template && each.inner === inner);
        const found = group?.made[place];
        if (!group || (usedOnly && !isUsed(kind, found))) continue;
        const fullName = nameIn(prefix, group, place);
        const { name: family, labels } = prometheusName(fullName);
        // In a scope of an odd name it is told among the others of another family.
        if (family !== name || !wanted(fullName)) continue;
        yield head;
        head = '';
        yield* linesOf(kind, found, name, labels);
      }
    }
  }
}

const nameIn = (prefix: string, { inner, template }: GroupInstance, place: number): string =>
  `${prefix}.${inner}${template.entries[place]?.name}`;

function* findFamilies(scopes: readonly ScopeView[]): Generator<string, ReadonlyMap<string, Family>> {
  const families = new Map<string, Family>();
  /** Families of a group's places. A group has the same in all scopes of a kind (`cluster.…`), but for those of an odd name. */
  const known = new Map<string, readonly string[]>();
  const templates = new Map<object, number>();
  function familyOf(name: string, kind: StatKind): Family {
    const family = families.get(name) ?? { kind, places: [], others: [] };
    families.set(name, family);
    return family;
  }
  for (const { prefix, groups, others } of scopes) {
    yield '';
    for (const group of groups) {
      const { template, inner } = group;
      const number = templates.get(template) ?? templates.size;
      templates.set(template, number);
      const key = `${prefix.split('.', 1)} ${inner} ${number}`;
      const names = (all: boolean) =>
        template.entries
          .slice(0, all ? undefined : 1)
          .map((_, place) => prometheusName(nameIn(prefix, group, place)).name);
      const usual = known.get(key);
      if (usual && usual[0] === names(false)[0]) continue;
      for (const [place, family] of names(true).entries()) {
        const { kind } = template.entries[place] as { kind: StatKind };
        if (usual)
          familyOf(family, kind).others.push(group.made[place] ?? untouched(kind, nameIn(prefix, group, place)));
        else familyOf(family, kind).places.push({ template, inner, place });
      }
      if (!usual) known.set(key, names(true));
    }
    for (const kind of kinds)
      for (const stat of others(kind)) familyOf(prometheusName(stat.name).name, kind).others.push(stat);
  }
  return families;
}

const untouched = (kind: StatKind, name: string) =>
  kind === 'histograms' ? createHistogram(name) : { name, value: 0 };
