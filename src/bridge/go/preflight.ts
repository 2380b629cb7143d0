import { ElfError, readElf } from './elf.js';

/** What a library exports to be a bridge (docs/bridge.md, section 5). */
const wanted = ['OnConfig', 'DestroyPluginConfig', 'OnEncodeHeader', 'OnEncodeData', 'OnUpstreamData', 'OnDestroy'].map(
  (name) => `envoyGoHttpTcpBridge${name}`,
);

/** `e_machine` of the processors that Node's `process.arch` names. */
const machines: Readonly<Record<string, number>> = { x64: 62, arm64: 183, riscv64: 243, loong64: 258, s390x: 22 };
const machineNames: Readonly<Record<number, string>> = {
  3: 'x86 (386)',
  22: 's390x',
  40: 'arm',
  62: 'x86-64 (amd64)',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
};

/** What keeps the library from being opened here, for people; undefined: nothing. */
export function preflight(file: Buffer, arch: string, glibc: string): string | undefined {
  try {
    const { bits, littleEndian, machine, functions, neededVersions } = readElf(file);
    if (bits !== 64 || !littleEndian || machine !== machines[arch]) {
      const name = machineNames[machine] ?? `machine ${machine}`;
      return `was built for another machine (${bits} bit, ${name}); this one is ${arch}: build it with GOARCH=${arch === 'x64' ? 'amd64' : arch}`;
    }
    const missing = wanted.filter((name) => !functions.has(name));
    if (missing.length === wanted.length) {
      return 'exports none of the functions of a Golang HTTP-TCP bridge: its main package must import github.com/envoyproxy/envoy/contrib/golang/upstreams/http/tcp/source/go/pkg/upstreams/http/tcp, and be built with -buildmode=c-shared';
    }
    if (missing.length > 0)
      return `does not export ${missing.join(', ')}: it was built with another version of the SDK`;
    const newer = newestGlibc(neededVersions);
    if (newer !== undefined && isNewer(newer, glibc)) {
      return `needs glibc ${newer}, and this machine has ${glibc}: build it on a system that is no newer than this one`;
    }
    return undefined;
  } catch (error) {
    if (error instanceof ElfError) return `cannot be a Go library: ${error.message}`;
    throw error;
  }
}

function newestGlibc(versions: readonly string[]): string | undefined {
  let newest: string | undefined;
  for (const version of versions) {
    const [, number] = /^GLIBC_(\d{1,4}(?:\.\d{1,4}){1,2})$/.exec(version) ?? [];
    if (number !== undefined && (newest === undefined || isNewer(number, newest))) newest = number;
  }
  return newest;
}

function isNewer(a: string, b: string): boolean {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number)) as [number[], number[]];
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return false;
}
