import { expect } from 'chai';
import { requireDubbo } from '../../support/dubbo.js';
import { runWithRestarts } from './restart-run.js';

describe('plugins/dubbo while providers restart', function () {
  this.timeout(180_000);
  before(async function () {
    await requireDubbo(this);
  });

  for (const shared of [true, false]) {
    it(`${shared ? 'shared' : 'own'} connections: every failure is clear, and no answer is another request's`, async () => {
      const { byStatus, violations } = await runWithRestarts({ requests: 2000, restarts: 2, shared, clients: 8 });
      expect(violations).to.deep.equal([]);
      expect(byStatus.get(200)).to.be.above(500);
      expect([...byStatus.keys()].filter((status) => ![200, 503, 504].includes(status))).to.deep.equal([]);
    });
  }
});
