import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { type RunningControlPlane, startControlPlane } from '../../control-plane-sample/control-plane.js';
import type { RecordedEvent } from '../../control-plane-sample/events.js';
import { ResourceFolder } from '../../control-plane-sample/folder.js';
import { formatProblem } from '../../control-plane-sample/parse.js';
import { kindOfPath } from '../../control-plane-sample/resource-kind.js';
import { createLogging } from '../../src/log.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { waitFor } from './wait.js';

const log = createLogging('off').logger('test');

describe('control-plane-sample: folder', () => {
  let root: string;
  const write = async (path: string, text: string) => {
    const file = join(root, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  };
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'control-plane-sample-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const load = async () => {
    const folder = new ResourceFolder(root, loadSchema());
    const { resources, problems } = await folder.load(await folder.list());
    return {
      names: resources.map(({ kind, name, source }) => `${kind.group}/${name} (${source})`),
      problems: problems.map(formatProblem),
    };
  };

  it('reads files in any layout', async () => {
    await write('clusters/a.yaml', 'name: a');
    await write('prod/clusters/deep/b.yml', '[{name: b}]');
    await write('routes.json', '{"name": "r"}');
    await write('mixed.yaml', 'clusters: [{name: c}]\nroutes: [{name: s}]');
    await write('README.md', 'not a resource');
    await write('.hidden/clusters/x.yaml', 'name: x');
    await write('clusters/.swap.yaml', 'name: [');
    await symlink(join(root, 'clusters/a.yaml'), join(root, 'dangling.yaml').replace('dangling', '.link'));
    await symlink(join(root, 'nowhere'), join(root, 'clusters/dangling.yaml'));
    expect(await load()).to.deep.equal({
      names: [
        'clusters/a (clusters/a.yaml)',
        'clusters/c (mixed.yaml)',
        'routes/s (mixed.yaml)',
        'clusters/b (prod/clusters/deep/b.yml)',
        'routes/r (routes.json)',
      ],
      problems: [],
    });
  });

  it('names both files of a resource that is given twice', async () => {
    await write('clusters/a.yaml', 'name: a');
    await write('clusters/b.yaml', 'name: a');
    expect((await load()).problems).to.deep.equal([
      'clusters/b.yaml: clusters "a" is in clusters/a.yaml too; remove one of them',
    ]);
  });

  for (const [path, group] of [
    ['clusters/a.yaml', 'clusters'],
    ['/home/x/routes/clusters/a.yaml', 'clusters'],
    ['listeners.yaml', 'listeners'],
    ['eds/x.json', 'endpoints'],
    ['other/x.yaml', undefined],
  ] as const) {
    it(`takes ${path} as ${group ?? 'nothing special'}`, () => expect(kindOfPath(path)?.group).to.equal(group));
  }

  describe('while it is watched', () => {
    let controlPlane: RunningControlPlane | undefined;
    const start = async () => {
      controlPlane = await startControlPlane({ resources: root, port: 0, httpPort: 0, log });
      return controlPlane;
    };
    afterEach(async () => {
      await controlPlane?.close();
      controlPlane = undefined;
    });
    /** The next event of a kind, of those after `since`. */
    const next = <Kind extends RecordedEvent['event']>(since: number, kind: Kind) =>
      waitFor(`an event "${kind}"`, () =>
        controlPlane?.events
          .since(since)
          .find((event): event is RecordedEvent & { event: Kind } => event.event === kind),
      );

    it('serves what changes, keeps the last good state when a file breaks, and recovers', async () => {
      await write('clusters/a.yaml', 'name: a');
      await write('clusters/b.yaml', 'name: b');
      const { events } = await start();

      let since = events.lastSeq;
      await write('clusters/a.yaml', 'name: a\nconnect_timeout: 2s');
      expect(await next(since, 'snapshot')).to.deep.include({ changed: ['clusters/a'], added: [], removed: [] });

      since = events.lastSeq;
      await write('clusters/b.yaml', 'name: b\nconnect_timeout: later');
      const refused = await next(since, 'refused');
      expect(refused).to.have.property('reasons').that.has.length(1);
      expect(refused.reasons[0]).to.match(/^clusters\/b\.yaml:2:18: clusters "b": connect_timeout: /);
      expect(JSON.stringify(controlPlane?.describeSnapshot())).to.include('"name":"b"');

      since = events.lastSeq;
      await write('new/clusters/c.yaml', 'name: c');
      await next(since, 'refused');
      expect(JSON.stringify(controlPlane?.describeSnapshot()), 'all or nothing').to.not.include('"name":"c"');

      since = events.lastSeq;
      await write('clusters/.b.tmp', 'name: b\nconnect_timeout: 3s');
      await rename(join(root, 'clusters/.b.tmp'), join(root, 'clusters/b.yaml'));
      const recovered = await next(since, 'snapshot');
      expect(recovered).to.deep.include({ changed: ['clusters/b'], added: ['clusters/c'] });

      since = events.lastSeq;
      await write('new/clusters/c.yaml', 'name: c\nconnect_timeout: 1s');
      expect(await next(since, 'snapshot'), 'in a new folder').to.deep.include({ changed: ['clusters/c'] });

      since = events.lastSeq;
      await rm(join(root, 'clusters/a.yaml'));
      expect(await next(since, 'snapshot')).to.deep.include({ removed: ['clusters/a'] });
    });

    it('does not take a truncated file for a removal', async () => {
      await write('clusters/a.yaml', 'name: a');
      const { events } = await start();
      const since = events.lastSeq;
      await write('clusters/a.yaml', '');
      await next(since, 'refused');
      expect(JSON.stringify(controlPlane?.describeSnapshot())).to.include('"name":"a"');
    });

    it('refuses an inconsistent folder', async () => {
      await write('clusters/a.yaml', 'name: a\ntype: EDS\neds_cluster_config: {eds_config: {ads: {}}}');
      await write('endpoints/a.yaml', 'cluster_name: a');
      const { events } = await start();
      const since = events.lastSeq;
      await rm(join(root, 'endpoints/a.yaml'));
      const refused = await next(since, 'refused');
      expect(refused.reasons[0]).to.include('there is no such resource in endpoints');
    });

    it('survives the removal of the folder, and its return', async () => {
      await write('clusters/a.yaml', 'name: a');
      const { events } = await start();
      let since = events.lastSeq;
      await rm(root, { recursive: true });
      await next(since, 'refused');
      since = events.lastSeq;
      await write('clusters/a.yaml', 'name: a');
      await write('clusters/d.yaml', 'name: d');
      expect(await next(since, 'snapshot')).to.deep.include({ added: ['clusters/d'] });
    });

    it('does not start with a broken folder', async () => {
      await write('clusters/a.yaml', 'name: a\nnope: 1');
      const error = await start().catch((failure: unknown) => failure);
      expect(String(error)).to.match(/clusters\/a\.yaml:2:7: clusters "a": nope: unknown field/);
      await rm(root, { recursive: true });
      expect(String(await start().catch((failure: unknown) => failure))).to.include('ENOENT');
    });
  });
});
