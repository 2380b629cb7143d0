import { expect } from 'chai';
import { equalMeaning } from '../../src/model/equal.js';

describe('model equalMeaning', () => {
  const cases: [title: string, a: unknown, b: unknown, equal: boolean][] = [
    ['key order', { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }, true],
    ['another value', { a: { b: 1 } }, { a: { b: 2 } }, false],
    ['a missing key', { a: 1 }, { a: 1, b: 2 }, false],
    ['undefined and absent', { a: undefined }, { b: undefined }, false],
    ['list order', [1, 2], [2, 1], false],
    ['list length', [1], [1, 2], false],
    ['a list and a record', [], {}, false],
    ['bytes', Buffer.from('ab'), Uint8Array.from([97, 98]), true],
    ['other bytes', Buffer.from('ab'), Buffer.from('ac'), false],
    ['bytes and a list', Uint8Array.from([1]), [1], false],
    ['bigints', { n: 1n }, { n: 1n }, true],
    ['NaN', Number.NaN, Number.NaN, true],
    ['null and a record', null, {}, false],
    ['canonical forms', { canonical: 'x', value: Buffer.from('a') }, { canonical: 'x', value: Buffer.from('b') }, true],
    ['other canonical forms', { canonical: 'x', value: 1 }, { canonical: 'y', value: 1 }, false],
  ];
  for (const [title, a, b, equal] of cases)
    it(title, () => {
      expect(equalMeaning(a, b)).to.equal(equal);
      expect(equalMeaning(b, a)).to.equal(equal);
    });
});
