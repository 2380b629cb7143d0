import { expect } from 'chai';
import { patienceMs, ServerChoice } from '../../src/xds/server-choice.js';

describe('which control plane is asked', () => {
  const missing = () => true;
  const nothing = () => false;
  const cases: [title: string, play: (choice: ServerChoice) => void, expected: number][] = [
    ['the first to begin with', () => {}, 0],
    ['the first after one failure', (c) => c.lost(0, missing), 0],
    [
      'the next after two failures when something is missing',
      (c) => {
        c.lost(0, missing);
        c.lost(1, missing);
      },
      1,
    ],
    [
      'the first, however often it fails, while nothing is missing',
      (c) => {
        for (let ms = 0; ms < patienceMs; ms += 1_000) c.lost(ms, nothing);
      },
      0,
    ],
    [
      'the next when the first was away for long',
      (c) => {
        for (let ms = 0; ms <= patienceMs; ms += 1_000) c.lost(ms, nothing);
      },
      1,
    ],
    [
      'the one after it when that fails, too',
      (c) => {
        c.lost(0, missing);
        c.lost(1, missing);
        c.lost(2, missing);
      },
      2,
    ],
    [
      'the first when all have failed',
      (c) => {
        for (let ms = 0; ms < 4; ms++) c.lost(ms, missing);
      },
      0,
    ],
    [
      'the first when the stream to a fallback that had answered is lost',
      (c) => {
        c.lost(0, missing);
        c.lost(1, missing);
        c.responded();
        c.lost(2, missing);
      },
      0,
    ],
    [
      'the first when it is back',
      (c) => {
        c.lost(0, missing);
        c.lost(1, missing);
        c.responded();
        c.returned();
      },
      0,
    ],
    [
      'the first after a loss of a stream that had worked',
      (c) => {
        c.lost(0, missing);
        c.responded();
        c.lost(1, missing);
        c.lost(2, missing);
      },
      0,
    ],
  ];
  for (const [title, play, expected] of cases)
    it(`is ${title}`, () => {
      const choice = new ServerChoice(3);
      play(choice);
      expect(choice.current).to.equal(expected);
    });

  it('is always the only one', () => {
    const choice = new ServerChoice(1);
    for (let ms = 0; ms < 100_000; ms += 1_000) choice.lost(ms, missing);
    expect(choice.current).to.equal(0);
  });
});
