import { fileURLToPath } from 'node:url';

// This file, and what the build makes of it, is two folders below the package's: in dist/src/, and bundled with others in dist/program/.

/** The package's folder. */
export const packageFolder = fileURLToPath(new URL('../../', import.meta.url));

/**
 * The file of a program that this one starts.
 * @param path from src/, as in `worker.js`
 */
export const programFile = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
