import { ByteReader } from './bytes.js';
import {
  type ClassDefinition,
  HessianDate,
  type HessianLimits,
  HessianList,
  HessianMap,
  HessianObject,
  type HessianValue,
} from './values.js';

/** Of one message. Java's own messages have a definition for each class in them. */
const maxClasses = 4096;
const maxFields = 65_536;
const maxTypes = 4096;

/**
 * Reads the values of one message, as Dubbo's hessian-lite writes them.
 * Grammar: http://hessian.caucho.com/doc/hessian-serialization.html; where that and Dubbo's code differ (doubles of thousandths) Dubbo's code counts.
 * All methods throw a HessianError.
 */
export class HessianReader {
  readonly #in: ByteReader;
  readonly #limits: HessianLimits;
  #depth = 0;
  #values = 0;
  #fields = 0;
  readonly #refs: HessianValue[] = [];
  readonly #classes: ClassDefinition[] = [];
  readonly #types: string[] = [];
  /** What came more than once: only these can be in a circle. */
  readonly shared = new Set<HessianValue>();

  constructor(bytes: Buffer, limits: HessianLimits) {
    this.#in = new ByteReader(bytes);
    this.#limits = limits;
  }

  /** Bytes that are not read yet. */
  get remaining(): number {
    return this.#in.remaining;
  }

  value(): HessianValue {
    this.#values += 1;
    if (this.#values > this.#limits.maxValues) throw this.#in.error(`more than ${this.#limits.maxValues} values`);
    const code = this.#in.byte();
    if (code < 0x20) return this.#in.text(code);
    // Compact numbers: the high half of the table.
    if (code >= 0x80) return code < 0xd8 ? this.#int(code) : this.#long(code);
    if (code >= 0x70) return this.#list(code);
    if (code >= 0x60) return this.#object(code - 0x60);
    return this.#letter(code);
  }

  /** An int, as `readInt` and `readByte`. */
  int(): number {
    const value = this.value();
    if (typeof value === 'number' && Number.isInteger(value)) return value;
    throw this.#in.error('an int was expected');
  }

  /** A string or null, as `readUTF`. */
  string(): string | null {
    const value = this.value();
    if (typeof value === 'string' || value === null) return value;
    throw this.#in.error('a string was expected');
  }

  #letter(code: number): HessianValue {
    switch (code) {
      case 0x4e:
        return null;
      case 0x54:
        return true;
      case 0x46:
        return false;
      case 0x49:
        return this.#in.int32();
      case 0x4c:
        return exact(this.#in.int64());
      case 0x59:
        return this.#in.int32();
      case 0x44:
        return this.#in.double();
      case 0x5b:
        return 0;
      case 0x5c:
        return 1;
      case 0x5d:
        return (this.#in.byte() << 24) >> 24;
      case 0x5e:
        return this.#in.int16();
      case 0x5f:
        return 0.001 * this.#in.int32();
      case 0x4a:
        return new HessianDate(exact(this.#in.int64()));
      case 0x4b:
        return new HessianDate(this.#in.int32() * 60_000);
      case 0x43:
        return this.#definedObject();
      case 0x4f:
        return this.#object(this.int());
      case 0x48:
        return this.#map(undefined);
      case 0x4d:
        return this.#map(this.#type() || undefined);
      case 0x51:
        return this.#ref();
      default:
        return this.#chunked(code);
    }
  }

  #chunked(code: number): HessianValue {
    if (code === 0x41 || code === 0x42 || code <= 0x2f || (code >= 0x34 && code <= 0x37)) return this.#in.binary(code);
    if (code === 0x52 || code === 0x53 || (code >= 0x30 && code <= 0x33)) return this.#in.text(code);
    if (code >= 0x38 && code <= 0x3f) return this.#long(code);
    if (code >= 0x55 && code <= 0x58) return this.#list(code);
    throw this.#in.error(`0x${code.toString(16)} begins no value`);
  }

  #int(code: number): number {
    if (code < 0xc0) return code - 0x90;
    if (code < 0xd0) return ((code - 0xc8) << 8) | this.#in.byte();
    return ((code - 0xd4) << 16) | (this.#in.byte() << 8) | this.#in.byte();
  }

  #long(code: number): number {
    if (code >= 0xf0) return ((code - 0xf8) << 8) | this.#in.byte();
    if (code >= 0xd8) return code - 0xe0;
    return ((code - 0x3c) << 16) | (this.#in.byte() << 8) | this.#in.byte();
  }

  // What holds other values. Each gets its number before what is inside.

  #list(code: number): HessianList {
    const typed = code === 0x55 || code === 0x56 || (code >= 0x70 && code < 0x78);
    const list = new HessianList(typed ? this.#type() : undefined);
    this.#enter(list);
    const { items } = list;
    if (code === 0x55 || code === 0x57) {
      while (!this.#atEnd()) items.push(this.value());
    } else {
      const length = code >= 0x70 ? code & 7 : this.int();
      // Each item has a byte at least.
      if (length < 0 || length > this.remaining) throw this.#in.error(`a list of ${length} in ${this.remaining} bytes`);
      for (let index = 0; index < length; index++) items.push(this.value());
    }
    this.#depth -= 1;
    return list;
  }

  #map(type: string | undefined): HessianMap {
    const map = new HessianMap(type);
    this.#enter(map);
    while (!this.#atEnd()) {
      map.keys.push(this.value());
      map.values.push(this.value());
    }
    this.#depth -= 1;
    return map;
  }

  #definedObject(): HessianValue {
    // Definitions stand before an object, several of them in a loop rather than by recursion.
    for (let code = 0x43; ; code = this.#in.byte()) {
      if (code >= 0x60 && code < 0x70) return this.#object(code - 0x60);
      if (code === 0x4f) return this.#object(this.int());
      if (code !== 0x43) throw this.#in.error('no object follows a class definition');
      this.#definition();
    }
  }

  #definition(): void {
    const name = this.#name();
    const count = this.int();
    this.#fields += count;
    if (count < 0 || count > this.remaining) throw this.#in.error(`a class of ${count} fields`);
    if (this.#classes.length === maxClasses || this.#fields > maxFields) throw this.#in.error('too many classes');
    const fields: string[] = [];
    for (let index = 0; index < count; index++) fields.push(this.#name());
    this.#classes.push({ name, fields });
  }

  #object(index: number): HessianObject {
    const definition = this.#classes[index];
    if (definition === undefined) throw this.#in.error(`class ${index} of ${this.#classes.length}`);
    const object = new HessianObject(definition);
    this.#enter(object);
    for (let field = 0; field < definition.fields.length; field++) object.values.push(this.value());
    this.#depth -= 1;
    return object;
  }

  #ref(): HessianValue {
    const index = this.int();
    const found = this.#refs[index];
    if (found === undefined) throw this.#in.error(`reference ${index} of ${this.#refs.length}`);
    this.shared.add(found);
    return found;
  }

  #enter(value: HessianValue): void {
    this.#refs.push(value);
    this.#depth += 1;
    if (this.#depth > this.#limits.maxDepth) throw this.#in.error(`deeper than ${this.#limits.maxDepth}`);
  }

  #name(): string {
    const name = this.string();
    if (name === null) throw this.#in.error('a name is null');
    return name;
  }

  /** A type's name, or the number of one that came before. */
  #type(): string {
    const value = this.value();
    if (typeof value === 'string') {
      if (this.#types.length === maxTypes) throw this.#in.error('too many types');
      this.#types.push(value);
      return value;
    }
    const found = typeof value === 'number' ? this.#types[value] : undefined;
    if (found === undefined) throw this.#in.error('no such type');
    return found;
  }

  /** Takes the mark of an end, if it is there. */
  #atEnd(): boolean {
    if (this.remaining === 0) throw this.#in.error('a list or map is cut short');
    return this.#in.take(0x5a);
  }
}

/** A number where that is exact. */
const exact = (value: bigint): number | bigint =>
  value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
