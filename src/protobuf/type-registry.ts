import protobuf from 'protobufjs';
import { type Definition, fullNameOf, isMessage } from './definitions.js';

type Read = Definition & { readonly json: protobuf.AnyNestedObject };

/** The types of a schema file. Reflecting all of them takes as long as a start may take, so each is when first asked for. */
export interface TypeRegistry {
  has(typeName: string): boolean;
  find(typeName: string): protobuf.Type | undefined;
  names(): Iterable<string>;
  /** The named messages and services with all that they refer to, in the schema file's own format. */
  subset(names: readonly string[]): protobuf.INamespace;
}

/** The absolute type names that a definition refers to. */
function* references(json: protobuf.AnyNestedObject): Generator<string> {
  const { fields, methods, nested } = json as Partial<protobuf.IType & protobuf.IService>;
  for (const field of Object.values(fields ?? {})) if (field.type.startsWith('.')) yield field.type.slice(1);
  for (const { requestType, responseType } of Object.values(methods ?? {})) {
    yield requestType.slice(1);
    yield responseType.slice(1);
  }
  for (const each of Object.values(nested ?? {})) yield* references(each);
}

/**
 * @param all the schema's definitions; all references in them are absolute
 * @param prepare is called for each message type before its first use
 */
export function createTypeRegistry(all: Iterable<Definition>, prepare: (type: protobuf.Type) => void): TypeRegistry {
  const root = new protobuf.Root();
  const definitions = new Map<string, Definition>();
  const messages = new Map<string, protobuf.Type | undefined>();
  for (const definition of all) {
    definitions.set(fullNameOf(definition), definition);
    for (const name of definition.messages) messages.set(name, undefined);
  }

  /** The definition that a name is of or in. */
  const definitionOf = (fullName: string): [string, Definition] => {
    for (let name = fullName; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
      const definition = definitions.get(name);
      if (definition) return [name, definition];
    }
    throw new Error(`the schema has no ${fullName}`);
  };

  const closure = (names: readonly string[], known: ReadonlySet<string>): Map<string, Read> => {
    const found = new Map<string, Read>();
    const pending = [...names];
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const [fullName, definition] = definitionOf(name);
      if (found.has(fullName) || known.has(fullName)) continue;
      const json = definition.read();
      found.set(fullName, { ...definition, json });
      pending.push(...references(json));
    }
    return found;
  };

  const reflected = new Set<string>();
  const reflect = (typeName: string): protobuf.Type => {
    for (const [fullName, { packageName, name, messages: names, json }] of closure([typeName], reflected)) {
      reflected.add(fullName);
      const object = isMessage(json)
        ? protobuf.Type.fromJSON(name, json)
        : protobuf.Enum.fromJSON(name, json as protobuf.IEnum);
      (packageName === '' ? root : root.define(packageName)).add(object);
      for (const each of names) prepare(root.lookupType(`.${each}`));
    }
    root.resolveAll();
    return root.lookupType(`.${typeName}`);
  };

  return {
    has: (typeName) => messages.has(typeName),
    names: () => messages.keys(),
    find(typeName) {
      if (!messages.has(typeName)) return undefined;
      const type = messages.get(typeName) ?? reflect(typeName);
      messages.set(typeName, type);
      return type;
    },
    subset(names) {
      const target: protobuf.INamespace = {};
      for (const { packageName, name, json } of closure(names, new Set()).values()) {
        let space = target;
        for (const part of packageName === '' ? [] : packageName.split('.')) {
          space.nested ??= {};
          space.nested[part] ??= {};
          space = space.nested[part] as protobuf.INamespace;
        }
        space.nested ??= {};
        space.nested[name] = json;
      }
      return target;
    },
  };
}
