import type { HessianWriter } from '../hessian/writer.js';
import { isObject, type Json, type JsonArray, JsonNumber, type JsonObject, kindOf } from '../json/values.js';
import { type ClassTable, isListClass, isMapClass, listType, mapType } from './classes.js';
import { followPath } from './json-path.js';
import { classWriter, primitiveWriters, type ScalarWriter, ValueError, writeBytes, writeNumber } from './scalars.js';
import { textToJson } from './text.js';
import { isClassName, isIdentifier, type JavaType } from './types.js';

/** The request has an argument that can't be sent; the message says which, and what it must be. */
export class ArgumentError extends Error {}

export interface EncodeOptions {
  /** For Dubbo's generic calls, where the provider builds the objects: they are sent as maps, enums as their names. */
  readonly generic: boolean;
  readonly classes: ClassTable;
  /** Whether JSON may name this class in a member `class`. */
  readonly acceptsClass: (name: string) => boolean;
  /** Whether `{"$ref": "$.path"}` stands for what is at that place of the argument. */
  readonly references: boolean;
}

const objectClass = 'java.lang.Object';

/** Writes arguments by their Java types. */
export class ArgumentWriter {
  readonly #writer: HessianWriter;
  readonly #options: EncodeOptions;
  /** Where in the arguments we are, for messages. */
  readonly #path: (string | number)[] = [];
  /** The argument that is being written, and the numbers of what it holds, for references. */
  #root: Json = null;
  readonly #numbers = new Map<Json, number>();

  constructor(writer: HessianWriter, options: EncodeOptions) {
    this.#writer = writer;
    this.#options = options;
  }

  /**
   * @param type undefined: nobody told; the JSON decides
   * @param name for messages
   * @throws ArgumentError
   */
  write(type: JavaType | undefined, value: Json, name: string | number): void {
    this.#root = value;
    this.#numbers.clear();
    this.#path.length = 0;
    try {
      this.#path.push(name);
      this.#value(type, value);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ArgumentError(`${this.#where()} ${error.message}`);
    }
  }

  #where(): string {
    const [first, ...rest] = this.#path;
    const name = typeof first === 'number' ? `argument ${first + 1}` : `argument ${JSON.stringify(first)}`;
    const inside = rest.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step.slice(0, 64)}`)).join('');
    return inside === '' ? name : `${name}, ${inside.startsWith('.') ? inside.slice(1) : inside}:`;
  }

  /** The step stays on the path when it throws, for the message. */
  #inside(step: string | number, type: JavaType | undefined, value: Json): void {
    this.#path.push(step);
    this.#value(type, value);
    this.#path.pop();
  }

  #value(type: JavaType | undefined, value: Json): void {
    if (value === null) {
      if (type?.kind === 'primitive') throw new ValueError(`must be a ${type.name}, not null`);
      this.#writer.null();
    } else if (this.#options.references && this.#isReference(value)) {
      return;
    } else if (type === undefined || (type.kind === 'class' && type.name === objectClass)) {
      this.#inferred(value);
    } else if (type.kind === 'primitive') {
      primitiveWriters[type.name](this.#writer, value);
    } else if (type.kind === 'array') {
      this.#array(type.element, value);
    } else {
      this.#class(type, value);
    }
  }

  #class(type: JavaType & { readonly kind: 'class' }, value: Json): void {
    const scalar = classWriter(type.name);
    if (scalar !== undefined) scalar(this.#writer, value);
    else if (isListClass(type.name)) this.#list(type.arguments[0], value, listType(type.name));
    else if (isMapClass(type.name)) this.#map(type.arguments, value, mapType(type.name));
    else if (type.name === 'java.lang.Class') this.#className(value);
    else this.#object(type, value);
  }

  #array(element: JavaType, value: Json): void {
    if (element.kind === 'primitive' && element.name === 'byte') writeBytes(this.#writer, value);
    else if (element.kind === 'primitive' && element.name === 'char' && typeof value === 'string') {
      this.#writer.string(value);
    } else {
      // The provider's side of a generic call builds arrays of other classes from lists.
      const isTyped = !this.#options.generic || isPlainElement(element);
      this.#list(element, value, isTyped ? arrayName(element) : undefined);
    }
  }

  #list(element: JavaType | undefined, value: Json, type: string | undefined): void {
    if (!Array.isArray(value)) throw new ValueError(`must be an array, not ${kindOf(value)}`);
    const items = value as JsonArray;
    this.#remember(value, this.#writer.list(items.length, type));
    const scalar = element === undefined ? undefined : scalarOf(element);
    items.forEach((item, index) => {
      this.#path.push(index);
      if (scalar !== undefined && item !== null && !isObject(item)) scalar(this.#writer, item);
      else this.#value(element, item);
      this.#path.pop();
    });
  }

  /** From an object, or, for keys that are no text, from an array of `{"key": …, "value": …}`. */
  #map([keyType, valueType]: readonly JavaType[], value: Json, type: string | undefined): void {
    if (isObject(value)) {
      this.#remember(value, this.#writer.map(type));
      for (const [name, member] of value) {
        if (keyType === undefined) this.#writer.string(name);
        else this.#inside(name, keyType, textToJson(keyType, name));
        this.#inside(name, valueType, member);
      }
    } else if (Array.isArray(value)) {
      this.#remember(value, this.#writer.map(type));
      (value as JsonArray).forEach((entry, index) => {
        this.#path.push(index);
        const [key, member] = entryOf(entry);
        this.#inside('key', keyType, key);
        this.#inside('value', valueType, member);
        this.#path.pop();
      });
    } else throw new ValueError(`must be an object or an array of entries, not ${kindOf(value)}`);
    this.#writer.end();
  }

  #className(value: Json): void {
    if (typeof value !== 'string' || !isClassName(value)) throw new ValueError(`must be a class's name`);
    if (this.#options.generic) {
      this.#writer.string(value);
      return;
    }
    this.#writer.object('java.lang.Class', ['name']);
    this.#writer.string(value);
  }

  #object(type: JavaType & { readonly kind: 'class' }, value: Json): void {
    const info = this.#options.classes.get(type.name);
    // An object can't be a string, so a class that isn't described is an enum then.
    if (typeof value === 'string' && info?.kind !== 'object') {
      this.#enum(type.name, info?.names, value);
      return;
    }
    if (!isObject(value)) {
      throw new ValueError(`must be ${info?.kind === 'enum' ? 'a string' : 'an object'}, not ${kindOf(value)}`);
    }
    this.#members(this.#classOf(value, type.name), value);
  }

  #enum(className: string, names: ReadonlySet<string> | undefined, value: string): void {
    if (names !== undefined && !names.has(value)) {
      throw new ValueError(`must be one of ${[...names].join(', ')}, not ${JSON.stringify(value.slice(0, 64))}`);
    }
    if (!this.#options.generic) this.#writer.object(className, ['name']);
    this.#writer.string(value);
  }

  /** The class that the JSON names; `declared` without one. */
  #classOf(value: JsonObject, declared: string | undefined): string | undefined {
    const named = value.get('class');
    if (typeof named !== 'string' || named === declared) return declared;
    const allowed = this.#options.classes.has(named) || this.#options.acceptsClass(named);
    if (allowed && isClassName(named)) return named;
    throw new ValueError(
      `names the class ${JSON.stringify(named.slice(0, 128))}, which accept_classes of plugin_config doesn't allow`,
    );
  }

  #members(className: string | undefined, value: JsonObject): void {
    const info = className === undefined ? undefined : this.#options.classes.get(className);
    const fields = info?.kind === 'object' ? info.fields : undefined;
    if (this.#options.generic || className === undefined) {
      this.#remember(value, this.#writer.map());
      for (const [name, member] of value) {
        this.#writer.string(name);
        this.#inside(name, fields?.get(name), member);
      }
      this.#writer.end();
      return;
    }
    const names = [...value.keys()].filter((name) => name !== 'class' || fields?.has('class') === true);
    for (const name of names) {
      if (!isIdentifier(name))
        throw new ValueError(`has a member ${JSON.stringify(name.slice(0, 64))}, which no class can have`);
    }
    this.#remember(value, this.#writer.object(className, names));
    for (const name of names) this.#inside(name, fields?.get(name), value.get(name) ?? null);
  }

  #inferred(value: Json): void {
    if (typeof value === 'string') this.#writer.string(value);
    else if (typeof value === 'boolean') this.#writer.boolean(value);
    else if (value instanceof JsonNumber) writeNumber(this.#writer, value.text);
    else if (Array.isArray(value)) this.#list(undefined, value, undefined);
    else if (isObject(value)) this.#members(this.#classOf(value, undefined), value);
  }

  #remember(value: Json, index: number): void {
    if (this.#options.references) this.#numbers.set(value, index);
  }

  #isReference(value: Json): boolean {
    if (!isObject(value) || value.size !== 1) return false;
    const path = value.get('$ref');
    if (typeof path !== 'string' || !path.startsWith('$')) return false;
    const target = followPath(this.#root, path);
    const index = target === undefined ? undefined : this.#numbers.get(target);
    if (index === undefined) {
      throw new ValueError(`refers to ${JSON.stringify(path.slice(0, 128))}, where no array or object has begun`);
    }
    this.#writer.ref(index);
    return true;
  }
}

function scalarOf(type: JavaType): ScalarWriter | undefined {
  if (type.kind === 'primitive') return primitiveWriters[type.name];
  return type.kind === 'class' ? classWriter(type.name) : undefined;
}

function isPlainElement(element: JavaType): boolean {
  if (element.kind === 'array') return isPlainElement(element.element);
  return element.kind === 'primitive' || element.name === 'java.lang.String' || element.name === objectClass;
}

/** What hessian-lite calls an array. Source: ArraySerializer.getArrayType. */
function arrayName(element: JavaType): string {
  if (element.kind === 'array') return `[${arrayName(element.element)}`;
  const short: Readonly<Record<string, string>> = {
    'java.lang.String': 'string',
    [objectClass]: 'object',
    'java.util.Date': 'date',
  };
  return `[${short[element.name] ?? element.name}`;
}

function entryOf(entry: Json): [key: Json, value: Json] {
  const key = isObject(entry) ? entry.get('key') : undefined;
  const value = isObject(entry) ? entry.get('value') : undefined;
  if (key === undefined || value === undefined) {
    throw new ValueError('must be an object with the members "key" and "value"');
  }
  return [key, value];
}
