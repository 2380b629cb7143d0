import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { BuildFailure, Message, Metafile } from 'esbuild';

/** A script library as one piece of CommonJS, with all that it imports by relative path. */
export interface Bundle {
  /** The entry file's real path. */
  readonly path: string;
  readonly code: string;
  /** Source map (JSON), from the code to the files. */
  readonly map: string;
  /** sha256 of the code, hex. */
  readonly hash: string;
  /** Real paths of all files in it. */
  readonly inputs: readonly string[];
  /** What it imports by name: packages, node: modules. */
  readonly packages: readonly string[];
}

/** Why there is no bundle; the message is for people. */
export class BundleError extends Error {}

/** Bytes. */
export const maxFileSize = 8 * 1024 * 1024;
const maxBundleSize = 16 * 1024 * 1024;
/** How long esbuild's process is kept for the next build. */
const keepServiceMs = 5_000;

/**
 * Bundles `path`, which must be resolved. Packages (bare imports) and node: modules stay outside and are required when the bundle runs.
 * Throws a BundleError.
 */
export async function bundle(path: string): Promise<Bundle> {
  const entry = await stat(path);
  if (!entry.isFile()) throw new BundleError(`${path} is not a file`);
  if (entry.size > maxFileSize)
    throw new BundleError(`${path} has ${entry.size} bytes; a library may have up to ${maxFileSize}`);
  const folder = dirname(path);
  const output = await withService(({ build }) =>
    build({
      entryPoints: [path],
      absWorkingDir: folder,
      outfile: join(folder, `${basename(path)}.bundle.cjs`),
      bundle: true,
      write: false,
      metafile: true,
      sourcemap: 'external',
      sourcesContent: false,
      format: 'cjs',
      platform: 'node',
      target: 'node20',
      packages: 'external',
      charset: 'utf8',
      // An import() that node would run could never be collected again.
      supported: { 'dynamic-import': false },
      define: { 'import.meta.url': '__url', 'import.meta.filename': '__filename', 'import.meta.dirname': '__dirname' },
      // Nobody else's settings: a tsconfig.json further up says nothing about a library.
      tsconfigRaw: {},
      logLevel: 'silent',
    }),
  ).catch((error: unknown) => {
    throw new BundleError(describeBuildError(path, error));
  });
  const code = output.outputFiles.find((file) => !file.path.endsWith('.map'));
  const map = output.outputFiles.find((file) => file.path.endsWith('.map'));
  if (code === undefined || map === undefined) throw new BundleError(`${path} gave no bundle`);
  if (code.contents.length > maxBundleSize) {
    throw new BundleError(
      `${path} and its imports make ${code.contents.length} bytes; a library may have up to ${maxBundleSize}`,
    );
  }
  const inputs = Object.keys(output.metafile.inputs)
    .filter((input) => !input.startsWith('<')) // data: URLs
    .map((input) => join(folder, input));
  return {
    path,
    packages: packagesOf(output.metafile),
    code: code.text,
    map: map.text,
    hash: createHash('sha256').update(code.contents).digest('hex'),
    inputs,
  };
}

function packagesOf({ inputs }: Metafile): string[] {
  return Object.values(inputs).flatMap(({ imports }) =>
    imports.filter(({ external }) => external).map(({ path }) => path),
  );
}

function describeBuildError(path: string, error: unknown): string {
  const { errors } = error as Partial<BuildFailure>;
  if (!Array.isArray(errors) || errors.length === 0) return `${path} cannot be bundled: ${String(error)}`;
  return errors
    .slice(0, 5)
    .map((message) => describeMessage(path, message))
    .join('; ');
}

function describeMessage(path: string, { text, location }: Message): string {
  const place =
    location === null ? path : `${join(dirname(path), location.file)}:${location.line}:${location.column + 1}`;
  if (text.startsWith('Top-level await')) {
    return `${place}: top-level await is not possible: a bridge library is loaded synchronously`;
  }
  return `${place}: ${text}`;
}

type Esbuild = typeof import('esbuild');

let esbuild: Esbuild | undefined;
let builds = 0;
let idle: NodeJS.Timeout | undefined;
let restart: Promise<void> | undefined;

/**
 * esbuild works in a child process of its own, which is ended when there is nothing to build for a while. One that died (killed for its
 * memory, say) is replaced, once per build.
 */
async function withService<T>(work: (esbuild: Esbuild) => Promise<T>): Promise<T> {
  clearTimeout(idle);
  builds += 1;
  try {
    // Not before there is something to build: a worker never has.
    esbuild ??= await import('esbuild');
    const service = esbuild;
    return await work(service).catch(async (error: Partial<BuildFailure>) => {
      if (Array.isArray(error.errors)) throw error;
      // All builds that it was busy with fail together: one restart is for all of them.
      restart ??= service.stop().finally(() => {
        restart = undefined;
      });
      await restart;
      return work(service);
    });
  } finally {
    builds -= 1;
    if (builds === 0) idle = setTimeout(() => void esbuild?.stop(), keepServiceMs).unref();
  }
}
