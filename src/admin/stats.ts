import { RE2JS } from 're2js';
import type { StatsRegistry } from '../stats/create-store.js';
import type { StatKind } from '../stats/group.js';
import { type HistogramData, quantiles } from '../stats/histogram.js';
import { inSteps, type Named, type StatsQuery, statsInOrder } from '../stats/in-order.js';
import { formatPrometheus } from '../stats/prometheus.js';
import { sortInSteps } from '../stats/sort-in-steps.js';
import { type AdminEndpoint, type AdminRequest, type AdminResponse, text } from './endpoint.js';

const number = (value: number): string => (Number.isNaN(value) ? 'nan' : String(Math.round(value * 100) / 100));

function histogramText({ total, interval }: HistogramData): string {
  if (total.count === 0) return 'No recorded values';
  return quantiles
    .map((percent) => `P${percent}(${number(interval.quantile(percent))},${number(total.quantile(percent))})`)
    .join(' ');
}

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);

/** A statistic that is a text. */
export interface TextReadout {
  readonly name: string;
  readonly value: string;
}

/**
 * Texts are put together when they are asked for; undefined is none, but a place for a pause.
 * @param prefix what the names that are wanted begin with: others may be left out
 */
export type ReadTexts = (prefix: string) => Iterable<TextReadout | undefined>;

/** Where statistics come from. */
interface Source {
  readonly stats: StatsRegistry;
  readonly texts: ReadTexts;
}

interface Selection extends StatsQuery {
  readonly texts: boolean;
  readonly numbers: readonly ('counters' | 'gauges')[];
  readonly histograms: readonly 'histograms'[];
}

function* textsOf({ texts }: Source, selection: Selection): Generator<readonly TextReadout[]> {
  if (!selection.texts) return;
  const found: TextReadout[] = [];
  for (const text of texts(selection.prefix)) {
    if (text && selection.wanted(text.name) && !(selection.usedOnly && text.value === '')) found.push(text);
    yield [];
  }
  const sorted = yield* inSteps(sortInSteps(found, ({ name }) => name));
  for (let i = 0; i < sorted.length; i += 100) yield sorted.slice(i, i + 100);
}

function* numbersOf({ stats }: Source, selection: Selection): Generator<readonly Named<'counters' | 'gauges'>[]> {
  for (const found of statsInOrder(stats, selection.numbers, selection))
    yield selection.usedOnly ? found.filter(({ stat }) => stat.value !== 0) : found;
}

function* histogramsOf({ stats }: Source, selection: Selection): Generator<readonly Named<'histograms'>[]> {
  for (const found of statsInOrder(stats, selection.histograms, selection))
    yield selection.usedOnly ? found.filter(({ stat }) => stat.total.count !== 0) : found;
}

function* asText(source: Source, selection: Selection): Generator<string> {
  for (const found of textsOf(source, selection))
    yield found.map(({ name, value }) => `${name}: ${JSON.stringify(value)}\n`).join('');
  for (const found of numbersOf(source, selection))
    yield found.map(({ name, stat }) => `${name}: ${stat.value}\n`).join('');
  for (const found of histogramsOf(source, selection))
    yield found.map(({ name, stat }) => `${name}: ${histogramText(stat)}\n`).join('');
}

function* plainValues(
  source: Source,
  selection: Selection,
): Generator<readonly { readonly name: string; readonly value: number | string }[]> {
  for (const found of textsOf(source, selection)) yield found.map(({ name, value }) => ({ name, value }));
  for (const found of numbersOf(source, selection)) yield found.map(({ name, stat }) => ({ name, value: stat.value }));
}

function* asJson(source: Source, selection: Selection): Generator<string> {
  let separator = '{"stats":[';
  let any = false;
  for (const found of plainValues(source, selection)) {
    if (found.length === 0) {
      yield '';
      continue;
    }
    yield separator + found.map((each) => JSON.stringify(each)).join(',');
    separator = ',';
    any = true;
  }
  if (!any) yield separator;
  separator = `${any ? ',' : ''}{"histograms":{"supported_quantiles":${JSON.stringify(quantiles)},"computed_quantiles":[`;
  let end = ']}';
  for (const found of histogramsOf(source, selection)) {
    for (const { name, stat } of found) {
      yield separator + JSON.stringify(computed(name, stat));
      separator = ',';
      end = ']}}]}';
    }
    yield '';
  }
  yield end;
}

function computed(name: string, { total, interval }: HistogramData) {
  const values = quantiles.map((percent) => ({
    cumulative: orNull(total.quantile(percent)),
    interval: orNull(interval.quantile(percent)),
  }));
  return { name, values };
}

/** What a pattern makes names begin with, as far as it is plain to see: scopes of other names need not be looked at. */
function prefixOf(pattern: string): string {
  if (pattern.includes('|') || pattern.includes('(')) return '';
  const [, literal = '', next = ''] = /^\^((?:[A-Za-z0-9_:-]|\\\.)*)(.?)/.exec(pattern) ?? [];
  const prefix = literal.replaceAll('\\.', '.');
  // What is repeated need not be there.
  return '*?{'.includes(next || ' ') ? prefix.slice(0, -1) : prefix;
}

function select(query: URLSearchParams): Selection {
  const filter = query.get('filter') ?? '';
  const pattern = filter === '' ? undefined : RE2JS.compile(filter);
  const type = query.get('type')?.toLowerCase();
  const has = (kind: StatKind | 'textreadouts') => type === undefined || type === 'all' || type === kind;
  return {
    wanted: (name) => !pattern || pattern.matcher(name).find(),
    prefix: prefixOf(filter),
    usedOnly: query.has('usedonly'),
    texts: has('textreadouts'),
    numbers: (['counters', 'gauges'] as const).filter(has),
    histograms: (['histograms'] as const).filter(has),
  };
}

function handle(source: Source, { query, path }: AdminRequest): AdminResponse {
  let selection: Selection;
  try {
    selection = select(query);
  } catch (error) {
    return text(`Invalid re2 regex: ${error instanceof Error ? error.message : String(error)}\n`, 400);
  }
  const type = query.get('type')?.toLowerCase();
  if (type && !['all', 'counters', 'gauges', 'histograms', 'textreadouts'].includes(type)) {
    return text('invalid &type= param: one of All, Counters, Gauges, Histograms, TextReadouts\n', 400);
  }
  const format = path === '/stats/prometheus' ? 'prometheus' : (query.get('format') ?? 'text');
  switch (format) {
    case 'text':
      return text(asText(source, selection));
    case 'json':
      return {
        status: 200,
        contentType: 'application/json',
        body: asJson(source, selection),
      };
    case 'prometheus':
      return text(formatPrometheus(source.stats, selection.wanted, selection.usedOnly));
    default:
      return text('usage: /stats?format=(json|prometheus|text)\n\n', 400);
  }
}

/** GET /stats, GET /stats/prometheus, POST /reset_counters */
export function statsEndpoints(stats: StatsRegistry, texts: ReadTexts = () => []): readonly AdminEndpoint[] {
  const source: Source = { stats, texts };
  const parameters = {
    filter: 'Regular expression (RE2) for filtering stats',
    usedonly: 'Only include stats that have been written by the system',
  };
  return [
    {
      path: '/stats',
      method: 'GET',
      help: 'print server stats',
      parameters: {
        ...parameters,
        format: 'text, json or prometheus',
        type: 'All, Counters, Gauges, Histograms or TextReadouts',
      },
      needsNumbers: true,
      handle: (request) => handle(source, request),
    },
    {
      path: '/stats/prometheus',
      method: 'GET',
      help: 'print server stats in prometheus format',
      parameters,
      needsNumbers: true,
      handle: (request) => handle(source, request),
    },
    {
      path: '/reset_counters',
      method: 'POST',
      help: 'reset all counters to zero',
      // What was counted elsewhere before must not come after it.
      needsNumbers: true,
      handle() {
        for (const counter of stats.counters.touched()) counter.value = 0;
        return text('OK\n');
      },
    },
  ];
}
