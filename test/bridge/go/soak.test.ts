import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { buildPeer } from '../../support/go-libraries.js';

interface Left {
  readonly requests: number;
  readonly configs: number;
  /** Objects on Go's heap: the SDK's map of requests and its configurations are among them. */
  readonly objects: number;
  readonly goroutines: number;
  readonly heapUsed: number;
  readonly rss: number;
}

describe('1,000,000 requests and 10,000 configurations of a Go library', () => {
  it('leave nothing behind, neither here nor in Go', async function () {
    const library = await buildPeer(this, 'conformance');
    const child = fileURLToPath(new URL('soak-child.js', import.meta.url));
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--expose-gc', '--enable-source-maps', child, library, '1000000', '10000'],
      // Measuring coverage keeps every script that ever ran.
      { timeout: 300_000, env: { ...process.env, NODE_V8_COVERAGE: '' } },
    );
    const { left, configs } = JSON.parse(stdout) as { left: [Left, Left, Left]; configs: number };
    // Two configurations stay until the end; no exchange does.
    for (const each of left) expect(each).to.include({ requests: 0, configs: 2 });
    expect(configs).to.equal(0);
    const [first, second, third] = left;
    expect(third.goroutines).to.equal(first.goroutines);
    // One per exchange or configuration would be hundreds of thousands, or thousands.
    expect(third.objects - second.objects).to.be.below(100);
    expect(third.heapUsed - second.heapUsed).to.be.below(1 << 20);
    expect(third.rss - second.rss).to.be.below(32 << 20);
  });
});
