import { HessianDate, HessianList, HessianMap, HessianObject, type HessianValue } from '../hessian/values.js';
import { isDoubleText } from '../json/decimal.js';
import { atomicClasses, type ClassTable, isMapClass, sqlDates, textValueClasses } from './classes.js';
import { pathText } from './json-path.js';
import { timeText } from './time-text.js';
import type { JavaType } from './types.js';

/** The value can't be written as JSON; the message says why. */
export class ToJsonError extends Error {}

export interface ToJsonOptions {
  readonly classes: ClassTable;
  /** Longs beyond 2^53, BigInteger and BigDecimal values that no double holds: as they are, or in quotes. */
  readonly largeNumbers: 'number' | 'string';
  readonly dates: 'iso' | 'millis';
  /** Whether objects have a member `class`. */
  readonly classNames: boolean;
  /** Whether a value inside itself becomes `{"$ref": "$.path"}`; otherwise it is an error. */
  readonly references: boolean;
  readonly maxDepth: number;
  /** In UTF-16 units. A message of a few bytes can say a value a million times. */
  readonly maxLength: number;
}

const hessianHandles = 'com.alibaba.com.caucho.hessian.io.';
const numeral = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** 32-bit words: what is longer is written as the object that it is, because decimal digits cost the square of it. */
const maxWords = 512;

/**
 * JSON of a value, as README.md's table says.
 *
 * @param type what the configuration says of it
 * @param shared what the message contains more than once (`HessianReader.shared`)
 * @throws ToJsonError
 */
export function toJson(
  value: HessianValue,
  type: JavaType | undefined,
  shared: ReadonlySet<HessianValue>,
  options: ToJsonOptions,
): string {
  const writer = new Writer(shared, options);
  writer.value(value, type);
  return writer.text;
}

class Writer {
  text = '';
  readonly #shared: ReadonlySet<HessianValue>;
  readonly #options: ToJsonOptions;
  /** What is being written, the outermost first, and the way there. */
  readonly #inside: HessianValue[] = [];
  readonly #steps: (string | number)[] = [];

  constructor(shared: ReadonlySet<HessianValue>, options: ToJsonOptions) {
    this.#shared = shared;
    this.#options = options;
  }

  value(value: HessianValue, type: JavaType | undefined): void {
    if (value instanceof HessianList) this.#container(value, () => this.#list(value, type));
    else if (value instanceof HessianMap) this.#container(value, () => this.#map(value, type));
    else if (value instanceof HessianObject) this.#objectOrScalar(value, type);
    else this.#add(this.#plain(value, type));
  }

  #add(text: string): void {
    this.text += text;
    if (this.text.length > this.#options.maxLength) {
      throw new ToJsonError(`its JSON is longer than ${this.#options.maxLength} characters`);
    }
  }

  #plain(value: Exclude<HessianValue, HessianList | HessianMap | HessianObject>, type: JavaType | undefined): string {
    if (value === null) return 'null';
    if (typeof value === 'string') return JSON.stringify(value);
    if (typeof value === 'number') return numberText(value, type);
    if (typeof value === 'bigint') return this.#large(value.toString());
    if (typeof value === 'boolean') return String(value);
    if (value instanceof HessianDate) return this.#date(value);
    return `"${value.toString('base64')}"`;
  }

  #large(digits: string): string {
    return this.#options.largeNumbers === 'string' && !isDoubleText(digits) ? `"${digits}"` : digits;
  }

  #date({ millis }: HessianDate): string {
    const time = Number(millis);
    const isDate = Math.abs(time) <= 8.64e15;
    return this.#options.dates === 'iso' && isDate ? `"${new Date(time).toISOString()}"` : this.#large(String(millis));
  }

  #container(value: HessianValue, write: () => void): void {
    if (this.#shared.has(value) && this.#isInside(value)) return;
    if (this.#inside.length === this.#options.maxDepth) {
      throw new ToJsonError(`it is deeper than ${this.#options.maxDepth}`);
    }
    this.#inside.push(value);
    write();
    this.#inside.pop();
  }

  /** A value inside itself: JSON has no form for that, so the way to it is written. */
  #isInside(value: HessianValue): boolean {
    const depth = this.#inside.indexOf(value);
    if (depth < 0) return false;
    if (!this.#options.references) {
      throw new ToJsonError('it contains itself, and references are switched off in plugin_config');
    }
    this.#add(`{"$ref":${JSON.stringify(pathText(this.#steps.slice(0, depth)))}}`);
    return true;
  }

  #member(step: string | number, value: HessianValue, type: JavaType | undefined): void {
    this.#steps.push(step);
    this.value(value, type);
    this.#steps.pop();
  }

  #list({ items }: HessianList, type: JavaType | undefined): void {
    const element = type?.kind === 'array' ? type.element : type?.kind === 'class' ? type.arguments[0] : undefined;
    this.#add('[');
    items.forEach((item, index) => {
      if (index > 0) this.#add(',');
      this.#member(index, item, element);
    });
    this.#add(']');
  }

  #map(map: HessianMap, type: JavaType | undefined): void {
    const isMap = type?.kind === 'class' && isMapClass(type.name);
    const [keyType, valueType] = isMap ? type.arguments : [];
    const names = map.keys.map((key) => this.#keyText(key, keyType));
    if (names.includes(undefined) || new Set(names).size < names.length) {
      this.#entries(map, keyType, valueType);
      return;
    }
    const className = this.#mapClass(map, type);
    const info = className === undefined ? undefined : this.#options.classes.get(className);
    const fields = info?.kind === 'object' ? info.fields : undefined;
    this.#add('{');
    let comma = '';
    // An object of an old or foreign sender: a map that has the class for its type.
    if (map.type !== undefined && className === map.type && this.#options.classNames && !names.includes('class')) {
      this.#add(`"class":${JSON.stringify(map.type)}`);
      comma = ',';
    }
    (names as string[]).forEach((name, index) => {
      const value = map.values[index] as HessianValue;
      if (name === 'class' && !this.#options.classNames && typeof value === 'string' && value.includes('.')) return;
      this.#add(`${comma}${JSON.stringify(name)}:`);
      comma = ',';
      this.#member(name, value, valueType ?? fields?.get(name));
    });
    this.#add('}');
  }

  /** The class of the object that a map stands for, if it is one. */
  #mapClass(map: HessianMap, type: JavaType | undefined): string | undefined {
    if (map.type !== undefined) return map.type.startsWith('java.') ? undefined : map.type;
    const named = map.values[map.keys.indexOf('class')];
    if (typeof named === 'string') return named;
    return type?.kind === 'class' ? type.name : undefined;
  }

  #entries(map: HessianMap, keyType: JavaType | undefined, valueType: JavaType | undefined): void {
    this.#add('[');
    map.keys.forEach((key, index) => {
      this.#add(index > 0 ? ',{"key":' : '{"key":');
      this.#steps.push(index);
      this.#member('key', key, keyType);
      this.#add(',"value":');
      this.#member('value', map.values[index] as HessianValue, valueType);
      this.#steps.pop();
      this.#add('}');
    });
    this.#add(']');
  }

  /** The name that a key has in a JSON object; undefined when it is none. */
  #keyText(key: HessianValue, type: JavaType | undefined): string | undefined {
    if (typeof key === 'string') return key;
    if (typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean' || key instanceof HessianDate) {
      return unquoted(this.#plain(key, type));
    }
    if (!(key instanceof HessianObject)) return undefined;
    const text = this.#scalar(key, type);
    if (text !== undefined) return unquoted(text);
    const { fields } = key.definition;
    // Most likely an enum: nothing else with a name alone is used as a key.
    const name = fields.length === 1 ? key.get('name') : undefined;
    return typeof name === 'string' ? name : undefined;
  }

  #objectOrScalar(object: HessianObject, type: JavaType | undefined): void {
    const text = this.#scalar(object, type);
    if (text === undefined) this.#container(object, () => this.#object(object));
    else this.#add(text);
  }

  #object({ definition, values }: HessianObject): void {
    const info = this.#options.classes.get(definition.name);
    const fields = info?.kind === 'object' ? info.fields : undefined;
    const hasClass = definition.fields.includes('class');
    this.#add(this.#options.classNames && !hasClass ? `{"class":${JSON.stringify(definition.name)}` : '{');
    let comma = this.#options.classNames && !hasClass ? ',' : '';
    const seen = new Set<string>();
    definition.fields.forEach((field, index) => {
      // A class can have a field of the same name as its parent has; Java's own reader takes the first.
      if (seen.has(field)) return;
      seen.add(field);
      this.#add(`${comma}${JSON.stringify(field)}:`);
      comma = ',';
      this.#member(field, values[index] as HessianValue, fields?.get(field));
    });
    this.#add('}');
  }

  /** JSON of an object that is one value; undefined for others. */
  #scalar(object: HessianObject, type: JavaType | undefined): string | undefined {
    const { name, fields } = object.definition;
    if (name === 'java.math.BigDecimal') return this.#decimal(object.get('value'));
    if (name === 'java.math.BigInteger') return this.#bigInteger(object);
    if (name === 'java.lang.Class') return quoted(object.get('name'));
    if (textValueClasses.has(name)) return quoted(object.get('value'));
    if (sqlDates.has(name)) return this.#dateValue(object.get('value'));
    if (atomicClasses.has(name)) return this.#numberValue(object.get('value'));
    if (name.startsWith(hessianHandles)) return this.#handle(object, name.slice(hessianHandles.length));
    const described = this.#options.classes.get(name)?.kind === 'enum' || this.#isEnumType(type, name);
    return described && fields.length === 1 ? quoted(object.get('name')) : undefined;
  }

  #isEnumType(type: JavaType | undefined, name: string): boolean {
    return type?.kind === 'class' && type.name === name && this.#options.classes.get(name)?.kind === 'enum';
  }

  #handle(object: HessianObject, name: string): string | undefined {
    if (name === 'LocaleHandle') return quoted(object.get('value'));
    if (name === 'FloatHandle' || name === 'ShortHandle' || name === 'ByteHandle') {
      return this.#numberValue(object.get('_value'));
    }
    const text = timeText(object);
    return text === undefined ? undefined : JSON.stringify(text);
  }

  #decimal(value: HessianValue | undefined): string | undefined {
    if (typeof value !== 'string') return undefined;
    return numeral.test(value) ? this.#large(value) : JSON.stringify(value);
  }

  #bigInteger(object: HessianObject): string | undefined {
    const [signum, words] = [object.get('signum'), object.get('mag')];
    if (!(words instanceof HessianList) || words.items.length > maxWords) return undefined;
    let hex = '0x0';
    for (const word of words.items) {
      if (typeof word !== 'number' || word !== (word | 0)) return undefined;
      hex += (word >>> 0).toString(16).padStart(8, '0');
    }
    const value = BigInt(hex);
    return this.#large((signum === -1 ? -value : value).toString());
  }

  #dateValue(value: HessianValue | undefined): string | undefined {
    return value instanceof HessianDate ? this.#date(value) : undefined;
  }

  #numberValue(value: HessianValue | undefined): string | undefined {
    return typeof value === 'number' || typeof value === 'bigint' ? this.#plain(value, undefined) : undefined;
  }
}

const quoted = (value: HessianValue | undefined): string | undefined =>
  typeof value === 'string' ? JSON.stringify(value) : undefined;

/** What is between the quotes of a JSON text without escapes, or the text itself. */
const unquoted = (text: string): string => (text.startsWith('"') ? (JSON.parse(text) as string) : text);

function numberText(value: number, type: JavaType | undefined): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  if (Object.is(value, -0)) return '-0.0';
  const isFloat =
    type?.kind === 'primitive' ? type.name === 'float' : type?.kind === 'class' && type.name === 'java.lang.Float';
  return isFloat ? floatText(value) : String(value);
}

/** The shortest text that is this float. Java sends it as a double: the nearest, or that of the float's own text. */
function floatText(value: number): string {
  const single = Math.fround(value);
  for (let digits = 1; digits < 9; digits++) {
    const shorter = Number(single.toPrecision(digits));
    if (Math.fround(shorter) === single) return String(shorter);
  }
  return String(Number(single.toPrecision(9)));
}
