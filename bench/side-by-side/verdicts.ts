import { table } from './table.js';

/** One line of what has to hold, with what a run says of it. */
export interface Verdict {
  readonly title: string;
  /** As in "at most 0.6". */
  readonly wanted: string;
  /** What was measured, with its parts; the reason when there is nothing. Its first line is for the table. */
  readonly got: string;
  readonly verdict: 'holds' | 'missed' | 'not measured';
  /** Of a missed one: by how much. */
  readonly by?: string;
}

export function verdictTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ title, wanted, got, verdict, by }) => [
    title,
    wanted,
    got.split('\n')[0] ?? '',
    by ? `**missed** by ${by}` : verdict,
  ]);
  return table(['', 'wanted', 'measured', ''], rows);
}

/** A line for each that was missed. @param tell what it says behind its title */
export function listMisses<V extends Verdict>(verdicts: readonly V[], tell: (missed: V) => string): string {
  const missed = verdicts.filter(({ verdict }) => verdict === 'missed');
  const open = verdicts.filter(({ verdict }) => verdict === 'not measured').length;
  if (missed.length === 0) return open === 0 ? 'None.' : `None of those that were measured; ${open} were not.`;
  return missed.map((each) => `- ${each.title}: ${tell(each)}`).join('\n');
}
