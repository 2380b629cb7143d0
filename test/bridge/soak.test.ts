import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

describe('many exchanges with random aborts', () => {
  it('leave nothing behind', async () => {
    const child = fileURLToPath(new URL('soak-child.js', import.meta.url));
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--expose-gc', '--enable-source-maps', child, '9000'],
      {
        timeout: 110_000,
        // Measuring coverage keeps every script that ever ran.
        env: { ...process.env, NODE_V8_COVERAGE: '' },
      },
    );
    const { heap, leased, active, made, destroyed, outcomes, released } = JSON.parse(stdout) as {
      heap: [number, number, number];
      outcomes: Record<string, number>;
    } & Record<string, unknown>;
    expect({ leased, active, released }).to.deep.equal({ leased: 0, active: 0, released: true });
    expect(destroyed).to.equal(made);
    expect(outcomes).to.include.all.keys('response', 'upstream_closed', 'plugin_error', 'cancelled');
    expect(Object.values(outcomes).reduce((sum, n) => sum + n)).to.equal(9000);
    // Not a byte per exchange would be too strict for a garbage collector: 100 is less than an exchange has.
    expect(heap[2] - heap[1]).to.be.below(3000 * 100);
  }).timeout(120_000);
});
