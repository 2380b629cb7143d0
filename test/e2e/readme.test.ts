import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { guide } from '../../control-plane-sample/demo-guide.js';
import { runChild } from '../support/child.js';
import { cliPath, projectRoot, startPontoon } from '../support/pontoon.js';
import { bridgeBootstrap } from '../support/static-bootstrap.js';
import { startTcpServer } from '../support/tcp-server.js';

const packageJson = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
  readonly bin: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
};
const tsc = join(projectRoot, 'node_modules', 'typescript', 'bin', 'tsc');

/** Every document of the project, by its path. */
const documents = new Map(
  ['.', 'docs', 'control-plane-sample', 'plugins']
    .flatMap((folder) =>
      readdirSync(join(projectRoot, folder), { recursive: folder !== '.' }).map((name) => join(folder, String(name))),
    )
    .filter((path) => path.endsWith('.md'))
    .map((path) => [path, readFileSync(join(projectRoot, path), 'utf8')]),
);

function blocks(document: string, language: string): string[] {
  const fences = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, 'gms');
  return [...(documents.get(document) ?? '').matchAll(fences)].map(([, block = '']) => block);
}

/** The commands of the `sh` blocks, without their comments. */
function commands(document: string): string[] {
  return blocks(document, 'sh')
    .flatMap((block) => block.trim().split('\n'))
    .map((line) => line.replace(/\s+# .*$/, ''));
}

describe('the documents', function () {
  this.timeout(60_000);
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-readme-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const validate = async (bootstrap: string, ...args: string[]) => {
    const file = join(folder, 'bootstrap.yaml');
    writeFileSync(file, bootstrap);
    const flags = ['-c', file, '--mode', 'validate', '--plugin-root', projectRoot, ...args];
    return await runChild(process.execPath, [cliPath, ...flags]);
  };

  it('name only scripts that package.json has', () => {
    for (const [path, text] of documents) {
      for (const [, script = ''] of text.matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g))
        expect(packageJson.scripts, path).to.have.property(script);
    }
  });

  it('link only to files that are there', () => {
    for (const [path, text] of documents) {
      for (const [, target = ''] of text.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)) {
        const file = join(projectRoot, dirname(path), target);
        expect(statSync(file, { throwIfNoEntry: false }), `${path}: ${target}`).to.not.equal(undefined);
      }
    }
  });

  it('README has only commands that are tried', () => {
    const printed = guide('127.0.0.1:10000', '127.0.0.1:9901', 18_001)
      .split('\n')
      .map((line) => line.trim());
    expect(packageJson.bin.pontoon).to.equal('./dist/program/cli.js');
    const others = [
      'npm start',
      'npm test',
      'npx pontoon -c bootstrap.yaml --mode validate',
      'npx pontoon -c bootstrap.yaml',
    ];
    expect(commands('README.md')).to.not.have.length(0);
    for (const command of commands('README.md')) expect([...printed, ...others]).to.include(command);
    expect(packageJson.scripts).to.include.keys('start', 'test');
  });

  it("README's bootstrap passes --mode validate", async () => {
    const [bootstrap = ''] = blocks('README.md', 'yaml');
    const { code, stdout, stderr } = await validate(bootstrap);
    expect({ code, stderr }, stdout).to.deep.equal({ code: 0, stderr: '' });
    expect(stdout).to.equal(`configuration '${join(folder, 'bootstrap.yaml')}' OK\n`);
  });

  for (const document of ['README.md', 'plugins/length-prefixed/README.md', 'plugins/dubbo/README.md']) {
    it(`${document}: its upstream_config makes a bridge of a cluster`, async () => {
      const upstream = blocks(document, 'yaml').find((block) => block.startsWith('upstream_config:')) ?? '';
      expect(upstream).to.not.equal('');
      const cluster = `static_resources:\n  clusters:\n  - name: a\n    load_assignment: {cluster_name: a}\n${upstream.replaceAll(/^/gm, '    ')}`;
      const { code, stdout } = await validate(cluster);
      expect({ code, stdout }).to.deep.equal({
        code: 0,
        stdout: `configuration '${join(folder, 'bootstrap.yaml')}' OK\n`,
      });
    });
  }

  it('docs/bridge.md: its library loads', async () => {
    const [library = ''] = blocks('docs/bridge.md', 'ts');
    const file = join(folder, 'library.ts');
    writeFileSync(file, library);
    const bootstrap = bridgeBootstrap(1, { library: file, plugin: 'my_bridge' });
    const { code, stdout } = await validate(bootstrap, '--plugin-root', folder);
    expect(code, stdout).to.equal(0);
  });

  it('docs/writing-a-bridge.md: its pieces are those of the README and of the skeleton', () => {
    const [lines, framing] = blocks('docs/writing-a-bridge.md', 'ts');
    expect(lines).to.equal(blocks('README.md', 'ts')[0]);
    expect(readFileSync(join(projectRoot, 'plugins', 'skeleton', 'frame.ts'), 'utf8')).to.contain(framing);
    expect(commands('docs/writing-a-bridge.md')).to.deep.equal(['npx pontoon plugin new my-bridge']);
  });

  describe('the bridges in the documents', () => {
    const [library = ''] = blocks('README.md', 'ts');
    const [, , shared = ''] = blocks('docs/writing-a-bridge.md', 'ts');
    let file: string;

    beforeEach(() => {
      // As in a user's project: the package and Node's types are installed.
      mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true });
      symlinkSync(projectRoot, join(folder, 'node_modules', 'pontoon'));
      const types = join('node_modules', '@types', 'node');
      symlinkSync(join(projectRoot, types), join(folder, types));
      writeFileSync(join(folder, 'package.json'), '{"type": "module"}');
      file = join(folder, 'lines.ts');
      writeFileSync(file, library);
    });

    it('compile against the types of the package', async () => {
      writeFileSync(join(folder, 'shared.ts'), shared);
      const compilerOptions = {
        noEmit: true,
        strict: true,
        module: 'nodenext',
        target: 'es2023',
        types: ['node'],
        skipLibCheck: true,
      };
      writeFileSync(
        join(folder, 'tsconfig.json'),
        JSON.stringify({ compilerOptions, files: ['lines.ts', 'shared.ts'] }),
      );
      const { code, stdout } = await runChild(process.execPath, [tsc, '-p', folder]);
      expect(code, stdout).to.equal(0);
    });

    it('share connections to a server of lines', async () => {
      writeFileSync(join(folder, 'shared.ts'), shared);
      const waiting: string[] = [];
      // Nothing is answered before both have come, over one connection.
      const server = await startTcpServer({
        onData({ socket }, data) {
          waiting.push(...data.toString().trimEnd().split('\n'));
          if (waiting.length === 2) socket.write(waiting.map((line) => `you said: ${line}\n`).join(''));
        },
      });
      const pontoon = await startPontoon({
        bootstrap: bridgeBootstrap(server.port, { library: join(folder, 'shared.ts'), plugin: 'shared_lines' }),
        args: ['--plugin-root', folder],
      });
      try {
        const url = await pontoon.listener('http');
        const answers = await Promise.all(['one', 'two'].map(async (path) => (await fetch(`${url}/${path}`)).text()));
        expect(answers).to.deep.equal(['you said: one\n', 'you said: two\n']);
        expect(server.connections).to.have.length(1);
      } finally {
        await pontoon.stop('SIGKILL');
        await server.close();
      }
    });

    it('bridge to a server of lines', async () => {
      // Slow on purpose: the answer comes in two pieces.
      const server = await startTcpServer({
        onData({ socket }, data) {
          socket.write('you said: ');
          setTimeout(() => socket.write(data), 20);
        },
      });
      const bridge = { library: file, plugin: 'lines', config: '{max_line: 16}' };
      const pontoon = await startPontoon({
        bootstrap: bridgeBootstrap(server.port, bridge),
        args: ['--plugin-root', folder],
      });
      try {
        const url = await pontoon.listener('http');
        const answer = async (path: string, init?: RequestInit) => {
          const response = await fetch(url + path, init);
          return [response.status, response.headers.get('content-type'), await response.text()];
        };
        const post = (body: string) => ({ method: 'POST', body });
        expect(await answer('/', post('hello'))).to.deep.equal([200, 'text/plain', 'you said: hello\n']);
        expect(await answer('/asked')).to.deep.equal([200, 'text/plain', 'you said: asked\n']);
        expect((await answer('/', post('x'.repeat(17)))).filter((_, index) => index !== 1)).to.deep.equal([
          413,
          'line too long\n',
        ]);
      } finally {
        await pontoon.stop('SIGKILL');
        await server.close();
      }
      const refused = await validate(
        bridgeBootstrap(1, { ...bridge, config: '{max_line: 0}' }),
        '--plugin-root',
        folder,
      );
      expect(refused.stdout).to.match(/max_line: must be a whole number of at least 1/);
    });
  });
});
