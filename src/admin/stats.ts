import { RE2JS } from 're2js';
import type { StatsRegistry } from '../stats/create-store.js';
import { type HistogramData, quantiles } from '../stats/histogram.js';
import { formatPrometheus } from '../stats/prometheus.js';
import { type AdminEndpoint, type AdminRequest, type AdminResponse, text } from './endpoint.js';

const number = (value: number): string => (Number.isNaN(value) ? 'nan' : String(Math.round(value * 100) / 100));

function histogramText({ total, interval }: HistogramData): string {
  if (total.count === 0) return 'No recorded values';
  return quantiles
    .map((percent) => `P${percent}(${number(interval.quantile(percent))},${number(total.quantile(percent))})`)
    .join(' ');
}

const sorted = <T extends { readonly name: string }>(stats: Iterable<T>): T[] =>
  [...stats].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);

type Kind = 'counters' | 'gauges' | 'histograms' | 'textreadouts';

/** A statistic that is a text. */
export interface TextReadout {
  readonly name: string;
  readonly value: string;
}

/** Where statistics come from. Texts are put together when they are asked for. */
interface Source {
  readonly stats: StatsRegistry;
  readonly texts: () => Iterable<TextReadout>;
}

function textsIn({ texts }: Source, { wanted, has }: Selection, usedOnly: boolean): readonly TextReadout[] {
  if (!has('textreadouts')) return [];
  return sorted([...texts()].filter(({ name, value }) => wanted(name) && !(usedOnly && value === '')));
}

interface Selection {
  wanted(name: string): boolean;
  has(kind: Kind): boolean;
}

function* asText(source: Source, selection: Selection, usedOnly: boolean): Generator<string> {
  const { stats } = source;
  const { wanted, has } = selection;
  for (const { name, value } of textsIn(source, selection, usedOnly)) yield `${name}: ${JSON.stringify(value)}\n`;
  const numbers = [
    ...(has('counters') ? stats.counters.values() : []),
    ...(has('gauges') ? stats.gauges.values() : []),
  ];
  const shown = numbers.filter((stat) => wanted(stat.name) && !(usedOnly && stat.value === 0));
  const lines = sorted(shown).map((stat) => `${stat.name}: ${stat.value}\n`);
  for (let i = 0; i < lines.length; i += 1000) yield lines.slice(i, i + 1000).join('');
  if (!has('histograms')) return;
  for (const histogram of sorted(stats.histograms.values())) {
    if (wanted(histogram.name) && !(usedOnly && histogram.total.count === 0))
      yield `${histogram.name}: ${histogramText(histogram)}\n`;
  }
}

function* asJson(source: Source, selection: Selection, usedOnly: boolean): Generator<string> {
  const { stats } = source;
  const { wanted, has } = selection;
  yield '{"stats":[';
  const numbers = [
    ...(has('counters') ? stats.counters.values() : []),
    ...(has('gauges') ? stats.gauges.values() : []),
  ];
  let separator = '';
  for (const { name, value } of textsIn(source, selection, usedOnly)) {
    yield `${separator}${JSON.stringify({ name, value })}`;
    separator = ',';
  }
  for (const stat of sorted(numbers.filter(({ name, value }) => wanted(name) && !(usedOnly && value === 0)))) {
    yield `${separator}${JSON.stringify({ name: stat.name, value: stat.value })}`;
    separator = ',';
  }
  if (has('histograms')) {
    const computed = sorted(stats.histograms.values())
      .filter((histogram) => wanted(histogram.name) && !(usedOnly && histogram.total.count === 0))
      .map(({ name, total, interval }) => ({
        name,
        values: quantiles.map((percent) => ({
          cumulative: orNull(total.quantile(percent)),
          interval: orNull(interval.quantile(percent)),
        })),
      }));
    if (computed.length > 0)
      yield `${separator}${JSON.stringify({ histograms: { supported_quantiles: quantiles, computed_quantiles: computed } })}`;
  }
  yield ']}';
}

function select(query: URLSearchParams): Selection {
  const filter = query.get('filter');
  const pattern = filter ? RE2JS.compile(filter) : undefined;
  const type = query.get('type')?.toLowerCase();
  return {
    wanted: (name) => !pattern || pattern.matcher(name).find(),
    has: (kind) => type === undefined || type === 'all' || type === kind,
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
  const usedOnly = query.has('usedonly');
  switch (format) {
    case 'text':
      return text(asText(source, selection, usedOnly));
    case 'json':
      return {
        status: 200,
        contentType: 'application/json',
        body: asJson(source, selection, usedOnly),
      };
    case 'prometheus':
      return text(formatPrometheus(source.stats, selection.wanted, usedOnly));
    default:
      return text('usage: /stats?format=(json|prometheus|text)\n\n', 400);
  }
}

/** GET /stats, GET /stats/prometheus, POST /reset_counters */
export function statsEndpoints(
  stats: StatsRegistry,
  texts: () => Iterable<TextReadout> = () => [],
): readonly AdminEndpoint[] {
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
