/** Problems while they are collected: a path is relative until the checks further out have put their part before it. */
export type Problems = { path: string; message: string }[];

/** Looks at one value and adds what is wrong with it, with paths relative to it. */
export type Check = (value: unknown, problems: Problems) => void;

/** A duration or time in the rules: absent parts are 0. */
export interface Moment {
  readonly seconds?: number | string;
  readonly nanos?: number;
}

export interface Range<T> {
  readonly const?: T;
  readonly lt?: T;
  readonly lte?: T;
  readonly gt?: T;
  readonly gte?: T;
  readonly in?: T | readonly T[];
  readonly not_in?: T | readonly T[];
}

export interface NumberRules extends Range<number | string> {
  readonly ignore_empty?: boolean;
}

export interface StringRules {
  readonly const?: string;
  readonly len?: number;
  readonly min_len?: number;
  readonly max_len?: number;
  readonly len_bytes?: number;
  readonly min_bytes?: number;
  readonly max_bytes?: number;
  readonly pattern?: string;
  readonly prefix?: string;
  readonly suffix?: string;
  readonly contains?: string;
  readonly not_contains?: string;
  readonly in?: string | readonly string[];
  readonly not_in?: string | readonly string[];
  readonly email?: boolean;
  readonly hostname?: boolean;
  readonly ip?: boolean;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly uri?: boolean;
  readonly uri_ref?: boolean;
  readonly address?: boolean;
  readonly uuid?: boolean;
  readonly well_known_regex?: string;
  readonly strict?: boolean;
  readonly ignore_empty?: boolean;
}

export interface BytesRules {
  readonly len?: number;
  readonly min_len?: number;
  readonly max_len?: number;
  readonly ignore_empty?: boolean;
}

export interface EnumRules {
  readonly const?: number;
  readonly defined_only?: boolean;
  readonly in?: number | readonly number[];
  readonly not_in?: number | readonly number[];
}

export interface RepeatedRules {
  readonly min_items?: number;
  readonly max_items?: number;
  readonly unique?: boolean;
  readonly items?: Rules;
  readonly ignore_empty?: boolean;
}

export interface MapRules {
  readonly min_pairs?: number;
  readonly max_pairs?: number;
  readonly keys?: Rules;
  readonly values?: Rules;
  readonly ignore_empty?: boolean;
}

/** The `(validate.rules)` of one field, as the schema file holds them. */
export interface Rules {
  readonly message?: { readonly skip?: boolean; readonly required?: boolean };
  readonly repeated?: RepeatedRules;
  readonly map?: MapRules;
  readonly string?: StringRules;
  readonly bytes?: BytesRules;
  readonly bool?: { readonly const?: boolean };
  readonly enum?: EnumRules;
  readonly any?: {
    readonly required?: boolean;
    readonly in?: string | readonly string[];
    readonly not_in?: string | readonly string[];
  };
  readonly duration?: Range<Moment> & { readonly required?: boolean };
  readonly timestamp?: Range<Moment> & { readonly required?: boolean };
  readonly [kind: string]: unknown;
}

/** Puts `part` before the paths of the problems from `start` on. */
export function prefixProblems(problems: Problems, start: number, part: string): void {
  for (let i = start; i < problems.length; i++) {
    const problem = problems[i];
    if (problem)
      problem.path =
        problem.path === '' || problem.path.startsWith('[') ? part + problem.path : `${part}.${problem.path}`;
  }
}

/** A rule that may be written once or several times, as a list. */
export function listOf<T>(rule: T | readonly T[] | undefined): readonly T[] {
  if (rule === undefined) return [];
  return Array.isArray(rule) ? (rule as readonly T[]) : [rule as T];
}

/** A check from a test and the words of what is allowed. */
export function must(test: (value: never) => boolean, message: string): Check {
  return (value, problems) => {
    if (!test(value as never)) problems.push({ path: '', message });
  };
}

/** All of the checks as one; undefined if there are none. */
export function all(checks: readonly Check[]): Check | undefined {
  if (checks.length < 2) return checks[0];
  return (value, problems) => {
    for (const check of checks) check(value, problems);
  };
}

/**
 * Fails for rules that no check was made from, so that a new proto package cannot bring rules that are silently skipped.
 * @throws Error that names the rule
 */
export function rejectUnknown(kind: string, rules: object, known: readonly string[]): void {
  for (const name of Object.keys(rules)) {
    if (!known.includes(name)) throw new Error(`the validation rule ${kind}.${name} is not implemented`);
  }
}

/** `1 item`, `2 items`. */
export function count(number: number, noun: string, plural = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : plural}`;
}
