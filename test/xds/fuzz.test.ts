import { expect } from 'chai';
import { fuzzStream } from './fuzz.js';
import { variants } from './harness.js';

/** `npm run fuzz -- --target xds --cases 1000 [--seed N]` goes on for longer. */
describe('a fuzzed stream', () => {
  for (const variant of variants)
    it(`never loses a good resource, ${variant}`, async function () {
      this.timeout(120_000);
      const report = await fuzzStream({ variant, runs: 12, seed: Date.now() % 1_000_000 });
      expect(report.lost, `seed ${report.seed}`).to.deep.equal([]);
      expect(report.streams).to.be.greaterThan(1);
    });
});
