import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { cliPath, projectRoot } from './support/pontoon.js';

const folder = dirname(cliPath);
const packageOf = /node_modules\/((?:@[^/]+\/)?[^/]+)/;

interface Piece {
  readonly imports: readonly string[];
  /** By import(). */
  readonly later: readonly string[];
  /** What it is made of: paths below the project's folder. */
  readonly sources: readonly string[];
}

function readPiece(path: string): Piece {
  const code = readFileSync(path, 'utf8');
  const { sources } = JSON.parse(readFileSync(`${path}.map`, 'utf8')) as { sources: string[] };
  const found = (pattern: RegExp) => [...code.matchAll(pattern)].map(([, to = '']) => join(dirname(path), to));
  return {
    imports: found(/\bimport\s*(?:[\w$\s{},*]*\bfrom\s*)?"(\.[^"]+)"/g),
    later: found(/\bimport\("(\.[^"]+)"\)/g),
    sources: sources.map((source) => join(dirname(path), source).slice(projectRoot.length)),
  };
}

/** The rooms and packages that are loaded when a program starts: `src/http`, `yaml`. What its first file imports by import() is the program itself. */
function loadedBy(program: string): ReadonlySet<string> {
  const first = join(folder, program);
  const seen = new Set<string>();
  const sources: string[] = [];
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const piece = readPiece(path);
    sources.push(...piece.sources);
    for (const each of piece.imports) visit(each);
    if (path === first) for (const each of piece.later) visit(each);
  };
  visit(first);
  return new Set(sources.map((source) => packageOf.exec(source)?.[1] ?? source.split('/').slice(0, -1).join('/')));
}

describe('the program as users run it', () => {
  const main = loadedBy('cli.js');
  const worker = loadedBy('worker.js');
  const judge = loadedBy('server/judge-process/program.js');
  const goJudge = loadedBy('bridge/go/judge-child.js');

  it('is read whole', () => {
    expect([...main]).to.include.members(['src/server', 'src/xds', 'src/http', 'yaml', 'commander', '@grpc/grpc-js']);
    expect([...worker]).to.include.members(['src', 'src/http', 'src/upstream', 'src/routing', 'src/bridge/script']);
    expect([...judge]).to.include.members(['src/server/judge-process', 'src/bridge/script', 'protobufjs']);
    expect([...goJudge]).to.include.members(['src/bridge/go']);
  });

  const decides = [
    'src/xds',
    'src/xds/resources',
    'src/admin',
    'src/bootstrap',
    'src/snapshot',
    'src/server/judge-process',
  ];
  const packages = ['@grpc/grpc-js', '@grpc/proto-loader', 'yaml', 'commander', 'esbuild'];
  it('has nothing in a worker that only the main process needs', () => {
    for (const each of [...decides, ...packages]) expect([...worker]).to.not.include(each);
  });

  it('has nothing in a judge that serves', () => {
    const serves = ['src/http', 'src/routing', 'src/listener', 'src/access-log', 'src/tls', 're2js'];
    const others = [...decides.filter((each) => each !== 'src/server/judge-process'), ...packages];
    for (const each of [...serves, ...others]) expect([...judge]).to.not.include(each);
    for (const each of ['src/bridge/script', 'src/protobuf', 'protobufjs']) expect([...goJudge]).to.not.include(each);
  });

  it('has nothing in the main process that few need', () => {
    for (const each of ['src/admin/csds', '@grpc/reflection', 'esbuild']) expect([...main]).to.not.include(each);
  });

  it('passes the licences on of the packages in it', () => {
    const text = readFileSync(join(folder, 'LICENCES.txt'), 'utf8');
    const names = [...main, ...worker].filter((each) =>
      existsSync(join(projectRoot, 'node_modules', each, 'package.json')),
    );
    expect(names).to.include('protobufjs');
    for (const name of names)
      expect(text, name).to.match(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(.+\\)\\n\\n\\S`, 'm'));
  });
});
