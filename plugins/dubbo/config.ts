import { ConfigReader } from './config-reader.js';
import { attachmentText, isHeaderName, parseFieldType } from './config-values.js';
import { type ErrorRules, parseErrorRules } from './errors.js';
import type { HessianLimits } from './hessian/values.js';
import type { ClassInfo, ClassTable } from './java/classes.js';
import type { ToJsonOptions } from './java/to-json.js';
import { isClassName, isIdentifier, type JavaType } from './java/types.js';
import { type GenericMode, parseGeneric, parseRoute, type Route } from './routes.js';

/** plugin_config, checked. README.md describes the fields. */
export interface Settings {
  readonly interface: string | undefined;
  readonly version: string | undefined;
  readonly group: string | undefined;
  readonly generic: GenericMode;
  readonly timeoutMs: number | undefined;
  readonly routes: readonly Route[];
  readonly fromHeaders: boolean;
  readonly fromPath: boolean;
  /** Before `/{interface}/{method}`; without a slash at its end. */
  readonly pathPrefix: string;
  /** Whether a request may name this interface by a header or its path. */
  readonly allowsInterface: (name: string) => boolean;
  readonly classes: ClassTable;
  readonly acceptsClass: (name: string) => boolean;
  readonly attachments: AttachmentRules;
  readonly errors: ErrorRules;
  readonly json: ToJsonOptions;
  readonly limits: Limits;
  /** Calls on one connection at a time; undefined: each has one to itself. */
  readonly maxInFlight: number | undefined;
  /** Lists of types that requests named, parsed. */
  readonly knownTypes: Map<string, readonly JavaType[]>;
  /** A request's number on its connection. */
  readonly nextId: () => bigint;
}

export interface AttachmentRules {
  readonly fixed: ReadonlyMap<string, string>;
  /** Request headers that start so become attachments, under the rest of their name. */
  readonly requestPrefix: string | undefined;
  /** Header → attachment. */
  readonly headers: ReadonlyMap<string, string>;
  /** Response attachments become headers, with this before their name. */
  readonly responsePrefix: string | undefined;
}

export interface Limits extends HessianLimits {
  readonly maxRequestFrame: number;
  readonly maxResponseFrame: number;
}

/** What the host may buffer for us; limits.max_response_frame stays below. */
export const largestFrame = 64 * 1024 * 1024;

const tracingHeaders = ['traceparent', 'tracestate', 'baggage'];
const fields = [
  'interface',
  'version',
  'group',
  'generic',
  'timeout_ms',
  'routes',
  'from_headers',
  'from_path',
  'path_prefix',
  'allowed_interfaces',
  'types',
  'accept_classes',
  'attachments',
  'errors',
  'json',
  'limits',
  'connections',
];

/** Throws an Error that names the field. No configuration at all: calls by header and path, to any interface. */
export function parseSettings(config: unknown): Settings {
  const reader = new ConfigReader(config ?? {}, '', fields);
  const limits = parseLimits(
    reader.inner('limits', ['max_request_frame', 'max_response_frame', 'max_depth', 'max_values']),
  );
  const classes: ClassTable = reader.record('types', parseClass);
  const references = jsonReader(reader).boolean('references', true);
  let lastId = 0n;
  return {
    interface: reader.text('interface', "an interface's full name", isClassName),
    version: reader.text('version'),
    group: reader.text('group'),
    generic: parseGeneric(reader) ?? 'true',
    timeoutMs: reader.has('timeout_ms') ? reader.integer('timeout_ms', 0, 1, 2 ** 31 - 1) : undefined,
    routes: reader.list('routes', parseRoute),
    fromHeaders: reader.boolean('from_headers', true),
    fromPath: reader.boolean('from_path', true),
    pathPrefix: reader.text('path_prefix', 'a path such as /rpc', (text) => /^(\/[\w.~-]+)+$/.test(text)) ?? '',
    allowsInterface: reader.has('allowed_interfaces') ? nameMatcher(reader, 'allowed_interfaces') : () => true,
    classes,
    acceptsClass: nameMatcher(reader, 'accept_classes'),
    attachments: parseAttachments(
      reader.inner('attachments', ['fixed', 'request_prefix', 'response_prefix', 'headers', 'tracing', 'tag_header']),
    ),
    errors: parseErrorRules(reader.inner('errors', ['exception_status', 'exceptions', 'statuses', 'stack'])),
    json: parseJsonOptions(jsonReader(reader), classes, references, limits),
    limits,
    maxInFlight: parseConnections(reader.inner('connections', ['shared', 'max_in_flight'])),
    knownTypes: new Map(),
    nextId: () => {
      lastId += 1n;
      return lastId;
    },
  };
}

const jsonReader = (reader: ConfigReader): ConfigReader =>
  reader.inner('json', ['large_numbers', 'dates', 'class_names', 'references', 'max_length']);

function parseConnections(reader: ConfigReader): number | undefined {
  const most = reader.integer('max_in_flight', 100, 1, 65_536);
  return reader.boolean('shared', true) ? most : undefined;
}

function parseLimits(reader: ConfigReader): Limits {
  return {
    // The payload that a provider accepts unless it is configured otherwise.
    maxRequestFrame: reader.integer('max_request_frame', 8 * 1024 * 1024, 1024, largestFrame),
    maxResponseFrame: reader.integer('max_response_frame', 16 * 1024 * 1024, 1024, largestFrame),
    maxDepth: reader.integer('max_depth', 128, 1, 512),
    maxValues: reader.integer('max_values', 1_000_000, 1, 2 ** 31 - 1),
  };
}

function parseJsonOptions(
  reader: ConfigReader,
  classes: ClassTable,
  references: boolean,
  limits: Limits,
): ToJsonOptions {
  return {
    classes,
    largeNumbers: reader.choice('large_numbers', ['number', 'string']),
    dates: reader.choice('dates', ['iso', 'millis']),
    classNames: reader.boolean('class_names', true),
    references,
    maxDepth: limits.maxDepth,
    maxLength: reader.integer('max_length', largestFrame, 1024, 2 ** 28),
  };
}

function parseClass(value: unknown, path: string, name: string): ClassInfo {
  if (!isClassName(name) || !name.includes('.'))
    throw new Error(`${path}: ${JSON.stringify(name)} is no class's full name`);
  const reader = new ConfigReader(value, path, ['fields', 'enum']);
  if (reader.has('fields') === reader.has('enum')) throw new Error(`${path} must have either fields or enum`);
  if (reader.has('enum')) {
    const names = reader.list('enum', (item, where) => {
      if (typeof item !== 'string' || !isIdentifier(item))
        throw new Error(`${where} must be the name of an enum constant`);
      return item;
    });
    return { kind: 'enum', names: new Set(names) };
  }
  return { kind: 'object', fields: reader.record('fields', parseFieldType) };
}

/** Names, or beginnings of names with `.*` at the end. */
function nameMatcher(reader: ConfigReader, field: string): (name: string) => boolean {
  const patterns = reader.list(field, (item, path) => {
    if (typeof item === 'string' && isClassName(item.replace(/\.\*$/, ''))) return item;
    throw new Error(
      `${path} must be a class's full name or a package as in com.example.*, not ${JSON.stringify(item)}`,
    );
  });
  const names = new Set(patterns);
  const packages = patterns.filter((pattern) => pattern.endsWith('.*')).map((pattern) => pattern.slice(0, -1));
  return (name) => names.has(name) || packages.some((each) => name.startsWith(each));
}

function parseAttachments(reader: ConfigReader): AttachmentRules {
  const headers = reader.record('headers', (value, path, header) => {
    if (!isHeaderName(header)) throw new Error(`${path}: ${JSON.stringify(header)} is no header's name`);
    if (typeof value !== 'string' || value === '') throw new Error(`${path} must be an attachment's name`);
    return value;
  });
  const named = new Map([...headers].map(([header, attachment]) => [header.toLowerCase(), attachment]));
  if (reader.boolean('tracing', true)) for (const header of tracingHeaders) named.set(header, header);
  const tag = reader.text('tag_header', "a header's name", isHeaderName);
  // The name by which Dubbo's tag router finds a request's tag: TagStateRouter, `dubbo.tag`.
  if (tag !== undefined) named.set(tag.toLowerCase(), 'dubbo.tag');
  return {
    fixed: reader.record('fixed', attachmentText),
    requestPrefix: reader.text('request_prefix', "the beginning of a header's name", isHeaderName)?.toLowerCase(),
    responsePrefix: reader.text('response_prefix', "the beginning of a header's name", isHeaderName)?.toLowerCase(),
    headers: named,
  };
}
