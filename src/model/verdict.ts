/** One thing wrong with a resource or file: where (a field path as in `lb_endpoints[2].endpoint.address`, '' for the whole) and what is allowed. */
export interface Problem {
  readonly path: string;
  readonly message: string;
}

/**
 * What was decided about one resource. `T` is the model that it became.
 * - active: it runs; `warnings` name fields that were ignored.
 * - parked: well formed but not ours to run; accepted, listed with its reason, never bound or routed to.
 * - rejected: it is NACKed; a version that already runs goes on.
 */
export type Verdict<T> =
  | {
      readonly kind: 'active';
      readonly model: T;
      readonly warnings: readonly Problem[];
    }
  | {
      readonly kind: 'parked';
      readonly model: T | undefined;
      readonly reason: string;
    }
  | { readonly kind: 'rejected'; readonly problems: readonly Problem[] };

/** One configuration resource as it was received and what became of it. The bytes are the serialized message, without its Any. */
export interface Resource<T> {
  readonly name: string;
  /** '' for static resources and control planes without versions. */
  readonly version: string;
  readonly bytes: Uint8Array;
  readonly verdict: Verdict<T>;
}

/** `path: message` per problem, for one line of text. */
export function describeProblems(problems: readonly Problem[]): string {
  return problems.map((p) => (p.path === '' ? p.message : `${p.path}: ${p.message}`)).join('; ');
}

/** The word for what became of a resource, everywhere that users read of it: the log, the admin interface, `--mode validate`, the documentation. */
export type VerdictWord = 'active' | 'warned' | 'parked' | 'rejected';

export function verdictWord(verdict: Verdict<unknown>): VerdictWord {
  return verdict.kind === 'active' && verdict.warnings.length > 0 ? 'warned' : verdict.kind;
}

/** The word with each of its reasons: `active`, or `warned: health_checks: …` per field. */
export function verdictLines(verdict: Verdict<unknown>): readonly string[] {
  const word = verdictWord(verdict);
  if (word === 'active') return [word];
  if (verdict.kind === 'parked') return [`${word}: ${verdict.reason}`];
  const problems = verdict.kind === 'active' ? verdict.warnings : verdict.problems;
  return problems.map((problem) => `${word}: ${describeProblems([problem])}`);
}

/** The word with all its reasons: `warned: health_checks: …; outlier_detection: …`. */
export function verdictText(verdict: Verdict<unknown>): string {
  if (verdict.kind === 'parked') return `parked: ${verdict.reason}`;
  const problems = verdict.kind === 'active' ? verdict.warnings : verdict.problems;
  return problems.length === 0 ? verdictWord(verdict) : `${verdictWord(verdict)}: ${describeProblems(problems)}`;
}
