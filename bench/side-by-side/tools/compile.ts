import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run, Unavailable } from './commands.js';
import { benchRoot, cache } from './paths.js';

/**
 * Compiles a C source of the benchmark (`upstream/framed_echo.c`), if it or a header beside it has changed since, and gives the result's path in a folder of its own.
 *
 * @param output the file's name; `lib*.so` makes a shared library
 * @throws Unavailable without a C compiler
 */
export async function compile(source: string, output: string): Promise<string> {
  const path = join(benchRoot, source);
  const headers = readdirSync(dirname(path)).filter((name) => name.endsWith('.h'));
  const hash = createHash('sha256').update(readFileSync(path));
  for (const header of headers.sort()) hash.update(readFileSync(join(dirname(path), header)));
  const target = join(cache, hash.digest('hex').slice(0, 16), output);
  if (existsSync(target)) return target;
  mkdirSync(dirname(target), { recursive: true });
  const draft = `${target}.${process.pid}`;
  const shared = output.endsWith('.so') ? ['-fPIC', '-shared', '-fvisibility=hidden'] : [];
  try {
    await run(process.env.CC ?? 'cc', ['-O2', '-Wall', '-Wextra', ...shared, '-o', draft, path]);
  } catch (error) {
    throw new Unavailable(`${source} could not be compiled (is there a C compiler?): ${(error as Error).message}`);
  }
  renameSync(draft, target);
  return target;
}
