import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import { projectRoot } from '../support/pontoon.js';

describe('soak', () => {
  it('leaves nothing behind after 5,000 exchanges that abort, cut and stall, and after 60 reloads', async function () {
    this.timeout(180_000);
    const args = [
      join(projectRoot, 'dist', 'bench', 'soak.js'),
      '--exchanges',
      '5000',
      '--reloads',
      '60',
      '--seed',
      '5',
    ];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        output += chunk;
      });
    }
    const [code] = await once(child, 'exit');
    expect(code, output).to.equal(0);
    expect(output).to.contain('soak passed');
  });
});
