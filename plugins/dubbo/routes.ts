import { ConfigReader } from './config-reader.js';
import { attachmentText, isHeaderName, parseFieldType } from './config-values.js';
import { isClassName, isIdentifier, type JavaType } from './java/types.js';

/**
 * How a method is called. `true`: by Dubbo's generic `$invoke`, results as maps. `raw.return`: the same, results as Java objects.
 * `false`: directly, as a Java consumer of the interface.
 */
export type GenericMode = 'true' | 'raw.return' | 'false';
const genericModes = ['true', 'raw.return', 'false', true, false] as const;

/** undefined when it isn't there. */
export function parseGeneric(reader: ConfigReader): GenericMode | undefined {
  if (!reader.has('generic')) return undefined;
  return String(reader.choice<string | boolean>('generic', genericModes)) as GenericMode;
}

/** Where an argument comes from. `member`: the body's member of that name; `body`: the whole body. */
export type Source = 'path' | 'query' | 'header' | 'member' | 'body';

export interface Parameter {
  readonly name: string;
  readonly type: JavaType | undefined;
  readonly from: Source;
  /** The header's name, for `header`. */
  readonly header: string;
}

export interface Route {
  readonly httpMethod: string | undefined;
  readonly segments: readonly Segment[];
  readonly interface: string | undefined;
  readonly method: string | undefined;
  readonly version: string | undefined;
  readonly group: string | undefined;
  readonly generic: GenericMode | undefined;
  readonly oneWay: boolean;
  /** Whether the provider may do the call twice. undefined: nobody told. */
  readonly idempotent: boolean | undefined;
  readonly timeoutMs: number | undefined;
  /** undefined: the body is an array, or the query has the arguments in their order. */
  readonly parameters: readonly Parameter[] | undefined;
  readonly returns: JavaType | undefined;
  readonly attachments: ReadonlyMap<string, string>;
}

type Segment = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'variable'; readonly name: string };

const fields = [
  'path',
  'http_method',
  'interface',
  'method',
  'version',
  'group',
  'generic',
  'one_way',
  'idempotent',
  'timeout_ms',
  'parameters',
  'returns',
  'attachments',
];

/** Reads one entry of `routes`. Throws an Error that names the field. */
export function parseRoute(value: unknown, path: string): Route {
  const reader = new ConfigReader(value, path, fields);
  const template = reader.text('path', 'a path such as /orders/{id}', (text) => text.startsWith('/'));
  if (template === undefined) throw new Error(`${reader.where('path')} is missing`);
  const segments = parseTemplate(template, reader.where('path'));
  const variables = segments.flatMap((segment) => (segment.kind === 'variable' ? [segment.name] : []));
  const httpMethod = reader.text('http_method', 'a method such as GET', (text) => /^[A-Z]{1,32}$/.test(text));
  return {
    httpMethod,
    segments,
    interface: reader.text('interface', "an interface's full name", isClassName),
    method: reader.text('method', "a method's name", isIdentifier),
    version: reader.text('version'),
    group: reader.text('group'),
    generic: parseGeneric(reader),
    oneWay: reader.boolean('one_way', false),
    idempotent: reader.has('idempotent') ? reader.boolean('idempotent', false) : undefined,
    timeoutMs: reader.has('timeout_ms') ? reader.integer('timeout_ms', 0, 1, 2 ** 31 - 1) : undefined,
    parameters: reader.has('parameters') ? parseParameters(reader, variables, httpMethod) : undefined,
    returns: reader.has('returns') ? parseFieldType(reader.raw('returns'), reader.where('returns')) : undefined,
    attachments: reader.record('attachments', attachmentText),
  };
}

function parseTemplate(template: string, path: string): Segment[] {
  const names = new Set<string>();
  return template
    .slice(1)
    .split('/')
    .map((text) => {
      const name = /^\{(\w+)\}$/.exec(text)?.[1];
      if (name === undefined) {
        if (/[{}?#]/.test(text))
          throw new Error(`${path}: ${JSON.stringify(text)} must be plain text or one {variable}`);
        return { kind: 'text', text };
      }
      if (names.has(name)) throw new Error(`${path} has the variable ${name} twice`);
      names.add(name);
      return { kind: 'variable', name };
    });
}

function parseParameters(
  reader: ConfigReader,
  variables: readonly string[],
  httpMethod: string | undefined,
): Parameter[] {
  const seen = new Set<string>();
  const parameters = reader.list('parameters', (value, path) => {
    const parameter = parseParameter(value, path, variables, httpMethod);
    if (seen.has(parameter.name)) throw new Error(`${path}.name: ${JSON.stringify(parameter.name)} is there twice`);
    seen.add(parameter.name);
    return parameter;
  });
  const fromBody = parameters.filter(({ from }) => from === 'body' || from === 'member');
  if (fromBody.length > 1 && fromBody.some(({ from }) => from === 'body')) {
    throw new Error(
      `${reader.where('parameters')}: with one parameter that is the whole body, no other can come from it`,
    );
  }
  const unused = variables.find((name) => !parameters.some((each) => each.from === 'path' && each.name === name));
  if (unused !== undefined) {
    throw new Error(`${reader.where('parameters')} has none of the name ${unused}, which is in path`);
  }
  return parameters;
}

function parseParameter(
  value: unknown,
  path: string,
  variables: readonly string[],
  httpMethod: string | undefined,
): Parameter {
  const reader = new ConfigReader(value, path, ['name', 'type', 'from', 'header']);
  const name = reader.text('name');
  if (name === undefined) throw new Error(`${path}.name is missing`);
  const bodiless = httpMethod === 'GET' || httpMethod === 'HEAD' || httpMethod === 'DELETE';
  const standard: Source = variables.includes(name) ? 'path' : bodiless ? 'query' : 'member';
  const from = reader.has('from')
    ? reader.choice<Source>('from', ['path', 'query', 'header', 'member', 'body'])
    : standard;
  if (from === 'path' && !variables.includes(name)) throw new Error(`${path}.from: the path has no {${name}}`);
  const header = reader.text('header', "a header's name", isHeaderName) ?? name;
  if (from === 'header' && !isHeaderName(header)) throw new Error(`${path}.header must be a header's name`);
  const type = reader.has('type') ? parseFieldType(reader.raw('type'), `${path}.type`) : undefined;
  return { name, type, from, header: header.toLowerCase() };
}

export interface RouteMatch {
  readonly route: Route;
  readonly variables: ReadonlyMap<string, string>;
}

/**
 * The first route for that method and path; `wrong_method` when only the method doesn't fit; undefined when none does.
 * @param path without the query
 */
export function matchRoute(
  routes: readonly Route[],
  method: string,
  path: string,
): RouteMatch | 'wrong_method' | undefined {
  const segments = path.slice(1).split('/');
  let wrongMethod = false;
  for (const route of routes) {
    const variables = matchSegments(route.segments, segments);
    if (variables === undefined) continue;
    // A HEAD is answered as the GET would be, without its body.
    if (route.httpMethod === undefined || route.httpMethod === (method === 'HEAD' ? 'GET' : method)) {
      return { route, variables };
    }
    wrongMethod = true;
  }
  return wrongMethod ? 'wrong_method' : undefined;
}

function matchSegments(template: readonly Segment[], path: readonly string[]): Map<string, string> | undefined {
  if (template.length !== path.length) return undefined;
  const variables = new Map<string, string>();
  for (const [index, segment] of template.entries()) {
    const text = path[index] as string;
    if (segment.kind === 'text' ? segment.text !== text : text === '') return undefined;
    if (segment.kind === 'variable') variables.set(segment.name, text);
  }
  return variables;
}
