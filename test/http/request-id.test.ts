import { expect } from 'chai';
import { newRequestId } from '../../src/http/request-id.js';

describe('request ids', () => {
  it('are random UUIDs, and none comes twice', () => {
    const ids = Array.from({ length: 1000 }, newRequestId);
    expect(new Set(ids).size).to.equal(1000);
    for (const id of ids) expect(id).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const digits = ids.flatMap((id) => [...id.replaceAll('-', '')]);
    // Of 32,000 digits, each of sixteen comes some 2,000 times; the version's more often.
    for (const digit of '0123456789abcdef') expect(digits.filter((one) => one === digit).length).to.be.above(1600);
  });
});
