import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { ElfError, readElf } from '../../../src/bridge/go/elf.js';
import { preflight } from '../../../src/bridge/go/preflight.js';
import { buildPeer } from '../../support/go-libraries.js';

describe('ELF reader', () => {
  let file: Buffer;

  before(async function () {
    file = readFileSync(await buildPeer(this, 'conformance'));
  });

  /** A copy with these bytes changed. */
  function patched(change: (copy: Buffer) => void): Buffer {
    const copy = Buffer.from(file);
    change(copy);
    return copy;
  }

  it('reads what a Go library exports and needs', () => {
    const { functions, neededVersions, bits, littleEndian } = readElf(file);
    expect(bits).to.equal(64);
    expect(littleEndian).to.equal(true);
    expect([...functions].filter((name) => name.startsWith('envoyGoHttpTcpBridge')).sort()).to.deep.equal([
      'envoyGoHttpTcpBridgeDestroyPluginConfig',
      'envoyGoHttpTcpBridgeOnConfig',
      'envoyGoHttpTcpBridgeOnDestroy',
      'envoyGoHttpTcpBridgeOnEncodeData',
      'envoyGoHttpTcpBridgeOnEncodeHeader',
      'envoyGoHttpTcpBridgeOnUpstreamData',
    ]);
    expect(neededVersions.some((version) => version.startsWith('GLIBC_2.'))).to.equal(true);
    expect(preflight(file, process.arch, '99.0')).to.equal(undefined);
  });

  const cases: { name: string; change: (copy: Buffer) => unknown; expect: string }[] = [
    { name: 'an empty file', change: () => Buffer.alloc(0), expect: 'it is not an ELF file' },
    { name: 'text', change: () => Buffer.from('x'.repeat(100)), expect: 'it is not an ELF file' },
    { name: 'a program', change: (copy) => copy.writeUInt16LE(2, 16), expect: 'not a shared library' },
    { name: 'another machine', change: (copy) => copy.writeUInt16LE(40, 18), expect: '(64 bit, arm)' },
    { name: '32 bits', change: (copy) => copy.writeUInt8(1, 4), expect: '32 bit' },
    { name: 'a file cut short', change: (copy) => copy.subarray(0, 300), expect: 'points outside of itself' },
    {
      name: 'thousands of segments',
      change: (copy) => copy.writeUInt16LE(60_000, 56),
      expect: 'out of all bounds',
    },
    {
      name: 'a missing function',
      change: (copy) => {
        for (let at = copy.indexOf('OnEncodeData\0'); at >= 0; at = copy.indexOf('OnEncodeData\0', at + 1))
          copy[at] = 88;
      },
      expect: 'does not export envoyGoHttpTcpBridgeOnEncodeData',
    },
  ];
  for (const test of cases) {
    it(`refuses ${test.name}`, () => {
      const copy = Buffer.from(file);
      const changed = test.change(copy);
      expect(preflight(changed instanceof Buffer ? changed : copy, process.arch, '99.0')).to.include(test.expect);
    });
  }

  it('refuses a library without any of the functions', () => {
    const other = readFileSync(addonPath());
    expect(preflight(other, process.arch, '99.0')).to.include('exports none of the functions');
  });

  it('refuses a library that needs a newer glibc', () => {
    expect(preflight(file, process.arch, '2.1')).to.match(/needs glibc 2\.\d+, and this machine has 2\.1:/);
  });

  it('stays within the file whatever is in it', () => {
    // The beginning, where the headers and the tables are.
    const small = file.subarray(0, 200_000);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { minLength: 1, maxLength: 30 }),
        fc.nat(small.length),
        (changes, length) => {
          const copy = Buffer.from(small.subarray(0, Math.max(length, 2100)));
          for (const [at, value] of changes) copy[at] = value;
          try {
            readElf(copy);
          } catch (error) {
            expect(error).to.be.instanceOf(ElfError);
          }
        },
      ),
      { numRuns: 300 },
    );
    expect(() => readElf(patched((copy) => copy.fill(0xff, 64, 1024)))).to.throw(ElfError);
  });
});

/** A shared library that is no bridge. */
function addonPath(): string {
  return new URL('../../../native/pontoon_go.node', import.meta.url).pathname;
}
