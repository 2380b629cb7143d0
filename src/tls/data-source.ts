import { readFileSync, statSync } from 'node:fs';
import type { DataSource } from '../model/data-source.js';

/** Certificates, keys and lists of them are far smaller. */
const mostBytes = 4 * 1024 * 1024;

/**
 * The value as it is now.
 *
 * @throws Error that names the file or the variable
 */
export function readNow(source: DataSource): Buffer {
  switch (source.kind) {
    case 'file': {
      const { size } = statSync(source.path, { throwIfNoEntry: false }) ?? {};
      if (size === undefined) throw new Error(`there is no file ${source.path}`);
      if (size > mostBytes) throw new Error(`${source.path} is ${size} bytes; the maximum is ${mostBytes}`);
      return readFileSync(source.path);
    }
    case 'environment': {
      const value = process.env[source.variable];
      if (value === undefined) throw new Error(`the environment variable ${source.variable} does not exist`);
      return Buffer.from(value);
    }
    case 'inline':
      return Buffer.from(source.bytes);
  }
}

/** The file that a value is read from, if it is. */
export const fileOf = (source: DataSource | undefined): string | undefined =>
  source?.kind === 'file' ? source.path : undefined;
