import { fuzzStream } from '../../xds/fuzz.js';
import { variants } from '../../xds/harness.js';

/** Hostile messages of a control plane, in so many rounds, over a SotW stream and over a Delta stream. */
export async function fuzzXds(options: {
  readonly cases: number;
  readonly seed: number;
  readonly onProgress: (done: number) => void;
}) {
  const { cases, seed, onProgress } = options;
  const findings: { seed: number; difference: string; input: string }[] = [];
  const outcomes: string[] = [];
  for (const variant of variants) {
    const report = await fuzzStream({
      variant,
      runs: cases,
      seed,
      onRound: (round) => round % 100 === 0 && onProgress(round),
    });
    findings.push(...report.lost.map((difference) => ({ seed, difference, input: variant })));
    outcomes.push(`${variant}: ${report.messages} messages, ${report.streams} streams`);
  }
  return { cases: 2 * cases, findings, outcome: outcomes.join('; ') };
}
