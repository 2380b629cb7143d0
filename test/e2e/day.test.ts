import { expect } from 'chai';
import { runBench } from '../support/bench.js';
import { GoControlPlane } from '../support/go-control-plane.js';

describe('a day of changes', () => {
  it('ends with what the control plane has, without a failed request, after 150 pushes with refusals and lost streams', async function () {
    GoControlPlane.require(this);
    this.timeout(240_000);
    const { code, stdout, stderr } = await runBench('day', ['--pushes', '150', '--minutes', '0.25', '--seed', '7']);
    expect(code, stdout + stderr).to.equal(0);
    expect(stdout).to.contain('day passed');
    for (const kind of ['streams dropped', 'refused', 'move endpoints']) expect(stdout).to.contain(kind);
  });
});
