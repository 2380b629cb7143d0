import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout; this file runs from dist/bench/side-by-side/tools. */
export const projectRoot = fileURLToPath(new URL('../../../../', import.meta.url));

/** Where C sources, wrk's script and the report's template are. */
export const benchRoot = join(projectRoot, 'bench', 'side-by-side');

/** What the benchmark compiles and downloads; away with `npm ci`. */
export const cache = join(projectRoot, 'node_modules', '.cache', 'pontoon', 'bench');
