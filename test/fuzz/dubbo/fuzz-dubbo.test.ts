import { expect } from 'chai';
import { fuzzDubbo } from './fuzz-dubbo.js';

describe('plugins/dubbo, fuzzed', function () {
  this.timeout(60_000);

  it('has one clear answer to whatever comes', () => {
    const seed = Date.now() % 2 ** 31;
    const { findings, outcome } = fuzzDubbo({ cases: 10_000, seed });
    expect(findings.slice(0, 3)).to.deep.equal([]);
    for (const kind of ['200', '500', 'local 502', 'sent', 'refused 400']) expect(outcome).to.contain(` × ${kind}`);
  });
});
