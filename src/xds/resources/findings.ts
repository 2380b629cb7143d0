import type { Problem, Verdict } from '../../model/verdict.js';
import { describeProblems } from '../../model/verdict.js';

/** What was found while a resource was translated; `verdictOf` weighs it. */
export interface Findings {
  /** Breaks a rule of Envoy's API: rejected, whatever else is true. */
  readonly malformed: Problem[];
  /** Can neither be run nor ignored: rejected, unless the resource is parked and nothing of it runs. */
  readonly unsupported: Problem[];
  /** Well formed, but not ours to run. */
  readonly parked: Problem[];
  /** Ignored. */
  readonly warnings: Problem[];
}

export function newFindings(): Findings {
  return { malformed: [], unsupported: [], parked: [], warnings: [] };
}

/** The field path of a member; list items are written `list[0]`. */
export function join(path: string, member: string): string {
  if (path === '') return member;
  return member.startsWith('[') ? `${path}${member}` : `${path}.${member}`;
}

const shownReasons = 3;

/** That of nearly all resources. */
const noWarnings: readonly Problem[] = Object.freeze([]);

function reasonOf(parked: readonly Problem[]): string {
  const shown = describeProblems(parked.slice(0, shownReasons));
  return parked.length > shownReasons ? `${shown}; and ${parked.length - shownReasons} more` : shown;
}

/** The verdict: malformed, then parked, then unsupported, else active. A parked resource keeps its model when it has one. */
export function verdictOf<T>(findings: Findings, model: T | undefined): Verdict<T> {
  const { malformed, unsupported, parked, warnings } = findings;
  if (malformed.length > 0) return { kind: 'rejected', problems: [...malformed, ...unsupported] };
  if (parked.length > 0)
    return {
      kind: 'parked',
      model: unsupported.length > 0 ? undefined : model,
      reason: reasonOf(parked),
    };
  if (unsupported.length > 0) return { kind: 'rejected', problems: unsupported };
  if (model === undefined)
    return { kind: 'rejected', problems: [{ path: '', message: 'cannot be run as configured' }] };
  return { kind: 'active', model, warnings: warnings.length === 0 ? noWarnings : warnings };
}
