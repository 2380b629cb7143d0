import { expect } from 'chai';
import { parseWrk, problemsOf, type WrkResult } from '../../bench/side-by-side/load/wrk.js';

const good: WrkResult = {
  requests: 1000,
  durationUs: 2_000_000,
  bytes: 1010 * (128 + 90),
  p50Us: 100,
  p99Us: 200,
  p999Us: 300,
  maxUs: 400,
  errors: { connect: 0, read: 0, write: 0, status: 0, timeout: 0 },
};
const expected = { body: 128, connections: 32, served: { answers: 1010, bytes: 1010 * 128 }, others: 0 };

describe("the benchmark's use of wrk", () => {
  it("finds the script's line in what wrk prints", () => {
    const output = `Running 2s test @ http://127.0.0.1:1/\n  Latency  1.00us\nWRK ${JSON.stringify(good)}\n`;
    expect(parseWrk(output)).to.deep.equal(good);
  });

  it('says what wrk printed instead', () => {
    expect(() => parseWrk('unable to connect')).to.throw(/did not print its result:\nunable to connect/);
  });

  it('takes a round in which all was right', () => {
    expect(problemsOf(good, expected)).to.deep.equal([]);
  });

  const cases: readonly [string, Partial<WrkResult>, Partial<typeof expected>, RegExp][] = [
    ['answers with another status', { errors: { ...good.errors, status: 3 } }, {}, /^3 status errors$/],
    ['lost connections', { errors: { ...good.errors, read: 1 } }, {}, /^1 read errors$/],
    ['no answer', { requests: 0, bytes: 0 }, { served: { answers: 0, bytes: 0 } }, /^no answer at all$/],
    ['bodies that are too short', { bytes: 1000 * 127 }, {}, /^127000 bytes in 1000 answers/],
    ['bodies that are too long', { bytes: 1000 * 1300 }, {}, /^1300000 bytes in 1000 answers/],
    ['answers that the server did not give', {}, { served: { answers: 999, bytes: 999 * 128 } }, /server gave 999$/],
    ['answers that got lost', {}, { served: { answers: 1033, bytes: 1033 * 128 } }, /server gave 1033$/],
    ['bodies that the server got otherwise', {}, { served: { answers: 1010, bytes: 1 } }, /^the server got 1 bytes/],
  ];
  for (const [name, result, more, problem] of cases) {
    it(`does not take a round with ${name}`, () => {
      const problems = problemsOf({ ...good, ...result }, { ...expected, ...more });
      expect(problems).to.have.length(1);
      expect(problems[0]).to.match(problem);
    });
  }

  it('allows for the exchanges of other clients', () => {
    const served = { answers: 1050, bytes: 7 };
    expect(problemsOf(good, { ...expected, served, others: 40 })).to.deep.equal([]);
  });
});
