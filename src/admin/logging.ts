import { type Logging, type LogLevel, logLevels } from '../log.js';
import { type AdminEndpoint, type AdminResponse, text } from './endpoint.js';

const isLevel = (value: string): value is LogLevel => (logLevels as readonly string[]).includes(value);

function listing(logging: Logging): string {
  const lines = Object.entries(logging.levels())
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([component, level]) => `  ${component}: ${level}`);
  return `active loggers:\n${lines.join('\n')}\n`;
}

function usage(problem: string, logging: Logging): AdminResponse {
  const lines = [
    `error: ${problem}`,
    '',
    'usage: /logging?<name>=<level> (change single level)',
    'usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)',
    'usage: /logging?level=<level> (change all levels)',
    `levels: ${logLevels.join(' ')}`,
  ];
  return text(`${lines.join('\n')}\n${listing(logging)}`, 400);
}

/** What a query asks for: component ('' for all) → level. */
function changes(query: URLSearchParams): [string, string][] {
  return [...query].flatMap(([name, value]): [string, string][] => {
    if (name === 'level') return [['', value]];
    if (name !== 'paths') return [[name, value]];
    return value.split(',').map((pair) => {
      const colon = pair.lastIndexOf(':');
      return [pair.slice(0, colon), pair.slice(colon + 1)];
    });
  });
}

/** POST /logging */
export function loggingEndpoint(logging: Logging): AdminEndpoint {
  return {
    path: '/logging',
    method: 'POST',
    help: 'query/change logging levels',
    parameters: {
      level: 'the level of all loggers',
      paths: 'component:level pairs, separated by commas',
    },
    handle({ query }) {
      const wanted = changes(query);
      const known = logging.levels();
      for (const [component, level] of wanted) {
        if (!isLevel(level)) return usage('unknown logger level', logging);
        if (component !== '' && !(component in known)) return usage('unknown logger name', logging);
      }
      for (const [component, level] of wanted)
        logging.setLevel(level as LogLevel, component === '' ? undefined : component);
      return text(listing(logging));
    },
  };
}
