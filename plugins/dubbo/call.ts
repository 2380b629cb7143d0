import type { RequestHeaderMap } from '../../src/bridge/api.js';
import type { AttachmentRules, Settings } from './config.js';
import { type ErrorReply, refusal } from './errors.js';
import { isClassName, isIdentifier, type JavaType, JavaTypeError, parseTypes } from './java/types.js';
import { type GenericMode, matchRoute, type Parameter, type RouteMatch } from './routes.js';

/** Which method is called, and how; the arguments come later. */
export interface Call {
  readonly interface: string;
  readonly method: string;
  readonly version: string | undefined;
  readonly group: string | undefined;
  readonly generic: GenericMode;
  readonly oneWay: boolean;
  /** Whether the provider may do it twice. undefined: the request's method tells. */
  readonly idempotent: boolean | undefined;
  readonly timeoutMs: number | undefined;
  readonly returns: JavaType | undefined;
  /** The types of the arguments, when no route names the parameters; undefined: nobody told. */
  readonly types: readonly JavaType[] | undefined;
  readonly parameters: readonly Parameter[] | undefined;
  readonly attachments: ReadonlyMap<string, string>;
  readonly variables: ReadonlyMap<string, string>;
  /** The request's query, without the question mark. */
  readonly query: string;
}

/** Clients expect of these that they may be repeated (RFC 9110, section 9.2.2). */
const readMethods: ReadonlySet<string> = new Set(['GET', 'HEAD']);

const noVariables: ReadonlyMap<string, string> = new Map();

/** Attachments that say where a call goes and how it is read: never from a request's headers. */
const reserved = new Set([
  'path',
  'interface',
  'version',
  'group',
  'generic',
  'dubbo',
  'async',
  'serialization',
  'input',
  'output',
]);

/** Finds the method of a request: routes first, then headers, then the path; what is missing there comes from the top of the configuration. */
export function resolveCall(settings: Settings, headers: RequestHeaderMap): Call | ErrorReply {
  const { path, query } = splitPath(headers.path);
  const matched = matchRoute(settings.routes, headers.method, path);
  const route = typeof matched === 'object' ? matched.route : undefined;
  const header = (name: string): string | undefined => (settings.fromHeaders ? headers.get(name) : undefined);
  const target = {
    interface: route?.interface ?? header('dubbo_interface'),
    method: route?.method ?? header('dubbo_method'),
  };
  const fromPath = route === undefined && settings.fromPath ? targetOfPath(settings.pathPrefix, path) : undefined;
  // Both or none: an interface of a header with a method of the path would be nobody's intention.
  const isFromPath = target.interface === undefined && target.method === undefined && fromPath !== undefined;
  const interfaceName = (isFromPath ? fromPath.interface : target.interface) ?? settings.interface;
  const method = isFromPath ? fromPath.method : target.method;
  if (interfaceName === undefined || method === undefined) return notFound(matched, headers, path);
  if (matched === 'wrong_method' && isFromPath) return wrongMethod(headers, path);
  const refused =
    checkTarget(
      settings,
      interfaceName,
      method,
      route?.interface === undefined && interfaceName !== settings.interface,
    ) ?? checkMethod(headers.method);
  if (refused !== undefined) return refused;
  const types = route?.parameters === undefined ? readTypes(settings.knownTypes, header('dubbo_types')) : undefined;
  if (types !== undefined && 'status' in types) return types;
  return {
    interface: interfaceName,
    method,
    version: route?.version ?? header('dubbo_version') ?? settings.version,
    group: route?.group ?? header('dubbo_group') ?? settings.group,
    generic: route?.generic ?? settings.generic,
    oneWay: route?.oneWay ?? false,
    idempotent: route?.idempotent ?? (readMethods.has(headers.method) ? undefined : false),
    timeoutMs: route?.timeoutMs,
    returns: route?.returns,
    types,
    parameters: route?.parameters,
    attachments: attachmentsOf(settings, route, headers),
    variables: typeof matched === 'object' ? matched.variables : noVariables,
    query,
  };
}

function splitPath(target: string): { readonly path: string; readonly query: string } {
  const mark = target.indexOf('?');
  return mark < 0 ? { path: target, query: '' } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

function targetOfPath(
  prefix: string,
  path: string,
): { readonly interface: string; readonly method: string } | undefined {
  if (!path.startsWith(`${prefix}/`)) return undefined;
  const [interfaceName = '', method = '', ...more] = path.slice(prefix.length + 1).split('/');
  if (more.length > 0 || !interfaceName.includes('.')) return undefined;
  return isClassName(interfaceName) && isIdentifier(method) ? { interface: interfaceName, method } : undefined;
}

function notFound(
  matched: RouteMatch | 'wrong_method' | undefined,
  headers: RequestHeaderMap,
  path: string,
): ErrorReply {
  if (matched === 'wrong_method') return wrongMethod(headers, path);
  return refusal(404, 'NO_METHOD', `no route, header or path names a method for ${path.slice(0, 256)}`);
}

const wrongMethod = (headers: RequestHeaderMap, path: string): ErrorReply =>
  refusal(405, 'WRONG_HTTP_METHOD', `${headers.method} is not possible for ${path.slice(0, 256)}`);

function checkTarget(
  settings: Settings,
  interfaceName: string,
  method: string,
  isChosen: boolean,
): ErrorReply | undefined {
  if (!isClassName(interfaceName)) {
    return refusal(400, 'BAD_INTERFACE', `${JSON.stringify(interfaceName.slice(0, 128))} is no interface's name`);
  }
  // `$invoke` and the like are Dubbo's own: with them a request could choose how it is read.
  if (!isIdentifier(method) || method.startsWith('$')) {
    return refusal(400, 'BAD_METHOD', `${JSON.stringify(method.slice(0, 128))} is no method's name`);
  }
  if (isChosen && !settings.allowsInterface(interfaceName)) {
    return refusal(403, 'INTERFACE_NOT_ALLOWED', `${interfaceName} is not among the interfaces that may be called`);
  }
  return undefined;
}

function checkMethod(method: string): ErrorReply | undefined {
  if (method !== 'CONNECT' && method !== 'OPTIONS' && method !== 'TRACE') return undefined;
  return refusal(405, 'WRONG_HTTP_METHOD', `${method} calls no method`);
}

/** Of `dubbo_types`; beyond them the oldest is forgotten. */
const maxKnownTypes = 1000;

function readTypes(
  known: Map<string, readonly JavaType[]>,
  text: string | undefined,
): readonly JavaType[] | ErrorReply | undefined {
  const found = text === undefined ? undefined : known.get(text);
  if (text === undefined || found !== undefined) return found;
  if (text.length > 4096) return refusal(400, 'BAD_TYPES', 'dubbo_types is longer than 4096 characters');
  try {
    const types = parseTypes(text);
    if (known.size === maxKnownTypes) known.delete(known.keys().next().value as string);
    known.set(text, types);
    return types;
  } catch (error) {
    if (!(error instanceof JavaTypeError)) throw error;
    return refusal(400, 'BAD_TYPES', `dubbo_types: ${error.message}`);
  }
}

function attachmentsOf(
  { attachments: rules }: Settings,
  route: RouteMatch['route'] | undefined,
  headers: RequestHeaderMap,
): ReadonlyMap<string, string> {
  const all = new Map<string, string>();
  addPrefixed(all, rules, headers);
  for (const [header, attachment] of rules.headers) {
    const values = headers.values(header);
    if (values.length > 0) all.set(attachment, values.join(','));
  }
  for (const [name, value] of rules.fixed) all.set(name, value);
  for (const [name, value] of route?.attachments ?? []) all.set(name, value);
  return all;
}

function addPrefixed(
  all: Map<string, string>,
  { requestPrefix: prefix }: AttachmentRules,
  headers: RequestHeaderMap,
): void {
  if (prefix === undefined) return;
  headers.range((name, value) => {
    const attachment = name.startsWith(prefix) ? name.slice(prefix.length) : '';
    if (attachment !== '' && !reserved.has(attachment)) all.set(attachment, value);
    return true;
  });
}
