import { expect } from 'chai';
import fc from 'fast-check';
import { HeaderMap } from '../../src/bridge/header-map.js';

type Pair = readonly [name: string, value: string];

describe('a header map', () => {
  it('does what a plain list of pairs would, whatever room it has', () => {
    const name = fc.constantFrom('a', 'b', 'c', ':status');
    const value = fc.constantFrom('1', '2');
    const step = fc.record({
      do: fc.constantFrom('add', 'set', 'setFirst', 'delete', 'deleteAll'),
      name,
      value,
      names: fc.uniqueArray(name),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), fc.nat(6), fc.array(step), (begin, room, steps) => {
        let model: Pair[] = begin;
        const map = new HeaderMap([...begin.flat(), ...new Array<string>(2 * room)], 2 * begin.length);
        for (const one of steps) {
          const pair = [one.name, one.value] as const;
          const others = model.filter(([other]) => other !== one.name);
          const first = model.findIndex(([other]) => other === one.name);
          if (one.do === 'add') model = [...model, pair];
          else if (one.do === 'setFirst') model = [pair, ...others];
          else if (one.do === 'delete') model = others;
          else if (one.do === 'deleteAll') model = model.filter(([other]) => !(one.names as string[]).includes(other));
          else model = first < 0 ? [...model, pair] : [...model.slice(0, first), pair, ...others.slice(first)];
          if (one.do === 'deleteAll') map.deleteAll(new Set(one.names));
          else if (one.do === 'delete') map.delete(one.name);
          else map[one.do](one.name, one.value);

          expect(map.pairs).to.deep.equal(model.flat());
          expect(map.size).to.equal(model.length);
          expect(Array.from({ length: map.size }, (_, i) => [map.nameAt(i), map.valueAt(i)])).to.deep.equal(model);
          for (const asked of ['a', 'd']) {
            const values = model.filter(([other]) => other === asked).map(([, found]) => found);
            expect(map.values(asked)).to.deep.equal(values);
            expect(map.get(asked)).to.equal(values[0]);
          }
          const seen: string[] = [];
          map.clone().forEach((...visited) => {
            seen.push(...visited);
          });
          expect(seen).to.deep.equal(model.flat());
        }
      }),
    );
  });
});
