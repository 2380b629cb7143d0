import { expect } from 'chai';
import { trimMemory } from '../../src/server/trim-memory.js';
import { runChild } from '../support/child.js';
import { FakeClock } from '../support/fake-clock.js';

const MiB = 1024 * 1024;
const host = new URL('../../src/bridge/go/native-host.js', import.meta.url).href;

describe('giving freed memory back', () => {
  it('is done soon after the start, and then when the process has grown', () => {
    const clock = new FakeClock();
    let resident = 90 * MiB;
    let trims = 0;
    trimMemory(clock, {
      resident: () => resident,
      trim() {
        trims++;
        resident -= 6 * MiB;
      },
    });
    expect(trims).to.equal(0);
    clock.advance(2_000);
    expect(trims).to.equal(1);
    clock.advance(30_000);
    expect(trims, 'nothing has grown').to.equal(1);
    resident = 120 * MiB;
    clock.advance(30_000);
    expect(trims).to.equal(2);
    clock.advance(30_000);
    expect(trims, 'what is left is in use').to.equal(2);
    resident = 80 * MiB;
    clock.advance(30_000);
    resident = 85 * MiB;
    clock.advance(30_000);
    expect(trims, 'it had shrunk meanwhile').to.equal(3);
  });

  it('gives back what lies between pieces that are in use', async () => {
    const program = `
      const { loadNativeHost } = await import('${host}');
      const native = loadNativeHost();
      if (!native.available) throw new Error(native.reason);
      let pieces = Array.from({ length: 4000 }, () => new Uint8Array(16384).fill(1));
      const kept = pieces.filter((_, index) => index % 10 === 9);
      pieces = undefined;
      for (let i = 0; i < 3; i++) { gc(); await new Promise((resolve) => setTimeout(resolve, 100)); }
      const before = process.memoryUsage.rss();
      native.host.addon.trimMemory();
      console.log(before - process.memoryUsage.rss(), kept.every((piece) => piece.every((byte) => byte === 1)));
      process.exit();`;
    const { stdout, stderr } = await runChild(process.execPath, ['--expose-gc', '--input-type=module', '-e', program]);
    const [given, whole] = stdout.split(' ');
    expect(Number(given), stderr).to.be.above(30 * MiB);
    expect(whole).to.equal('true\n');
  });
});
