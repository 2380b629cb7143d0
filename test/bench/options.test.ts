import { expect } from 'chai';
import { throughputGroups } from '../../bench/side-by-side/cases.js';
import { parseOptions } from '../../bench/side-by-side/options.js';

describe("the benchmark's flags", () => {
  it('measures everything in five rounds and keeps the results, unless told otherwise', () => {
    expect(parseOptions([])).to.deep.equal({
      settings: { rounds: 5, seconds: 2, requests: 1_000_000 },
      cases: [],
      peers: [],
      report: false,
      output: 'docs/performance.json',
    });
  });

  it('never lets a part overwrite the results of a whole run', () => {
    for (const part of [['--quick'], ['--case', '128'], ['--peer', 'envoy']])
      expect(parseOptions(part), part.join(' ')).to.not.have.property('output');
    expect(parseOptions(['--quick', '--output', 'x.json'])).to.include({ output: 'x.json' });
  });

  it('takes single numbers over those of --quick', () => {
    expect(parseOptions(['--quick', '--rounds', '2']).settings).to.include({ rounds: 2, seconds: 1 });
  });

  const wrong: readonly [readonly string[], RegExp][] = [
    [['--rounds', '0'], /--rounds 0: it must be a whole number above 0/],
    [['--seconds', '1.5'], /--seconds 1.5: it must be a whole number above 0/],
    [['--peer', 'apache'], /--peer apache: there are pontoon-script, .*envoy/],
    [['--case', '4k'], /--case 4k: there are 128-1, .*endurance/],
    [['--fast'], /--fast/],
  ];
  for (const [args, message] of wrong) {
    it(`refuses ${args.join(' ')}`, () => expect(() => parseOptions(args)).to.throw(message));
  }

  it('has every body with every number of connections', () => {
    const bodies = throughputGroups.find(({ group }) => group === 'bodies');
    expect(bodies?.cases.map(({ body, connections }) => `${body}×${connections}`)).to.have.members(
      [128, 16_384, 1_048_576].flatMap((body) => [1, 32, 512].map((connections) => `${body}×${connections}`)),
    );
  });
});
