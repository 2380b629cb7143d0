import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadBootstrap } from '../../src/bootstrap/load.js';
import { bootstrapReport } from '../../src/bootstrap/report.js';
import { systemClock } from '../../src/clock.js';
import type { ConfigSource } from '../../src/model/config-source.js';
import type { Verdict } from '../../src/model/verdict.js';
import { parseJson } from '../../src/protobuf/json.js';
import { readNameField } from '../../src/protobuf/name-field.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { type ConfigSources, createConfigSources } from '../../src/server/config-sources.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { ResourceType } from '../../src/xds/resource-type.js';
import { ScriptedXdsServer } from '../support/scripted-xds-server.js';
import { namesIn, RecordingWatcher, recordingLog, until, variants } from '../xds/harness.js';

const schema = loadSchema();

/** A real type, of which only the version is kept; resources whose name begins with `bad` are rejected. */
function typeOf(typeName: string, shortName: string, more: Partial<ResourceType<string>> = {}): ResourceType<string> {
  return {
    typeUrl: `type.googleapis.com/${typeName}`,
    shortName,
    fullState: false,
    nameOf: readNameField,
    async judge({ name, bytes }): Promise<Verdict<string>> {
      if (name.startsWith('bad')) return { kind: 'rejected', problems: [{ path: 'name', message: 'is bad' }] };
      const { alt_stat_name: model = 'accepted' } = schema.decode<{ alt_stat_name?: string }>(typeName, bytes);
      return { kind: 'active', model: model || 'accepted', warnings: [] };
    },
    ...more,
  };
}

const cds = typeOf('envoy.config.cluster.v3.Cluster', 'cds', { fullState: true, statPrefix: 'cluster_manager.cds' });
const lds = typeOf('envoy.config.listener.v3.Listener', 'lds', { fullState: true, statPrefix: 'listener_manager.lds' });
const eds = typeOf('envoy.config.endpoint.v3.ClusterLoadAssignment', 'eds');
const rds = typeOf('envoy.config.route.v3.RouteConfiguration', 'rds');

function bytesOf(type: ResourceType<string>, name: string, value = ''): Buffer {
  const message = type === cds ? { name, alt_stat_name: value } : type === eds ? { cluster_name: name } : { name };
  return schema.encode(type.typeUrl.slice(type.typeUrl.indexOf('/') + 1), message);
}

interface Subject {
  readonly sources: ConfigSources;
  readonly stats: ReturnType<typeof createStatsStore>;
  readonly log: ReturnType<typeof recordingLog>;
  readonly cds: ConfigSource | undefined;
  readonly lds: ConfigSource | undefined;
}

describe('config sources', () => {
  const open: { close(): void }[] = [];
  afterEach(() => {
    for (const each of open.splice(0)) each.close();
  });

  function subject(dynamicResources: string, clusters: readonly (readonly [string, string])[] = []): Subject {
    const yamlText = `
node: { id: n, cluster: c }
dynamic_resources: ${dynamicResources}
static_resources:
  clusters:
${clusters
  .map(([name, address]) => {
    const [host, port] = address.split(':');
    return `    - { name: ${name}, connect_timeout: 1s, load_assignment: { cluster_name: ${name}, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: ${host}, port_value: ${port} } } } }] }] } }`;
  })
  .join('\n')}
`;
    const loaded = loadBootstrap({ schema, yamlText });
    if (!loaded.ok) throw new Error(bootstrapReport(loaded).join('\n'));
    const stats = createStatsStore();
    const log = recordingLog();
    const { bootstrap } = loaded;
    const sources = createConfigSources({ bootstrap, schema, version: '1.2.3', clock: systemClock, stats, log });
    open.push(sources);
    return { sources, stats, log, cds: bootstrap.cds, lds: bootstrap.lds };
  }

  async function server(): Promise<ScriptedXdsServer> {
    const started = await ScriptedXdsServer.start();
    open.push({ close: () => started.stop() });
    return started;
  }

  const api = (cluster: string, variant: string) =>
    `{ api_config_source: { api_type: ${variant === 'DELTA' ? 'DELTA_GRPC' : 'GRPC'}, transport_api_version: V3, grpc_services: [{ envoy_grpc: { cluster_name: ${cluster} } }] } }`;

  for (const variant of variants) {
    describe(`of one type, ${variant}`, () => {
      const respond = (
        stream: Awaited<ReturnType<ScriptedXdsServer['nextStream']>>,
        type: ResourceType<string>,
        version: string,
        names: readonly string[],
        typeUrl = type.typeUrl,
      ) => {
        const resources = names.map((name) => ({ name, any: { type_url: type.typeUrl, value: bytesOf(type, name) } }));
        stream.send(
          variant === 'SOTW'
            ? { version_info: version, nonce: version, type_url: typeUrl, resources: resources.map(({ any }) => any) }
            : {
                system_version_info: version,
                nonce: version,
                type_url: typeUrl,
                resources: resources.map(({ name, any }) => ({ name, version, resource: any })),
              },
        );
      };

      it('have a stream each, of the service for the type, with the node, the nonce and the version', async () => {
        const xds = await server();
        const {
          sources,
          cds: source,
          lds: listeners,
          stats,
        } = subject(`{ cds_config: ${api('x', variant)}, lds_config: ${api('x', variant)} }`, [['x', xds.address]]);
        sources.start();
        const watchers = new Map([cds, lds, eds, rds].map((type) => [type, new RecordingWatcher()]));
        const watcherOf = (type: ResourceType<string>) => watchers.get(type) as RecordingWatcher;
        sources.subscribe(cds, source as ConfigSource, undefined, 'wildcard', watcherOf(cds));
        sources.subscribe(lds, listeners as ConfigSource, undefined, 'wildcard', watcherOf(lds));
        // `self` is the source that the resource came from, over the service of its own type.
        sources.subscribe(eds, { kind: 'self', initialFetchTimeoutMs: 0 }, source, ['e'], watcherOf(eds));
        sources.subscribe(rds, { kind: 'self', initialFetchTimeoutMs: 0 }, listeners, ['r'], watcherOf(rds));
        for (const [kind, type, method, asked] of [
          ['cds', cds, 'ClusterDiscoveryService/@Clusters', []],
          ['lds', lds, 'ListenerDiscoveryService/@Listeners', []],
          ['eds', eds, 'EndpointDiscoveryService/@Endpoints', ['e']],
          ['rds', rds, 'RouteDiscoveryService/@Routes', ['r']],
        ] as const) {
          const stream = await xds.streamOf(kind);
          expect(stream.method).to.contain(method.replace('@', variant === 'SOTW' ? 'Stream' : 'Delta'));
          const first = await stream.next();
          expect([first.type_url, first.node?.id, namesIn(first)]).to.deep.equal([type.typeUrl, 'n', asked]);
          respond(stream, type, 'v1', [asked[0] ?? 'a'], '');
          const answer = await stream.next();
          expect([answer.response_nonce, answer.error_detail]).to.deep.equal(['v1', null]);
          expect(watcherOf(type).plain).to.deep.equal({ [asked[0] ?? 'a']: 'accepted' });
          // A rejection is this stream's own.
          respond(stream, type, 'v2', ['bad', asked[0] ?? 'a']);
          const nack = await stream.next();
          if (asked.length === 0) {
            expect(nack.error_detail?.message).to.contain('bad: name: is bad');
            expect(variant === 'DELTA' || nack.version_info).to.be.oneOf([true, 'v1']);
          }
        }
        expect(stats.gauge('cluster_manager.cds.control_plane.connected_state').value).to.equal(1);
        expect(stats.gauge('listener_manager.lds.control_plane.connected_state').value).to.equal(1);
        expect(stats.counter('cluster_manager.cds.update_success').value).to.equal(1);
        expect(stats.counter('cluster_manager.cds.update_rejected').value).to.equal(1);
        expect([...sources.states(cds.typeUrl)].map(({ name, status }) => [name, status])).to.have.deep.members([
          ['a', 'active'],
          ['bad', 'rejected'],
        ]);
      });

      it('share a stream where they name the same source, which ends with its last user', async () => {
        const xds = await server();
        const { sources, cds: source } = subject(`{ cds_config: ${api('x', variant)} }`, [['x', xds.address]]);
        sources.start();
        const own = { ...(source as ConfigSource), initialFetchTimeoutMs: 7 };
        const one = sources.subscribe(eds, source as ConfigSource, undefined, ['a'], new RecordingWatcher());
        const two = sources.subscribe(eds, own, undefined, ['b'], new RecordingWatcher());
        const stream = await xds.streamOf('eds');
        expect(namesIn(await stream.next())).to.deep.equal(['a', 'b']);
        one.close();
        two.close();
        await stream.closed;
        const three = sources.subscribe(eds, source as ConfigSource, undefined, ['c'], new RecordingWatcher());
        expect(namesIn(await (await xds.streamOf('eds')).next())).to.deep.equal(['c']);
        three.close();
      });

      it('ask for endpoints once while a batch of clusters is applied, over another stream', async () => {
        const xds = await server();
        const { sources, cds: source } = subject(`{ cds_config: ${api('x', variant)} }`, [['x', xds.address]]);
        sources.start();
        const first = sources.subscribe(eds, source as ConfigSource, undefined, ['e'], new RecordingWatcher());
        const endpoints = await xds.streamOf('eds');
        await endpoints.next();
        const clusters = new RecordingWatcher(0, async ({ changed }) => {
          for (const { name } of changed) {
            sources.subscribe(eds, source as ConfigSource, undefined, [name], new RecordingWatcher());
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
        });
        sources.subscribe(cds, source as ConfigSource, undefined, 'wildcard', clusters);
        const stream = await xds.streamOf('cds');
        await stream.next();
        respond(stream, cds, 'v1', ['a', 'b', 'c']);
        await stream.next();
        const asked = await endpoints.next();
        expect(namesIn(asked).filter((name) => name !== 'e')).to.deep.equal(['a', 'b', 'c']);
        expect(endpoints.unread).to.equal(0);
        first.close();
      });
    });
  }

  describe('files', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'pontoon-files-'));
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    const anyOf = (type: ResourceType<string>, name: string, value = '') => ({
      '@type': type.typeUrl,
      ...(type === eds ? { cluster_name: name } : { name, ...(value && { alt_stat_name: value }) }),
    });
    const json = (resources: readonly object[], version = '') => JSON.stringify({ version_info: version, resources });
    const encoded = (text: string) => {
      const parsed = parseJson(schema, 'envoy.service.discovery.v3.DiscoveryResponse', JSON.parse(text));
      return parsed.ok ? parsed.bytes : Buffer.alloc(0);
    };
    /** As configuration tools do: a complete file is moved to the name. */
    function swap(path: string, content: string | Uint8Array): void {
      writeFileSync(`${path}.tmp`, content);
      renameSync(`${path}.tmp`, path);
    }
    function watch(path: string, more = ''): Subject & { watcher: RecordingWatcher; source: ConfigSource } {
      const made = subject(`{ cds_config: { path_config_source: { path: ${path}${more} } } }`);
      made.sources.start();
      const watcher = new RecordingWatcher();
      const source = made.cds as ConfigSource;
      made.sources.subscribe(cds, source, undefined, 'wildcard', watcher);
      return { ...made, watcher, source };
    }

    it('are read as JSON, YAML and binary, and again when they are swapped', async () => {
      const path = join(folder, 'cds.json');
      writeFileSync(path, json([anyOf(cds, 'a', 'x')], '1'));
      const { watcher, sources, stats } = watch(path);
      await until(() => watcher.updates.length === 1);
      expect(watcher.plain).to.deep.equal({ a: 'x' });
      expect(sources.version(cds.typeUrl)).to.equal('1');
      swap(path, json([anyOf(cds, 'a', 'y'), anyOf(cds, 'b')], '2'));
      await until(() => watcher.updates.length === 2);
      expect(watcher.plain).to.deep.equal({ a: 'y', b: 'accepted' });
      swap(path, json([anyOf(cds, 'b')]));
      await until(() => watcher.updates.length === 3);
      expect(watcher.plain).to.deep.equal({ b: 'accepted' });
      expect(stats.counter('cluster_manager.cds.update_success').value).to.equal(3);
      for (const [file, content] of [
        ['cds.yaml', `resources:\n- "@type": ${cds.typeUrl}\n  name: c\n`],
        [
          'cds.pb',
          schema.encode('envoy.service.discovery.v3.DiscoveryResponse', {
            resources: [{ type_url: cds.typeUrl, value: bytesOf(cds, 'c') }],
          }),
        ],
      ] as const) {
        writeFileSync(join(folder, file), content);
        const other = watch(join(folder, file));
        await until(() => other.watcher.updates.length === 1);
        expect(other.watcher.plain).to.deep.equal({ c: 'accepted' });
      }
    });

    it('are looked for in the watched directory, whose link is swapped', async () => {
      for (const version of ['1', '2']) {
        mkdirSync(join(folder, version));
        writeFileSync(join(folder, version, 'cds.yaml'), json([anyOf(cds, `v${version}`)]));
      }
      symlinkSync('1', join(folder, 'data'));
      const path = join(folder, 'data', 'cds.yaml');
      const { watcher } = watch(path, `, watched_directory: { path: ${folder} }`);
      await until(() => watcher.updates.length === 1);
      symlinkSync('2', join(folder, 'new'));
      renameSync(join(folder, 'new'), join(folder, 'data'));
      await until(() => watcher.updates.length === 2);
      expect(watcher.plain).to.deep.equal({ v2: 'accepted' });
    });

    it('are polled where that is configured', async () => {
      const path = join(folder, 'cds.yaml');
      writeFileSync(path, json([anyOf(cds, 'a')]));
      const { watcher } = watch(path, ', poll_interval: 0.05s');
      await until(() => watcher.updates.length === 1);
      // In place, of which the watch tells nothing.
      writeFileSync(path, json([anyOf(cds, 'b')]));
      await until(() => watcher.updates.length === 2);
      expect(watcher.plain).to.deep.equal({ b: 'accepted' });
    });

    it('change nothing when they cannot be read, are empty, or have a field that is not', async () => {
      const path = join(folder, 'cds.yaml');
      writeFileSync(path, json([anyOf(cds, 'a', 'x')]));
      const { watcher, log, stats } = watch(path);
      await until(() => watcher.updates.length === 1);
      for (const [content, said] of [
        ['', 'is empty'],
        ['resources: [', 'YAML'],
        ['resorces: []', 'resorces'],
        [`resources: [{ "@type": ${cds.typeUrl}, nam: b }]`, 'resources[0].nam'],
      ] as const) {
        log.lines.length = 0;
        swap(path, content);
        await until(() => log.lines.length > 0);
        if (said !== 'YAML') expect(log.lines.join()).to.contain(said);
      }
      expect(watcher.plain).to.deep.equal({ a: 'x' });
      expect(watcher.failures).to.equal(4);
      expect(stats.counter('cluster_manager.cds.update_failure').value).to.equal(4);
      swap(path, json([anyOf(cds, 'b')]));
      await until(() => watcher.updates.length === 2);
      expect(watcher.plain).to.deep.equal({ b: 'accepted' });
    });

    for (const [what, name, content, said] of [
      ['is no YAML', 'cds.yaml', 'resources: [', 'cds.yaml'],
      ['has an unknown field', 'cds.yaml', 'resorces: []', 'resorces'],
      ['is no message', 'cds.pb', '\u00ff\u00ff\u00ff', 'not a valid envoy.service.discovery.v3.DiscoveryResponse'],
    ] as const)
      it(`that ${what} from the beginning is told of at once, and nobody waits for it`, async () => {
        const path = join(folder, name);
        writeFileSync(path, content);
        const { watcher, log, sources, source } = watch(path);
        await until(() => watcher.updates.length === 1);
        expect(watcher.updates[0]).to.deep.include({ cause: 'source_failure', changed: [], rejected: [], removed: [] });
        expect(log.lines.join()).to.contain(said).and.to.contain('nothing waits for it');
        const later = new RecordingWatcher();
        sources.subscribe(cds, source, undefined, ['a'], later);
        await until(() => later.updates.length === 1);
        expect(later.updates[0]?.rejected.map((each) => each.name)).to.deep.equal(['a']);
        const good = json([anyOf(cds, 'a')]);
        swap(path, name.endsWith('.pb') ? encoded(good) : good);
        await until(() => watcher.updates.length === 2 && later.updates.length === 2);
        expect([watcher.plain, later.plain]).to.deep.equal([{ a: 'accepted' }, { a: 'accepted' }]);
      });

    it('reject single resources, and apply the others', async () => {
      const path = join(folder, 'cds.yaml');
      writeFileSync(path, json([anyOf(cds, 'bad'), anyOf(cds, 'a')]));
      const { watcher, sources, stats } = watch(path);
      await until(() => watcher.updates.length === 1);
      expect(watcher.plain).to.deep.equal({ a: 'accepted' });
      expect(stats.counter('cluster_manager.cds.update_rejected').value).to.equal(1);
      expect([...sources.states(cds.typeUrl)].map(({ name, status }) => `${name} ${status}`)).to.have.members([
        'bad rejected',
        'a active',
      ]);
    });

    it('say at once of names that they do not have that there is no such resource, also of names asked for later', async () => {
      const path = join(folder, 'eds.yaml');
      writeFileSync(path, json([anyOf(eds, 'a'), anyOf(eds, 'c')]));
      const { sources, cds: source } = subject(`{ cds_config: { path: ${path} } }`);
      sources.start();
      const watchers = ['a', 'b', 'c'].map((name) => [name, new RecordingWatcher()] as const);
      for (const [name, watcher] of watchers.slice(0, 2))
        sources.subscribe(eds, source as ConfigSource, undefined, [name], watcher);
      const [a, b, c] = watchers.map(([, watcher]) => watcher) as [
        RecordingWatcher,
        RecordingWatcher,
        RecordingWatcher,
      ];
      await until(() => a.updates.length === 1 && b.updates.length === 1);
      expect(a.plain).to.deep.equal({ a: 'accepted' });
      expect(b.updates[0]?.removed).to.deep.equal(['b']);
      sources.subscribe(eds, source as ConfigSource, undefined, ['c'], c);
      await until(() => c.updates.length > 0);
      expect(c.plain).to.deep.equal({ c: 'accepted' });
      swap(path, json([anyOf(eds, 'b')]));
      await until(() => b.plain.b === 'accepted');
      expect(a.updates.at(-1)?.removed).to.deep.equal(['a']);
    });

    it('are found again when their folder was gone', async () => {
      const nested = join(folder, 'config');
      mkdirSync(nested);
      const path = join(nested, 'cds.yaml');
      writeFileSync(path, json([anyOf(cds, 'a')]));
      const { watcher, log } = watch(path, ', poll_interval: 0.05s');
      await until(() => watcher.updates.length === 1);
      rmSync(nested, { recursive: true });
      await until(() => log.lines.some((line) => line.includes('cannot be used')));
      expect(watcher.plain).to.deep.equal({ a: 'accepted' });
      mkdirSync(nested);
      writeFileSync(path, json([anyOf(cds, 'b')]));
      await until(() => watcher.updates.length === 2);
      expect(watcher.plain).to.deep.equal({ b: 'accepted' });
    });
  });
});
