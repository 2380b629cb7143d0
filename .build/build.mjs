// The one build step: protos → dist/schema.txt and TypeScript types, the native host of Go libraries, TypeScript → dist/,
// then the program as users run it → dist/program/.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNative } from './native.mjs';
import { buildProgram } from './program.mjs';
import { buildSchema } from './schema.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
mkdirSync(join(root, 'dist'), { recursive: true });
buildSchema(root);
buildNative(root);
const tsc = spawnSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', root], {
  stdio: 'inherit',
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);
buildProgram(root);
writeFileSync(join(root, 'dist', '.built'), '');
