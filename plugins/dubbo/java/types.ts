/** A Java type as a method's signature names it. */
export type JavaType =
  | { readonly kind: 'primitive'; readonly name: Primitive }
  | { readonly kind: 'array'; readonly element: JavaType }
  | { readonly kind: 'class'; readonly name: string; readonly arguments: readonly JavaType[] };

export type Primitive = keyof typeof primitives;

/** Names and their letters in descriptors: Java Virtual Machine Specification, 4.3.2. */
const primitives = {
  boolean: 'Z',
  byte: 'B',
  char: 'C',
  double: 'D',
  float: 'F',
  int: 'I',
  long: 'J',
  short: 'S',
} as const;

const byLetter = new Map(Object.entries(primitives).map(([name, letter]) => [letter as string, name as Primitive]));

/** Names that may be written without their package. */
const short: Readonly<Record<string, string>> = Object.fromEntries([
  ...'Boolean Byte Character Double Float Integer Long Short Number String CharSequence Object Class'
    .split(' ')
    .map((name) => [name, `java.lang.${name}`]),
  ...'Date List Set Map Collection ArrayList LinkedList HashSet LinkedHashSet TreeSet HashMap LinkedHashMap TreeMap UUID Locale'
    .split(' ')
    .map((name) => [name, `java.util.${name}`]),
  ...'BigDecimal BigInteger'.split(' ').map((name) => [name, `java.math.${name}`]),
  ...'Instant LocalDate LocalTime LocalDateTime ZonedDateTime OffsetDateTime OffsetTime Year YearMonth MonthDay Duration Period ZoneId ZoneOffset'
    .split(' ')
    .map((name) => [name, `java.time.${name}`]),
]);

const identifier = /[\p{L}\p{Nl}_$][\p{L}\p{N}_$]*/u;
const identifierOnly = new RegExp(`^${identifier.source}$`, 'u');
const className = new RegExp(`^${identifier.source}(?:\\.${identifier.source})*$`, 'u');
const maxNameLength = 512;
const maxDepth = 16;

/** The text names no type; the message says why. */
export class JavaTypeError extends Error {}

/** Whether a text can be the full name of a class or interface. */
export const isClassName = (text: string): boolean => text.length <= maxNameLength && className.test(text);

/** Whether a text can be the name of a method or field. */
export const isIdentifier = (text: string): boolean => text.length <= maxNameLength && identifierOnly.test(text);

/**
 * Reads one type as Java source has it: `int`, `java.util.List<java.lang.Long>`, `com.example.Order[]`, `Map<String, ? extends Number>`.
 * Common classes of java.lang, java.util, java.math and java.time need no package. Throws a JavaTypeError.
 */
export function parseType(text: string): JavaType {
  const parser = new Parser(text);
  const type = parser.type(0);
  parser.end();
  return type;
}

/** Reads a list of types: names separated by commas, or descriptors as in a class file (`ILjava/lang/String;[J`). */
export function parseTypes(text: string): JavaType[] {
  const trimmed = text.trim();
  if (trimmed === '') return [];
  if (isDescriptor(trimmed)) return parseDescriptor(trimmed);
  const parser = new Parser(trimmed);
  const types = [parser.type(0)];
  while (parser.take(',')) types.push(parser.type(0));
  parser.end();
  return types;
}

/** A name that is no type by itself but reads as one (`Z`, `II`) is taken for descriptors. */
const isDescriptor = (text: string): boolean => /^(?:\[*(?:[ZBCDFIJS]|L[^;,<>\s.]+;))+$/.test(text);

function parseDescriptor(text: string): JavaType[] {
  const types: JavaType[] = [];
  for (const [, arrays = '', letter = '', name] of text.matchAll(/(\[*)(?:([ZBCDFIJS])|L([^;]+);)/g)) {
    const primitive = byLetter.get(letter);
    let type: JavaType =
      primitive === undefined ? classType((name ?? '').replaceAll('/', '.')) : { kind: 'primitive', name: primitive };
    for (let index = 0; index < arrays.length; index++) type = { kind: 'array', element: type };
    types.push(type);
  }
  return types;
}

function classType(name: string, types: readonly JavaType[] = []): JavaType {
  const full = Object.hasOwn(short, name) ? (short[name] as string) : name;
  if (!isClassName(full)) throw new JavaTypeError(`${JSON.stringify(name)} is no class name`);
  if (!full.includes('.')) {
    throw new JavaTypeError(`${JSON.stringify(name)} is no known type: write the class with its package`);
  }
  return { kind: 'class', name: full, arguments: types };
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  type(depth: number): JavaType {
    if (depth > maxDepth) throw new JavaTypeError(`${JSON.stringify(this.#text.slice(0, 80))} is nested too deeply`);
    let type = this.#plain(depth);
    while (this.take('[')) {
      this.#need(']');
      type = { kind: 'array', element: type };
    }
    if (this.take('...')) type = { kind: 'array', element: type };
    return type;
  }

  take(text: string): boolean {
    this.#skip();
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  end(): void {
    this.#skip();
    if (this.#at < this.#text.length) this.#fail();
  }

  #plain(depth: number): JavaType {
    if (this.take('?')) {
      const bound = /^\s+(extends|super)\s+/.exec(this.#text.slice(this.#at));
      if (bound === null) return classType('java.lang.Object');
      this.#at += bound[0].length;
      const type = this.type(depth + 1);
      return bound[1] === 'extends' ? type : classType('java.lang.Object');
    }
    this.#skip();
    const name = /^[^\s<>,[\]?]+?(?=\.\.\.|[\s<>,[\]?]|$)/.exec(this.#text.slice(this.#at))?.[0] ?? this.#fail();
    this.#at += name.length;
    if (Object.hasOwn(primitives, name)) return { kind: 'primitive', name: name as Primitive };
    const types: JavaType[] = [];
    if (this.take('<')) {
      do types.push(this.type(depth + 1));
      while (this.take(','));
      this.#need('>');
    }
    return classType(name, types);
  }

  #need(text: string): void {
    if (!this.take(text)) this.#fail();
  }

  #skip(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at += 1;
  }

  #fail(): never {
    throw new JavaTypeError(
      `${JSON.stringify(this.#text.slice(0, 80))} is no Java type (at character ${this.#at + 1})`,
    );
  }
}

/** The type without generics as Dubbo's generic calls name it: `int`, `java.lang.String`, `int[]`. Source: ReflectUtils.name2class. */
export function erasedName(type: JavaType): string {
  if (type.kind === 'array') return `${erasedName(type.element)}[]`;
  return type.name;
}

/** The type as a descriptor: `I`, `Ljava/lang/String;`, `[I`. */
export function descriptor(type: JavaType): string {
  if (type.kind === 'array') return `[${descriptor(type.element)}`;
  return type.kind === 'primitive' ? primitives[type.name] : `L${type.name.replaceAll('.', '/')};`;
}
