import { expect } from 'chai';
import { endsWithTurn, kept, markTurnMemory } from '../../src/turn-memory.js';

describe('turn memory', () => {
  it('is copied where it is kept, whichever part of it', () => {
    const memory = Buffer.from(new ArrayBuffer(12));
    memory.write('first second');
    markTurnMemory(memory.buffer);
    const part = memory.subarray(6);
    expect(endsWithTurn(part)).to.equal(true);
    const copy = kept(part);
    memory.fill('x');
    expect(copy.toString()).to.equal('second');
    expect(endsWithTurn(copy)).to.equal(false);
  });

  it('is not other memory, which is kept as it is', () => {
    const own = Buffer.alloc(10);
    expect(endsWithTurn(own)).to.equal(false);
    expect(kept(own)).to.equal(own);
  });
});
