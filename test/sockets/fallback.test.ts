import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { startFramedServer } from '../../control-plane-sample/framed-server.js';
import { type Pontoon, projectRoot, startPontoon } from '../support/pontoon.js';
import { bridgeBootstrap } from '../support/static-bootstrap.js';

describe('a pontoon without the native part of its sockets', function () {
  this.timeout(60_000);
  let folder: string;
  let pontoon: Pontoon | undefined;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-fallback-'));
    for (const part of ['package.json', 'dist/src', 'dist/schema.txt', 'plugins'])
      cpSync(join(projectRoot, part), join(folder, part), { recursive: true });
    symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  });

  afterEach(async () => {
    await pontoon?.stop('SIGKILL');
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  const cases = [
    { name: 'was not built', prepare: () => {}, reason: 'their native part has not been built' },
    {
      name: 'could not be built',
      prepare: (native: string) => writeFileSync(join(native, 'unavailable.txt'), 'there is no C++ compiler'),
      reason: 'there is no C++ compiler',
    },
    {
      name: 'is of another system',
      prepare: (native: string) => writeFileSync(join(native, 'pontoon_sockets.node'), 'of another system'),
      reason: 'pontoon_sockets.node: file too short',
    },
  ];
  for (const { name, prepare, reason } of cases) {
    it(`serves with Node's sockets, and says why: it ${name}`, async () => {
      const native = join(folder, 'dist', 'native');
      rmSync(native, { recursive: true, force: true });
      mkdirSync(native);
      prepare(native);
      const server = await startFramedServer('server', 0);
      pontoon = await startPontoon({
        bootstrap: bridgeBootstrap(server.port),
        cli: join(folder, 'dist', 'src', 'cli.js'),
        cwd: folder,
        env: { XDG_CACHE_HOME: join(folder, 'cache') },
        args: ['--plugin-root', folder],
      });
      const response = await fetch(await pontoon.listener('http'), { method: 'POST', body: 'hello' });
      expect(await response.text()).to.equal('server: hello\n');
      const line = pontoon
        .log()
        .split('\n')
        .find((each) => each.includes('Node reads and writes connections'));
      expect(JSON.parse(line ?? '{}'))
        .to.have.property('reason')
        .that.includes(reason);
      await server.close();
    });
  }
});
