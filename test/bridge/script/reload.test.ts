import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

describe('script reloads', () => {
  for (const mode of ['served', 'stored'])
    it(`1,000 of them leave nothing behind, and the process can end (${mode})`, async () => {
      const child = fileURLToPath(new URL('reload-child.js', import.meta.url));
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--expose-gc', '--enable-source-maps', child, '1000', mode],
        {
          timeout: 110_000,
          // Measuring coverage keeps every script that ever ran.
          env: { ...process.env, NODE_V8_COVERAGE: '' },
        },
      );
      const [, second = 0, last = 0] = JSON.parse(stdout) as number[];
      // A version that stayed would cost more than 80 KiB.
      expect(last - second).to.be.below(333 * 8 * 1024);
    }).timeout(120_000);
});
