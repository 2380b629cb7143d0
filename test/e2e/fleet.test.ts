import { expect } from 'chai';
import { runBench } from '../support/bench.js';
import { GoControlPlane } from '../support/go-control-plane.js';

/** Nothing here depends on how quick the machine is: what must hold is that all come back and have the same. */
const patient = ['--same-within', '60000', '--back-within', '60000', '--share', '1', '--outage-ms', '500'];

describe('a fleet', () => {
  for (const server of ['go-control-plane', 'sample'])
    it(`of four has the same configuration, also after restarts of ${server}`, async function () {
      if (server === 'go-control-plane') GoControlPlane.require(this);
      this.timeout(240_000);
      const args = ['--instances', '4', '--clusters', '5', '--server', server, ...patient];
      const { code, stdout, stderr } = await runBench('fleet', args);
      expect(code, stdout + stderr).to.equal(0);
      expect(stdout).to.contain('fleet passed');
    });
});
