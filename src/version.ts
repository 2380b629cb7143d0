import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageFolder } from './own-files.js';

const packageFile = join(packageFolder, 'package.json');

/** The package's version, as in `0.1.0`. */
export const version: string = (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version;
