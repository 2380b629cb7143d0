/**
 * What Hessian2 carries. A `number` is an int, a double, or a long that a double holds exactly; longs beyond that are `bigint`.
 * A value that comes twice in a message is the same JavaScript object twice, so values may contain themselves.
 */
export type HessianValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Buffer
  | HessianDate
  | HessianList
  | HessianMap
  | HessianObject;

/** Milliseconds since 1970; a 64-bit number, of which JavaScript's Date knows only a part. */
export class HessianDate {
  readonly millis: number | bigint;

  constructor(millis: number | bigint) {
    this.millis = millis;
  }
}

/** A Java array, List, Set or other Collection. */
export class HessianList {
  /** `java.util.HashSet`, `[int`; undefined for an ArrayList. */
  readonly type: string | undefined;
  readonly items: HessianValue[] = [];

  constructor(type: string | undefined) {
    this.type = type;
  }
}

export class HessianMap {
  /** undefined for a HashMap. */
  readonly type: string | undefined;
  readonly keys: HessianValue[] = [];
  readonly values: HessianValue[] = [];

  constructor(type: string | undefined) {
    this.type = type;
  }
}

export interface ClassDefinition {
  readonly name: string;
  readonly fields: readonly string[];
}

/** An object of a class, its values in the order of the definition's fields. */
export class HessianObject {
  readonly definition: ClassDefinition;
  readonly values: HessianValue[] = [];

  constructor(definition: ClassDefinition) {
    this.definition = definition;
  }

  /** The value of a field; undefined when the class has none of that name. */
  get(field: string): HessianValue | undefined {
    const index = this.definition.fields.indexOf(field);
    return index < 0 ? undefined : this.values[index];
  }
}

/** Bounds of what a message may make of memory and stack. */
export interface HessianLimits {
  /** Lists, maps and objects inside each other. */
  readonly maxDepth: number;
  /** Values in one message, those inside others included. */
  readonly maxValues: number;
}

/** The bytes are no Hessian2, or beyond a limit; the message is for people. */
export class HessianError extends Error {}
