import { expect } from 'chai';
import fc from 'fast-check';
import { type Candidate, chooseWorker, mostUntaken } from '../../src/workers/connection-dispatch.js';
import { createCrashHistory } from '../../src/workers/crash-history.js';
import { LastWords } from '../../src/workers/last-words.js';
import { createRestartBackoff } from '../../src/workers/restart-backoff.js';

describe('the choice of a worker', () => {
  const candidate = fc.record<Candidate>({
    load: fc.nat(20),
    untaken: fc.nat(mostUntaken),
    late: fc.boolean(),
  });

  it('is one that takes connections, not late if one is not, with the fewest', () => {
    fc.assert(
      fc.property(fc.array(candidate, { maxLength: 8 }), fc.integer({ min: -1, max: 7 }), (candidates, last) => {
        const chosen = candidates[chooseWorker(candidates, last)];
        const prompt = candidates.filter(({ late }) => !late);
        const best = (prompt.length > 0 ? prompt : candidates).filter(({ untaken }) => untaken < mostUntaken);
        if (best.length === 0) expect(chosen).to.equal(undefined);
        else {
          expect(best).to.include(chosen);
          expect(chosen?.load).to.equal(Math.min(...best.map(({ load }) => load)));
        }
      }),
    );
  });

  it('keeps loads within one of each other, whatever they were: who has fewer catches up first', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 8 }), (loads) => {
        const now = [...loads];
        let last = -1;
        const missing = loads.reduce((sum, load) => sum + Math.max(...loads) - load, 0);
        for (let given = 0; given < missing + 3; given++) {
          last = chooseWorker(
            now.map((load) => ({ load, untaken: 0, late: false })),
            last,
          );
          now[last] = (now[last] as number) + 1;
        }
        expect(Math.max(...now) - Math.min(...now)).to.be.lessThan(Math.ceil(3 / loads.length) + 1);
      }),
    );
  });

  it('goes round among equals', () => {
    const equals = Array.from({ length: 3 }, () => ({ load: 7, untaken: 0, late: false }));
    expect([-1, 0, 1, 2].map((last) => chooseWorker(equals, last))).to.deep.equal([0, 1, 2, 0]);
  });
});

describe('the history of crashes', () => {
  it('tells the third one of a library within a minute', () => {
    const history = createCrashHistory();
    expect(history.record('a', 0)).to.equal(false);
    expect(history.record('b', 1)).to.equal(false);
    expect(history.record('a', 30_000)).to.equal(false);
    expect(history.record('b', 40_000)).to.equal(false);
    expect(history.record('a', 60_000)).to.equal(true);
    expect(history.record('b', 60_002), 'the first one was longer ago').to.equal(false);
    expect(history.record('a', 60_003), 'it begins anew').to.equal(false);
  });

  it('does what a complete list would do', () => {
    const crash = fc.record({ library: fc.constantFrom('a', 'b', 'c'), after: fc.nat(45_000) });
    fc.assert(
      fc.property(fc.array(crash, { maxLength: 60 }), (crashes) => {
        const history = createCrashHistory();
        let list: { library: string; at: number }[] = [];
        let now = 0;
        for (const { library, after } of crashes) {
          now += after;
          list.push({ library, at: now });
          const isThird = list.filter((each) => each.library === library && now - each.at <= 60_000).length === 3;
          if (isThird) list = list.filter((each) => each.library !== library);
          expect(history.record(library, now)).to.equal(isThird);
        }
      }),
    );
  });

  it('forgets who has been quiet for the longest time when there are too many', () => {
    const history = createCrashHistory();
    for (const library of ['first', 'first', 'second', 'second']) history.record(library, 0);
    for (let other = 0; other < 999; other++) history.record(`other ${other}`, 0);
    expect(history.record('second', 0)).to.equal(true);
    expect(history.record('first', 0)).to.equal(false);
  });
});

describe('the delay before a restart', () => {
  it('is none at first, grows while workers end soon, and is none again after one that lived', () => {
    const backoff = createRestartBackoff();
    const delays = Array.from({ length: 8 }, () => backoff.delayAfter(100));
    expect(delays).to.deep.equal([0, 250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
    expect(backoff.delayAfter(10_000)).to.equal(0);
    expect(backoff.delayAfter(100)).to.equal(250);
    for (let round = 0; round < 3_000; round++) expect(backoff.delayAfter(0)).to.be.at.most(5_000);
  });
});

describe('the last words of a worker', () => {
  function hear(...chunks: readonly (string | Uint8Array)[]): {
    readonly forwarded: readonly string[];
    readonly summary: string;
  } {
    const forwarded: string[] = [];
    const words = new LastWords((text) => forwarded.push(text));
    for (const chunk of chunks) words.write(Buffer.from(chunk));
    words.end();
    return { forwarded, summary: words.summary };
  }

  it('are passed on in whole lines', () => {
    expect(hear('one\ntw', 'o\nthree', '\n', 'rest').forwarded).to.deep.equal(['one\n', 'two\n', 'three\n', 'rest\n']);
  });

  it('are passed on whole, however they are cut', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.integer({ min: 1, max: 10 }), (text, size) => {
        const bytes = Buffer.from(text);
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.subarray(i * size, (i + 1) * size),
        );
        const { forwarded } = hear(...chunks);
        expect(forwarded.join('')).to.equal(text === '' || text.endsWith('\n') ? text : `${text}\n`);
      }),
    );
  });

  it('of a line without end are not kept back', () => {
    const { forwarded, summary } = hear('x'.repeat(20_000), 'y');
    expect(forwarded).to.deep.equal(['x'.repeat(20_000), 'y\n']);
    expect(summary.length).to.be.lessThan(3_000);
  });

  it('are the beginning of a panic and the end of all, however much lies between', () => {
    const stacks = 'goroutine 7 [select]:\nmain.wait(...)\n'.repeat(10_000);
    const { summary } = hear(
      'panic: boom\n',
      '\ngoroutine 1 [running]:\nmain.encodeData(...)\n',
      stacks,
      'exit status 2\n',
    );
    expect(summary).to.match(/^panic: boom\n\ngoroutine 1 \[running\]:\nmain\.encodeData/);
    expect(summary).to.match(/exit status 2$/);
    expect(summary.length).to.be.lessThan(5_000);
  });

  it('are those of the last of several panics', () => {
    const { summary } = hear(
      'panic: old\n',
      'noise\n'.repeat(1_000),
      'fatal error: new\n',
      'goroutine 1\n'.repeat(10_000),
    );
    expect(summary).to.match(/^fatal error: new\n/);
  });

  it('are without log entries', () => {
    expect(hear('{"level":"info"}\nError: boom\n{"level":"info"}\n').summary).to.equal('Error: boom');
  });
});
