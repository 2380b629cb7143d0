import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from './pontoon.js';
import { skipWithout } from './unavailable.js';

const version = 'v1.9.4';
const cache = join(projectRoot, 'node_modules', '.cache', 'pontoon');
const binary = join(cache, `grpcurl-${version}`);

/** A real grpcurl: a client that knows no proto file and asks the server by reflection. */
export interface Grpcurl {
  /** Calls a method with requests as JSON, and resolves with the answers. @throws Error with grpcurl's words when it fails */
  call(address: string, method: string, ...requests: object[]): Promise<unknown[]>;
  /** Other uses, as in `list`: the output. */
  run(address: string, ...args: string[]): Promise<string>;
}

/**
 * grpcurl, built by Go on first use. Where that is impossible the suite is skipped, with the reason on stderr, unless CI=true: then it fails.
 * Raises the caller's timeout.
 */
export async function requireGrpcurl(context: Mocha.Context): Promise<Grpcurl> {
  context.timeout(600_000);
  try {
    await install();
  } catch (error) {
    return skipWithout(context, 'grpcurl is not available', error);
  }
  const run = async (flags: readonly string[], address: string, args: readonly string[]): Promise<string> => {
    const all = ['-plaintext', '-max-time', '20', ...flags, address, ...args];
    const { stdout } = await promisify(execFile)(binary, all, { maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  };
  return {
    run: (address, ...args) => run([], address, args),
    async call(address, method, ...requests) {
      const data = requests.map((request) => JSON.stringify(request)).join('');
      const output = await run(['-d', data], address, [method]);
      // Answers come one after the other, each ending in a brace of its own line.
      return output
        .split(/(?<=^\})\n/m)
        .filter((text) => text.trim() !== '')
        .map((text) => JSON.parse(text) as unknown);
    },
  };
}

async function install(): Promise<void> {
  if (existsSync(binary)) return;
  console.error(`    building grpcurl ${version} (once) …`);
  mkdirSync(cache, { recursive: true });
  // Built aside and renamed: a second test process never sees half a file.
  const draft = join(cache, `grpcurl-draft-${process.pid}`);
  const env = { ...process.env, GOBIN: draft, GOFLAGS: '-mod=mod', CGO_ENABLED: '0' };
  try {
    await promisify(execFile)('go', ['install', `github.com/fullstorydev/grpcurl/cmd/grpcurl@${version}`], { env });
    renameSync(join(draft, 'grpcurl'), binary);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}
