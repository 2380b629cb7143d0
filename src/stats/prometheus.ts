import type { StatsRegistry } from './create-store.js';
import type { GroupInstance, StatKind } from './group.js';
import { createHistogram, exportedBounds, type HistogramData } from './histogram.js';
import type { Counter } from './store.js';

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

type Labels = ReturnType<typeof prometheusName>['labels'];

/** As they stand between the braces. */
const labelText = (labels: Labels): string => labels.map(([key, value]) => `${key}="${escapeLabel(value)}"`).join(',');

function* histogramLines(name: string, labels: string, { total }: HistogramData): Generator<string> {
  const before = labels === '' ? '' : `${labels},`;
  for (const bound of exportedBounds) yield `${name}_bucket{${before}le="${bound}"} ${total.countUpTo(bound)}\n`;
  yield `${name}_bucket{${before}le="+Inf"} ${total.count}\n`;
  yield `${name}_sum{${labels}} ${total.sum}\n`;
  yield `${name}_count{${labels}} ${total.count}\n`;
}

type Stat = Counter | HistogramData;
type Value = number | HistogramData;

const untouchedHistogram = createHistogram('');

const ownValue = (stat: Stat): Value => ('value' in stat ? stat.value : stat);

function valueIn(group: GroupInstance, kind: StatKind, place: number): Value {
  if (kind !== 'histograms') return group.read(place);
  return (group.held[place] as HistogramData | undefined) ?? untouchedHistogram;
}

function* linesOf(value: Value, name: string, labels: string): Generator<string> {
  if (typeof value === 'number') yield `${name}{${labels}} ${value}\n`;
  else yield* histogramLines(name, labels, value);
}

const isUsed = (value: Value): boolean => (typeof value === 'number' ? value !== 0 : value.total.count > 0);

/** A group in one scope. */
interface Member {
  readonly group: GroupInstance;
  readonly labels: string;
}

/** A group in all scopes of one kind (`cluster.…`) but those of an odd name: its statistics are of the same families in all. */
interface Members {
  /** In the order of the group's statistics. */
  readonly families: readonly string[];
  readonly all: Member[];
}

interface Family {
  readonly kind: StatKind;
  readonly places: { readonly place: number; readonly members: Members }[];
  readonly others: Stat[];
}

const kinds = ['counters', 'gauges', 'histograms'] as const;
const types = { counters: 'counter', gauges: 'gauge', histograms: 'histogram' } as const;

/**
 * All statistics in the text format that Prometheus scrapes, family by family, each statistic as it is when its turn comes. Yields '' now and
 * then, for whoever lets others have their turn. https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function* formatPrometheus(
  stats: StatsRegistry,
  wanted: (name: string) => boolean,
  usedOnly = false,
): Generator<string> {
  const families = yield* findFamilies(stats);
  for (const [name, { kind, places, others }] of [...families].sort(([a], [b]) => (a < b ? -1 : 1))) {
    let head = `# TYPE ${name} ${types[kind]}\n`;
    for (const stat of others) {
      const value = ownValue(stat);
      if (!wanted(stat.name) || (usedOnly && !isUsed(value))) continue;
      yield head;
      head = '';
      yield* linesOf(value, name, labelText(prometheusName(stat.name).labels));
    }
    for (const { place, members } of places) {
      for (const { group, labels } of members.all) {
        yield '';
        const value = valueIn(group, kind, place);
        if ((usedOnly && !isUsed(value)) || !wanted(group.nameOf(place))) continue;
        yield head;
        head = '';
        yield* linesOf(value, name, labels);
      }
    }
  }
}

function* findFamilies(stats: StatsRegistry): Generator<string, ReadonlyMap<string, Family>> {
  const families = new Map<string, Family>();
  const known = new Map<object, Map<string, Members>>();
  function familyOf(name: string, kind: StatKind): Family {
    const family = families.get(name) ?? { kind, places: [], others: [] };
    families.set(name, family);
    return family;
  }
  function newMembers(group: GroupInstance): Members {
    const names = group.template.entries.map((_, place) => prometheusName(group.nameOf(place)).name);
    const members = { families: names, all: [] };
    for (const [place, { kind }] of group.template.entries.entries())
      familyOf(names[place] as string, kind).places.push({ place, members });
    return members;
  }
  function addGroup(prefix: string, group: GroupInstance): void {
    const { template, inner } = group;
    const scopeKind = `${prefix.split('.', 1)} ${inner}`;
    const ofTemplate = known.get(template) ?? new Map<string, Members>();
    known.set(template, ofTemplate);
    const members = ofTemplate.get(scopeKind) ?? newMembers(group);
    ofTemplate.set(scopeKind, members);
    const { name, labels } = prometheusName(group.nameOf(0));
    if (members.families[0] === name) {
      members.all.push({ group, labels: labelText(labels) });
      return;
    }
    for (const [place, { kind }] of template.entries.entries()) {
      familyOf(prometheusName(group.nameOf(place)).name, kind).others.push(group.view(place));
    }
  }
  for (const scope of stats.scopes()) {
    yield '';
    for (const group of scope.groups) addGroup(scope.prefix, group);
    for (const kind of kinds)
      for (const stat of scope.others(kind)) familyOf(prometheusName(stat.name).name, kind).others.push(stat);
  }
  return families;
}
