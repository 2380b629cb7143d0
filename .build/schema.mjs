// The protos that we speak → dist/schema.txt (protobufjs' compact JSON, a line for each definition, read at run time) and TypeScript types of the
// messages that our code touches → src/protobuf/generated/. Both are skipped when no input changed.
// Only plain JSON passes between the protobufjs that parses here and the one inside @grpc/proto-loader.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);

/** Options that something at run time reads; all others are dropped. */
const keptOptions = new Set(['proto3_optional', 'packed', 'json_name', 'default', 'deprecated', 'features']);

/** Packages of annotations alone: their meaning is folded into the fields' options here. */
const annotationPackages = ['validate', 'udpa.annotations', 'xds.annotations', 'envoy.annotations'];

/** What gets TypeScript types: all messages of these packages, or single messages, and all that they refer to. */
const typed = [
  'envoy.admin.v3',
  'envoy.config.bootstrap.v3',
  'envoy.config.cluster.v3',
  'envoy.config.endpoint.v3',
  'envoy.config.listener.v3',
  'envoy.config.route.v3',
  'envoy.extensions.access_loggers.file.v3',
  'envoy.extensions.access_loggers.stream.v3',
  'envoy.extensions.clusters.dns.v3',
  'envoy.extensions.filters.http.router.v3',
  'envoy.extensions.filters.listener.tls_inspector.v3',
  'envoy.extensions.filters.network.http_connection_manager.v3',
  'envoy.extensions.filters.network.tcp_proxy.v3',
  'envoy.extensions.load_balancing_policies',
  'envoy.extensions.transport_sockets.raw_buffer.v3',
  'envoy.extensions.transport_sockets.tls.v3',
  'envoy.extensions.upstreams.http.generic.v3',
  'envoy.extensions.upstreams.http.tcp.golang.v3alpha',
  'envoy.extensions.upstreams.http.v3',
  'envoy.service.discovery.v3',
  'google.rpc.Status',
  'udpa.type.v1.TypedStruct',
  'xds.type.v3.TypedStruct',
];

function filesBelow(dir, suffix, prefix = '') {
  const found = [];
  for (const entry of readdirSync(join(dir, prefix), { withFileTypes: true })) {
    const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isDirectory()) found.push(...filesBelow(dir, suffix, path));
    else if (entry.name.endsWith(suffix)) found.push(path);
  }
  return found;
}

/** v3 and version-less files are roots; a v2 file comes along only when a v3 file imports it. */
function isRoot(path) {
  if (path.startsWith('newer/')) return false;
  return !/\/v(1|2)(alpha\d*|beta\d*)?\//.test(path) || path.startsWith('udpa/');
}

function keepOptions(object) {
  if (!object.options && !object.parsedOptions) return;
  const kept = {};
  for (const [name, value] of Object.entries(object.options ?? {})) if (keptOptions.has(name)) kept[name] = value;
  for (const option of object.parsedOptions ?? []) {
    if (option['(validate.rules)']) kept.rules = option['(validate.rules)'];
    if (option['(validate.required)']) kept.required = true;
    if (option['(udpa.annotations.sensitive)']) kept.sensitive = true;
  }
  object.options = Object.keys(kept).length > 0 ? kept : undefined;
}

function strip(namespace, protobuf) {
  keepOptions(namespace);
  if (namespace instanceof protobuf.Type) {
    for (const field of namespace.fieldsArray) keepOptions(field);
    for (const oneof of namespace.oneofsArray) keepOptions(oneof);
    namespace.reserved = undefined;
  }
  for (const object of [...(namespace.nestedArray ?? [])]) {
    if (object instanceof protobuf.Field) namespace.remove(object);
    else if (object instanceof protobuf.Enum) {
      keepOptions(object);
      object.valuesOptions = undefined;
      object.reserved = undefined;
    } else if (object instanceof protobuf.Service) {
      keepOptions(object);
      for (const method of object.methodsArray) {
        method.options = undefined;
        method.parsedOptions = undefined;
      }
    } else strip(object, protobuf);
  }
}

/**
 * The absolute name, as in `.envoy.config.core.v3.Address`, of what `name` means inside `scope`: searched from the innermost
 * scope outwards (https://protobuf.dev/programming-guides/proto3/#name-resolution). protobufjs itself also searches scopes
 * beside these, which takes longer and can find another message of the same short name.
 */
function absoluteName(scope, name) {
  if (name.startsWith('.')) return name;
  const parts = name.split('.');
  for (let space = scope; space; space = space.parent) {
    let found = space;
    for (const part of parts) found = found?.nested?.[part];
    if (found) return found.fullName;
  }
  return undefined;
}

/**
 * Makes all references absolute, and drops fields and services whose types no package ships (OpenCensus, Prometheus): on
 * the wire such a field is unknown and skipped, in a file it is reported as unknown.
 */
function resolveNames(namespace, protobuf) {
  if (namespace instanceof protobuf.Type) {
    for (const field of [...namespace.fieldsArray]) {
      if (field.type in protobuf.types.basic) continue;
      const type = absoluteName(namespace, field.type);
      if (type) field.type = type;
      else namespace.remove(field);
    }
  }
  for (const object of [...(namespace.nestedArray ?? [])]) {
    if (object instanceof protobuf.Service) {
      for (const method of object.methodsArray) {
        method.requestType = absoluteName(object, method.requestType);
        method.responseType = absoluteName(object, method.responseType);
      }
      if (!object.methodsArray.every((method) => method.requestType && method.responseType)) namespace.remove(object);
    } else if (object instanceof protobuf.Namespace) resolveNames(object, protobuf);
  }
}

/**
 * Adds the fields, messages and enum values of proto/newer/: files in the form of proto files that hold only what Envoy's API
 * has gained since the package with the official files was made.
 */
function mergeNewer(root, dir, protobuf) {
  const merge = (source, target) => {
    for (const object of [...(source.nestedArray ?? [])]) {
      const existing = target.nested?.[object.name];
      if (!existing) target.add(object);
      else if (existing instanceof protobuf.Enum) Object.assign(existing.values, object.values);
      else {
        for (const oneof of object.oneofsArray ?? []) {
          existing.oneofs?.[oneof.name] ?? existing.add(new protobuf.OneOf(oneof.name, [], oneof.options));
        }
        for (const field of [...(object.fieldsArray ?? [])]) {
          // Once a newer package has the field, the copy here is out of use.
          if (existing.fields[field.name]) continue;
          const oneof = field.partOf && existing.oneofs[field.partOf.name];
          object.remove(field);
          field.partOf = null;
          (oneof ?? existing).add(field);
        }
        merge(object, existing);
      }
    }
  };
  for (const path of filesBelow(dir, '.proto')) {
    merge(protobuf.parse(readFileSync(join(dir, path), 'utf8'), new protobuf.Root(), { keepCase: true }).root, root);
  }
}

function parseSchema({ own, imported, newer }) {
  const includes = [...own, ...imported];
  const protobuf = require('protobufjs');
  const root = new protobuf.Root();
  const load = (path) => {
    if (root.files.includes(path)) return;
    root.files.push(path);
    if (protobuf.common[path]) {
      root.addJSON(protobuf.common[path].nested);
      return;
    }
    const dir = includes.find((include) => existsSync(join(include, path)));
    if (!dir) return;
    try {
      const parsed = protobuf.parse(readFileSync(join(dir, path), 'utf8'), root, { keepCase: true });
      for (const name of parsed.imports ?? []) load(name);
    } catch (error) {
      throw new Error(`${path}: ${error.message}`, { cause: error });
    }
  };
  for (const include of own) for (const path of filesBelow(include, '.proto')) if (isRoot(path)) load(path);
  for (const name of ['any', 'duration', 'empty', 'field_mask', 'struct', 'timestamp', 'wrappers'])
    load(`google/protobuf/${name}.proto`);
  mergeNewer(root, newer, protobuf);
  strip(root, protobuf);
  for (const name of annotationPackages) {
    const found = root.lookup(name);
    found?.parent.remove(found);
  }
  resolveNames(root, protobuf);
  const json = root.toJSON();
  // Fails here, at build time, when a reference leads nowhere.
  protobuf.Root.fromJSON(json).resolveAll();
  return json;
}

/** The part of the schema that `typed` names, with all that it refers to. */
function typedSubset(json) {
  const definitions = new Map();
  const collect = (namespace, packageName) => {
    for (const [name, nested] of Object.entries(namespace.nested ?? {})) {
      const fullName = packageName === '' ? name : `${packageName}.${name}`;
      if (nested.fields || nested.values) definitions.set(fullName, nested);
      else if (!nested.methods) collect(nested, fullName);
    }
  };
  collect(json, '');
  const subset = {};
  const pending = [...definitions.keys()].filter((name) =>
    typed.some((each) => name === each || name.startsWith(`${each}.`)),
  );
  for (let name = pending.pop(); name; name = pending.pop()) {
    // A nested message comes with the one that it is nested in.
    while (!definitions.has(name)) name = name.slice(0, name.lastIndexOf('.'));
    const path = name.split('.');
    let space = subset;
    for (const part of path.slice(0, -1)) {
      space.nested ??= {};
      space.nested[part] ??= {};
      space = space.nested[part];
    }
    space.nested ??= {};
    if (space.nested[path.at(-1)]) continue;
    space.nested[path.at(-1)] = definitions.get(name);
    for (const [, type] of JSON.stringify(definitions.get(name)).matchAll(/"type":"\.([^"]+)"/g)) pending.push(type);
  }
  return subset;
}

/** TypeScript types by the tool of @grpc/proto-loader, which reads JSON schemas as well as proto files. */
function generateTypes(json, outDir, workDir) {
  const loader = dirname(require.resolve('@grpc/proto-loader/package.json'));
  const cli = join(loader, 'build', 'bin', 'proto-loader-gen-types.js');
  const types = join(workDir, 'types');
  const input = join(workDir, 'typed.json');
  rmSync(types, { recursive: true, force: true });
  writeFileSync(input, JSON.stringify(typedSubset(json)));
  const forms = ['--keepCase', '--longs=String', '--enums=String', '--defaults', '--oneofs'];
  const extensions = ['--importFileExtension=.js', '--targetFileExtension=.ts'];
  const result = spawnSync(process.execPath, [cli, input, ...forms, ...extensions, '-O', types], { encoding: 'utf8' });
  if (result.status !== 0) {
    throw new Error(`the types of the protos were not generated: ${result.stderr || result.stdout}`);
  }
  for (const path of filesBelow(types, '.ts')) {
    const file = join(types, path);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(/^\/\/ Original file: null\n+/gm, ''));
  }
  // Swapped in at once: an editor or compiler that looks meanwhile sees the old types or the new ones.
  rmSync(outDir, { recursive: true, force: true });
  mkdirSync(dirname(outDir), { recursive: true });
  renameSync(types, outDir);
  rmSync(input);
}

/** A digest of every input's path, size and time: what the outputs were made from. */
function fingerprint(includes) {
  const hash = createHash('sha256').update(readFileSync(fileURLToPath(import.meta.url)));
  for (const include of includes) {
    for (const path of filesBelow(include, '.proto')) {
      const { size, mtimeMs } = statSync(join(include, path));
      hash.update(`${path} ${size} ${mtimeMs}\n`);
    }
  }
  return hash.digest('hex');
}

function* messagesOf(json, fullName) {
  if (!json.fields) return;
  yield fullName;
  for (const [name, nested] of Object.entries(json.nested ?? {})) yield* messagesOf(nested, `${fullName}.${name}`);
}

/** What `definitionsIn` of src/protobuf/definitions.ts reads. */
function* linesOf(json, packageName = '') {
  for (const [name, nested] of Object.entries(json.nested ?? {})) {
    const fullName = packageName === '' ? name : `${packageName}.${name}`;
    if (nested.fields || nested.values || nested.methods) {
      yield `${packageName}\t${name}\t${[...messagesOf(nested, fullName)].join(' ')}\t${JSON.stringify(nested)}\n`;
    } else yield* linesOf(nested, fullName);
  }
}

/**
 * Writes dist/schema.txt and src/protobuf/generated/ below `root` (the project's folder) unless both are up to date.
 * @throws Error when a proto does not parse or refers to nothing
 */
export function buildSchema(root) {
  const deps = join(dirname(require.resolve('@grpc/grpc-js-xds/package.json')), 'deps');
  const newer = join(root, 'proto', 'newer');
  // Whole folders that we speak, and folders of which only what those import is read.
  const own = [join(root, 'proto'), join(deps, 'envoy-api'), join(deps, 'xds')];
  const imported = [join(deps, 'googleapis'), join(deps, 'protoc-gen-validate')];
  const dist = join(root, 'dist');
  const schema = join(dist, 'schema.txt');
  const generated = join(root, 'src', 'protobuf', 'generated');
  const stamp = join(generated, '.inputs');
  const inputs = fingerprint([...own, ...imported]);
  if (existsSync(schema) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return;
  const json = parseSchema({ own, imported, newer });
  mkdirSync(dist, { recursive: true });
  writeFileSync(`${schema}.new`, [...linesOf(json)].join(''));
  renameSync(`${schema}.new`, schema);
  generateTypes(json, generated, dist);
  writeFileSync(stamp, inputs);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildSchema(dirname(dirname(fileURLToPath(import.meta.url))));
