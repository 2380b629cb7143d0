import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor.js';

/** A message, enum or service that is nested in no other. */
interface Definition {
  readonly fullName: string;
  readonly packageName: string;
  readonly name: string;
  readonly json: protobuf.AnyNestedObject;
}

/** Numbers of FieldDescriptorProto.Type. */
const scalarTypes: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  fixed32: 7,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  sfixed32: 15,
  sfixed64: 16,
  sint32: 17,
  sint64: 18,
};
const messageType = 11;
const enumType = 14;
const optional = 1;
const repeated = 3;

/** Files of google/protobuf by what they define: readers have their own copies under these names. */
const googleFiles: Readonly<Record<string, string>> = {
  Any: 'any',
  Duration: 'duration',
  Empty: 'empty',
  FieldMask: 'field_mask',
  Timestamp: 'timestamp',
  Struct: 'struct',
  Value: 'struct',
  ListValue: 'struct',
  NullValue: 'struct',
};

const isMessage = (json: object): json is protobuf.IType => 'fields' in json;
const isEnum = (json: object): json is protobuf.IEnum => 'values' in json;
const isService = (json: object): json is protobuf.IService => 'methods' in json;

function* definitionsOf(json: protobuf.INamespace, packageName = ''): Generator<Definition> {
  for (const [name, nested] of Object.entries(json.nested ?? {})) {
    const fullName = packageName === '' ? name : `${packageName}.${name}`;
    if (isMessage(nested) || isEnum(nested) || isService(nested)) yield { fullName, packageName, name, json: nested };
    else yield* definitionsOf(nested, fullName);
  }
}

/** The absolute names that a definition refers to. */
function* references(json: protobuf.AnyNestedObject): Generator<string> {
  if (isMessage(json)) {
    for (const { type } of Object.values(json.fields)) if (type.startsWith('.')) yield type;
    for (const nested of Object.values(json.nested ?? {})) yield* references(nested);
  } else if (isService(json))
    for (const { requestType, responseType } of Object.values(json.methods)) {
      yield requestType;
      yield responseType;
    }
}

/** The enums of a definition, by their absolute names. */
function* enumsOf({ fullName, json }: Pick<Definition, 'fullName' | 'json'>): Generator<string> {
  if (isEnum(json)) yield `.${fullName}`;
  if (isMessage(json))
    for (const [name, nested] of Object.entries(json.nested ?? {}))
      yield* enumsOf({ fullName: `${fullName}.${name}`, json: nested });
}

/** Writes definitions as descriptors; `enums` tells which types are enums. */
function describer(enums: ReadonlySet<string>) {
  function typeOf(type: string): object {
    if (!type.startsWith('.')) return { type: scalarTypes[type] };
    return { type: enums.has(type) ? enumType : messageType, typeName: type };
  }
  function fieldOf(name: string, field: protobuf.IField, oneofs: readonly string[][]): object {
    const oneofIndex = oneofs.findIndex((members) => members.includes(name));
    return {
      name,
      jsonName: protobuf.util.jsonName(name),
      number: field.id,
      label: field.rule === 'repeated' ? repeated : optional,
      ...typeOf(field.type),
      ...(oneofIndex >= 0 && { oneofIndex }),
      ...(field.options?.proto3_optional === true && { proto3Optional: true }),
    };
  }
  /** On the wire a map is a repeated message of keys and values. */
  function mapOf(fullName: string, name: string, { id, type, keyType }: protobuf.IMapField) {
    const entry = `${protobuf.util.ucFirst(protobuf.util.camelCase(name))}Entry`;
    const typeName = `.${fullName}.${entry}`;
    return {
      field: { name, jsonName: protobuf.util.jsonName(name), number: id, label: repeated, type: messageType, typeName },
      nested: {
        name: entry,
        field: [
          { name: 'key', jsonName: 'key', number: 1, label: optional, ...typeOf(keyType) },
          { name: 'value', jsonName: 'value', number: 2, label: optional, ...typeOf(type) },
        ],
        options: { mapEntry: true },
      },
    };
  }
  function messageOf(fullName: string, name: string, { fields, oneofs = {}, nested = {} }: protobuf.IType): object {
    // Those that stand for `optional` come last, as descriptors demand.
    const groups = Object.entries(oneofs).sort(([a], [b]) => Number(a.startsWith('_')) - Number(b.startsWith('_')));
    const members = groups.map(([, { oneof }]) => oneof);
    const all = Object.entries(fields);
    const maps = all.flatMap(([each, field]) =>
      'keyType' in field ? [mapOf(fullName, each, field as protobuf.IMapField)] : [],
    );
    // Descriptors demand that members of a group stand side by side.
    const grouped = new Set(all.flatMap(([each]) => members.find((group) => group.includes(each)) ?? [each]));
    const plain = [...grouped].flatMap((each) => {
      const field = fields[each];
      return field && !('keyType' in field) ? [fieldOf(each, field, members)] : [];
    });
    const inner = Object.entries(nested);
    return {
      name,
      field: [...plain, ...maps.map(({ field }) => field)],
      oneofDecl: groups.map(([each]) => ({ name: each })),
      nestedType: [
        ...inner.flatMap(([each, json]) => (isMessage(json) ? [messageOf(`${fullName}.${each}`, each, json)] : [])),
        ...maps.map(({ nested: entry }) => entry),
      ],
      enumType: inner.flatMap(([each, json]) => (isEnum(json) ? [enumOf(each, json)] : [])),
    };
  }
  function enumOf(name: string, { values }: protobuf.IEnum): object {
    const numbers = Object.values(values);
    return {
      name,
      value: Object.entries(values).map(([each, number]) => ({ name: each, number })),
      ...(new Set(numbers).size < numbers.length && { options: { allowAlias: true } }),
    };
  }
  function serviceOf(name: string, { methods }: protobuf.IService): object {
    return {
      name,
      method: Object.entries(methods).map(([each, method]) => ({
        name: each,
        inputType: method.requestType,
        outputType: method.responseType,
        clientStreaming: method.requestStream === true,
        serverStreaming: method.responseStream === true,
      })),
    };
  }
  return (definitions: readonly Definition[]): object => ({
    messageType: definitions.flatMap(({ fullName, name, json }) =>
      isMessage(json) ? [messageOf(fullName, name, json)] : [],
    ),
    enumType: definitions.flatMap(({ name, json }) => (isEnum(json) ? [enumOf(name, json)] : [])),
    service: definitions.flatMap(({ name, json }) => (isService(json) ? [serviceOf(name, json)] : [])),
  });
}

/**
 * Definitions that refer to each other are of one file, since imports make no circles. Returns file names by absolute definition name.
 */
function filesOf(definitions: ReadonlyMap<string, Definition>, uses: ReadonlyMap<string, ReadonlySet<string>>) {
  const reached = new Map<string, ReadonlySet<string>>();
  for (const start of definitions.keys()) {
    const seen = new Set<string>();
    const pending = [...(uses.get(start) ?? [])];
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (seen.has(name)) continue;
      seen.add(name);
      pending.push(...(uses.get(name) ?? []));
    }
    reached.set(start, seen);
  }
  const files = new Map<string, string>();
  for (const [name, { packageName, name: own }] of definitions) {
    const circle = [...(reached.get(name) ?? [])].filter((other) => reached.get(other)?.has(name));
    const first = circle.sort()[0] ?? name;
    const google = `google/protobuf/${googleFiles[own] ?? 'wrappers'}.proto`;
    files.set(name, packageName === 'google.protobuf' ? google : `${first.slice(1).replaceAll('.', '/')}.proto`);
  }
  return files;
}

/**
 * Descriptors (google.protobuf.FileDescriptorProto, serialized) of a part of the schema, for gRPC server reflection. The schema has lost which
 * file a definition was in: here nearly each one has a file of its own, which imports those that it refers to.
 *
 * @param subset as `Schema.subset` gives it: with all that is referred to, all references absolute
 */
export function fileDescriptors(subset: protobuf.INamespace): Buffer[] {
  const definitions = new Map([...definitionsOf(subset)].map((each) => [`.${each.fullName}`, each]));
  /** The definition that a type is or is nested in. */
  const definitionOf = (type: string): string => {
    let name = type;
    while (!definitions.has(name)) name = name.slice(0, name.lastIndexOf('.'));
    return name;
  };
  const uses = new Map(
    [...definitions].map(([name, { json }]) => [name, new Set([...references(json)].map(definitionOf))]),
  );
  const files = filesOf(definitions, uses);
  const describe = describer(new Set([...definitions.values()].flatMap((each) => [...enumsOf(each)])));
  const byFile = new Map<string, Definition[]>();
  for (const [name, file] of files) {
    const definition = definitions.get(name) as Definition;
    byFile.set(file, [...(byFile.get(file) ?? []), definition]);
  }
  return [...byFile].map(([file, members]) => {
    const used = members.flatMap(({ fullName }) => [...(uses.get(`.${fullName}`) ?? [])]);
    const dependency = [...new Set(used.map((name) => files.get(name)))].filter((name) => name !== file);
    const proto = { name: file, package: members[0]?.packageName, syntax: 'proto3', dependency, ...describe(members) };
    const type = descriptor.FileDescriptorProto as unknown as protobuf.Type;
    return Buffer.from(type.encode(type.fromObject(proto)).finish());
  });
}
