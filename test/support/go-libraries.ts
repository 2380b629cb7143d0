import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ensureNativeHost } from '../../src/bridge/go/native-host.js';
import { skipWithout } from './unavailable.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const cache = join(root, 'node_modules', '.cache', 'pontoon', 'go-libraries');
/** Modules with `main` packages, each in a folder of its own or at the top. */
const peers = join(root, 'test', 'peers', 'go-bridges');

/** Releases of Envoy's SDK that the peers are built with, by their `go.mod`. */
export const sdks = { 'v1.36.2': 'go.mod', 'v1.37.0': 'sdk-1.37.mod' } as const;

/** Builds `folder` of test/peers/go-bridges; see `buildGoLibrary`. */
export const buildPeer = (
  context: Mocha.Context,
  folder: string,
  sdk: keyof typeof sdks = 'v1.36.2',
): Promise<string> => buildGoLibrary(context, peers, folder, sdks[sdk]);

/**
 * `compileGoLibrary` for a suite: where it is impossible, the suite is skipped, with the reason
 * on stderr, unless CI=true: then it fails. Raises the caller's timeout: the first build fetches modules.
 */
export async function buildGoLibrary(
  context: Mocha.Context,
  module: string,
  folder = '.',
  modFile = 'go.mod',
): Promise<string> {
  context.timeout(600_000);
  try {
    return await compileGoLibrary(module, folder, modFile);
  } catch (error) {
    return skipWithout(context, 'Go bridges cannot be tested', error);
  }
}

/**
 * Builds a `main` package as a c-shared library, if its sources have changed since, and gives its path.
 * @throws Error where that, or running such a library, is impossible
 */
export async function compileGoLibrary(module: string, folder: string, modFile = 'go.mod'): Promise<string> {
  const native = await ensureNativeHost();
  if (!native.available) throw new Error(native.reason);
  const hash = createHash('sha256').update(folder);
  const sources = readdirSync(join(module, folder), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.go'),
  );
  const files = sources.map((file) => join(folder, file)).sort();
  for (const file of [modFile, modFile.replace(/mod$/, 'sum'), ...files])
    hash.update(file).update(readFileSync(join(module, file)));
  const output = join(cache, `${hash.digest('hex').slice(0, 32)}.so`);
  if (existsSync(output)) return output;
  mkdirSync(cache, { recursive: true });
  const temporary = `${output}.${process.pid}`;
  await promisify(execFile)(
    'go',
    [
      'build',
      `-modfile=${modFile}`,
      '-trimpath',
      '-buildvcs=false',
      '-buildmode=c-shared',
      '-o',
      temporary,
      `./${folder}`,
    ],
    {
      cwd: module,
      env: { ...process.env, GOFLAGS: '-mod=mod', CGO_ENABLED: '1' },
    },
  );
  renameSync(temporary, output);
  return output;
}
