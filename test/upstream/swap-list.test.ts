import { expect } from 'chai';
import fc from 'fast-check';
import { type Listed, SwapList } from '../../src/upstream/swap-list.js';

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('add', 'delete', 'has' as const), member: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('clear', 'list' as const), member: fc.constant(0) }) },
);

describe('SwapList', () => {
  it('is a set', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const members = Array.from({ length: 21 }, (_, name) => ({ name, listIndex: -1 }));
        const list = new SwapList<Listed>();
        const model = new Set<Listed>();
        for (const { do: call, member } of steps) {
          const it = members[member] as Listed;
          if (call === 'delete') expect(list.delete(it)).to.equal(model.delete(it));
          else if (call === 'clear') {
            list.clear();
            model.clear();
          } else if (call === 'add' && !model.has(it)) {
            list.add(it);
            model.add(it);
          }
          expect(list.has(it)).to.equal(model.has(it));
          expect(list.size).to.equal(model.size);
          if (call === 'list') expect(list.toArray()).to.have.members([...model]);
        }
        expect(list.toArray()).to.have.members([...model]);
        expect(members.filter(({ listIndex }) => listIndex >= 0)).to.have.members([...model]);
      }),
    );
  });

  it('does not take the member of another list for its own', () => {
    const [one, other] = [new SwapList<Listed>(), new SwapList<Listed>()];
    const member = { listIndex: -1 };
    one.add(member);
    other.add({ listIndex: -1 });
    expect([other.has(member), other.delete(member), one.has(member)]).to.deep.equal([false, false, true]);
  });

  it('gives a list that does not change with it', () => {
    const list = new SwapList<Listed>();
    const members = [0, 1, 2].map(() => ({ listIndex: -1 }));
    for (const member of members) list.add(member);
    let left = 3;
    for (const member of list.toArray()) {
      list.delete(member);
      expect(list.size).to.equal(--left);
    }
  });
});
