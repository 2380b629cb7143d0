import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type ClientDuplexStream, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { createClientStatus } from '../../../src/admin/csds/client-status.js';
import { type CsdsServer, startCsdsServer } from '../../../src/admin/csds/csds-server.js';
import type { DumpedKind, DumpedResource } from '../../../src/admin/sources.js';
import { createLogging } from '../../../src/log.js';
import type { SocketAddress } from '../../../src/model/endpoint.js';
import { toJson } from '../../../src/protobuf/json.js';
import { loadSchema } from '../../../src/protobuf/schema.js';
import { type Grpcurl, requireGrpcurl } from '../../support/grpcurl.js';

const schema = loadSchema();
const log = createLogging('off').logger('csds');
const service = 'envoy.service.status.v3.ClientStatusDiscoveryService';
const clusterType = 'envoy.config.cluster.v3.Cluster';
const secretType = 'envoy.extensions.transport_sockets.tls.v3.Secret';
const time = new Date('2026-01-02T03:04:05.678Z');
const later = new Date('2026-01-02T03:05:00Z');
const iso = '2026-01-02T03:04:05.678Z';

const cluster = (name: string) => schema.encode(clusterType, { name });
const dynamic = (name: string, more: Partial<DumpedResource>): DumpedResource => ({ name, origin: 'dynamic', ...more });
const versionOf = (name: string, version: string) => ({ version, bytes: cluster(name), lastUpdated: time });
const shown = (name: string) => ({ '@type': `type.googleapis.com/${clusterType}`, name });

/** What is known of a cluster, and how it is told. */
const cases: readonly { title: string; resource: DumpedResource; told: Record<string, unknown> }[] = [
  {
    title: 'of the bootstrap',
    resource: { name: 'fixed', origin: 'static', active: versionOf('fixed', '') },
    told: { xds_config: shown('fixed'), last_updated: iso, is_static_resource: true },
  },
  {
    title: 'accepted',
    resource: dynamic('good', { active: versionOf('good', '1') }),
    told: { version_info: '1', xds_config: shown('good'), last_updated: iso, client_status: 'ACKED' },
  },
  {
    title: 'accepted with warnings',
    resource: dynamic('warned', { active: versionOf('warned', '1'), warnings: ['x: ignored', 'y: ignored'] }),
    told: {
      version_info: '1',
      xds_config: shown('warned'),
      last_updated: iso,
      client_status: 'ACKED',
      error_state: { details: 'warned: x: ignored; y: ignored' },
    },
  },
  {
    title: 'parked',
    resource: dynamic('parked', { active: versionOf('parked', '1'), parked: { reason: 'it has no bridge' } }),
    told: {
      version_info: '1',
      xds_config: shown('parked'),
      last_updated: iso,
      client_status: 'ACKED',
      error_state: { details: 'parked: it has no bridge' },
    },
  },
  {
    title: 'warming',
    resource: dynamic('warming', { warming: { ...versionOf('warming', '1'), waitingFor: ['endpoints'] } }),
    told: { version_info: '1', xds_config: shown('warming'), last_updated: iso, client_status: 'REQUESTED' },
  },
  {
    title: 'refused after a good version',
    resource: dynamic('bad', {
      active: versionOf('bad', '1'),
      error: { version: '2', details: 'name: no', lastAttempt: later, bytes: cluster('worse') },
    }),
    told: {
      version_info: '1',
      xds_config: shown('bad'),
      last_updated: iso,
      client_status: 'NACKED',
      error_state: {
        failed_configuration: shown('worse'),
        last_update_attempt: '2026-01-02T03:05:00Z',
        details: 'rejected: name: no',
        version_info: '2',
      },
    },
  },
  {
    title: 'refused from the first version on, in bytes that nobody can read',
    resource: dynamic('broken', {
      error: { version: '2', details: 'not a valid message', lastAttempt: later, bytes: Buffer.from([0xff]) },
    }),
    told: {
      client_status: 'NACKED',
      error_state: {
        failed_configuration: { '@type': `type.googleapis.com/${clusterType}` },
        last_update_attempt: '2026-01-02T03:05:00Z',
        details: 'rejected: not a valid message',
        version_info: '2',
      },
    },
  },
  {
    title: 'held from before',
    resource: dynamic('old', { active: versionOf('old', '1'), stale: true, warnings: ['x: ignored'] }),
    told: {
      version_info: '1',
      xds_config: shown('old'),
      last_updated: iso,
      client_status: 'REQUESTED',
      error_state: {
        details: 'stale: from a snapshot, no control plane has spoken of it since; warned: x: ignored',
      },
    },
  },
  {
    title: 'asked for',
    resource: dynamic('asked', { missing: { status: 'requested', since: undefined } }),
    told: { client_status: 'REQUESTED' },
  },
  {
    title: 'known not to exist',
    resource: dynamic('gone', { missing: { status: 'does_not_exist', since: time } }),
    told: { last_updated: iso, client_status: 'DOES_NOT_EXIST' },
  },
  {
    title: 'not told of in time',
    resource: dynamic('late', { missing: { status: 'timed_out', since: time } }),
    told: { last_updated: iso, client_status: 'TIMEOUT' },
  },
];

const secret: DumpedResource = {
  name: 'key',
  origin: 'dynamic',
  active: {
    version: '1',
    lastUpdated: time,
    bytes: schema.encode(secretType, {
      name: 'key',
      tls_certificate: { private_key: { inline_string: 'VERY PRIVATE' } },
    }),
  },
};

type Json = Record<string, unknown>;
interface Answer {
  readonly config: readonly { readonly node: Json; readonly generic_xds_configs?: readonly Json[] }[];
}
const identity = (bytes: Buffer) => bytes;
const request = (fields: object = {}) => schema.encode('envoy.service.status.v3.ClientStatusRequest', fields);
const read = (bytes: Buffer) => toJson(schema, 'envoy.service.status.v3.ClientStatusResponse', bytes) as Answer;

describe('CSDS', function () {
  this.timeout(30_000);
  const closers: (() => unknown)[] = [];
  let grpcurl: Grpcurl;
  before(async function () {
    grpcurl = await requireGrpcurl(this);
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  const localhost: SocketAddress = { kind: 'tcp', address: '127.0.0.1', port: 0 };

  async function start(
    resources: Partial<Record<DumpedKind, readonly DumpedResource[]>>,
    address = localhost,
  ): Promise<CsdsServer> {
    const sources = {
      node: schema.encode('envoy.config.core.v3.Node', { id: 'me' }),
      dump: (kind: DumpedKind) => resources[kind] ?? [],
    };
    const server = await startCsdsServer({ address, schema, write: createClientStatus({ schema, sources }), log });
    closers.push(() => server.close());
    return server;
  }
  function connect({ address }: CsdsServer): Client {
    const target = address.kind === 'pipe' ? `unix:${address.path}` : `127.0.0.1:${address.port}`;
    const client = new Client(target, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    });
    closers.push(() => client.close());
    return client;
  }
  const fetchStatus = (client: Client, bytes: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(`/${service}/FetchClientStatus`, identity, identity, bytes, (error, answer) =>
        error ? reject(error) : resolve(answer as Buffer),
      );
    });
  function stream(client: Client): ClientDuplexStream<Buffer, Buffer> {
    const call = client.makeBidiStreamRequest(`/${service}/StreamClientStatus`, identity, identity);
    call.on('error', () => undefined);
    return call as ClientDuplexStream<Buffer, Buffer>;
  }
  const codeOf = async (call: Promise<unknown>): Promise<string> =>
    call.then(
      () => 'OK',
      ({ code, details }: ServiceError) => `${status[code]}: ${details}`,
    );

  describe('tells of a resource', () => {
    for (const { title, resource, told } of cases) {
      it(title, async () => {
        const client = connect(await start({ clusters: [resource] }));
        const { config } = read(await fetchStatus(client, request()));
        expect(config).to.deep.equal([
          {
            node: { id: 'me' },
            generic_xds_configs: [{ type_url: `type.googleapis.com/${clusterType}`, name: resource.name, ...told }],
          },
        ]);
      });
    }

    it('of every type, by grpcurl as by a client with the proto files', async () => {
      const server = await start({ clusters: cases.map(({ resource }) => resource), secrets: [secret] });
      const address = `127.0.0.1:${server.address.kind === 'tcp' ? server.address.port : 0}`;
      expect(await grpcurl.run(address, 'list')).to.equal(`${service}\n`);
      const [answer] = (await grpcurl.call(address, `${service}/FetchClientStatus`, {})) as [
        { config: { genericXdsConfigs: Json[] }[] },
      ];
      const configs = answer.config[0]?.genericXdsConfigs ?? [];
      expect(configs.map(({ name, clientStatus = 'UNKNOWN' }) => [name, clientStatus])).to.deep.equal([
        ...cases.map(({ resource, told }) => [resource.name, told.client_status ?? 'UNKNOWN']),
        ['key', 'ACKED'],
      ]);
      expect(configs[1]?.xdsConfig).to.deep.equal(shown('good'));
      expect(configs.at(-1)?.xdsConfig).to.deep.equal({
        '@type': `type.googleapis.com/${secretType}`,
        name: 'key',
        tlsCertificate: { privateKey: { inlineString: '[redacted]' } },
      });
    });
  });

  it('hides what is secret, whoever reads it', async () => {
    const bytes = await fetchStatus(connect(await start({ secrets: [secret] })), request());
    expect(bytes.toString('latin1')).to.contain('[redacted]').and.not.to.contain('PRIVATE');
  });

  it('leaves contents out when asked to', async () => {
    const client = connect(await start({ clusters: cases.map(({ resource }) => resource) }));
    const [config] = read(await fetchStatus(client, request({ exclude_resource_contents: true }))).config;
    const expected = cases.map(({ resource, told: { xds_config: _, ...rest } }) => ({
      type_url: `type.googleapis.com/${clusterType}`,
      name: resource.name,
      ...JSON.parse(JSON.stringify(rest, (key, value) => (key === 'failed_configuration' ? undefined : value))),
    }));
    expect(config?.generic_xds_configs).to.deep.equal(expected);
  });

  it('answers each request of a stream with what is true then, and ends when the client does', async () => {
    const resources: DumpedResource[] = [];
    const call = stream(connect(await start({ clusters: resources })));
    const names = async () => {
      call.write(request());
      const [bytes] = (await once(call, 'data')) as [Buffer];
      return read(bytes).config.flatMap(({ generic_xds_configs: all = [] }) => all.map(({ name }) => name));
    };
    expect(await names()).to.deep.equal([]);
    resources.push(dynamic('one', { active: versionOf('one', '1') }));
    expect(await names()).to.deep.equal(['one']);
    resources.push(dynamic('two', { active: versionOf('two', '1') }));
    expect(await names()).to.deep.equal(['one', 'two']);
    const ended = once(call, 'status');
    call.end();
    expect(((await ended) as [{ code: number }])[0].code).to.equal(status.OK);
  });

  it('is served at a Unix socket, too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pontoon-csds-'));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    const server = await start({}, { kind: 'pipe', path: join(folder, 'csds.sock') });
    expect(read(await fetchStatus(connect(server), request())).config[0]?.node).to.deep.equal({ id: 'me' });
    const answer = await grpcurl.run(`unix:${join(folder, 'csds.sock')}`, 'list');
    expect(answer).to.equal(`${service}\n`);
  });

  it('describes by reflection every type that a resource may hold', async () => {
    const server = await start({});
    const address = `127.0.0.1:${server.address.kind === 'tcp' ? server.address.port : 0}`;
    for (const [symbol, text] of [
      ['envoy.config.route.v3.RouteConfiguration', '.envoy.config.route.v3.VirtualHost virtual_hosts = 2;'],
      ['envoy.config.endpoint.v3.ClusterLoadAssignment', 'map<string, .envoy.config.endpoint.v3.Endpoint>'],
      ['envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config', 'string library_id = 1;'],
      ['envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', 'oneof route_specifier'],
      ['envoy.config.core.v3.SocketAddress', 'oneof port_specifier'],
      ['google.protobuf.Struct', 'map<string, .google.protobuf.Value> fields = 1;'],
      ['envoy.admin.v3.ClientResourceStatus', 'TIMEOUT = 6;'],
    ] as const) {
      expect(await grpcurl.run(address, 'describe', symbol), symbol).to.contain(text);
    }
  });

  describe('refuses', () => {
    it('node_matchers, and what is no request', async () => {
      const client = connect(await start({}));
      const matchers = request({ node_matchers: [{ node_id: { exact: 'me' } }] });
      expect(await codeOf(fetchStatus(client, matchers))).to.match(
        /^INVALID_ARGUMENT: node_matchers are not supported/,
      );
      expect(await codeOf(fetchStatus(client, Buffer.from([0xff])))).to.match(/^INVALID_ARGUMENT: not a valid/);
      expect(await codeOf(fetchStatus(client, request())), 'afterwards').to.equal('OK');
    });

    it('requests of more than a mebibyte', async () => {
      const client = connect(await start({}));
      const large = request({ node: { id: 'x'.repeat(1024 * 1024) } });
      expect(await codeOf(fetchStatus(client, large))).to.match(/^RESOURCE_EXHAUSTED/);
    });

    it('more than 32 calls at a time, over all connections', async () => {
      const server = await start({});
      const clients = [connect(server), connect(server)];
      const calls = Array.from({ length: 32 }, (_, index) => stream(clients[index % 2] as Client));
      for (const call of calls) {
        call.write(request());
        await once(call, 'data');
      }
      expect(await codeOf(fetchStatus(clients[0] as Client, request()))).to.match(
        /^RESOURCE_EXHAUSTED: more than 32 calls at the same time/,
      );
      calls[0]?.cancel();
      calls[1]?.end();
      await once(calls[1] as ClientDuplexStream<Buffer, Buffer>, 'status');
      expect(await codeOf(fetchStatus(clients[0] as Client, request()))).to.equal('OK');
    });

    it('garbage for reflection, and goes on', async () => {
      const server = await start({});
      const client = connect(server);
      const call = client.makeBidiStreamRequest(
        '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        identity,
        identity,
      );
      call.on('error', () => undefined);
      call.on('data', () => undefined);
      call.write(Buffer.from([0xff]));
      const { code } = await new Promise<{ code: number }>((resolve) => call.once('status', resolve));
      expect(code).not.to.equal(status.OK);
      expect(await codeOf(fetchStatus(client, request()))).to.equal('OK');
    });
  });

  it('reads no further questions while nobody reads its answers', async () => {
    const server = await start({ clusters: cases.map(({ resource }) => resource) });
    const session = connectHttp2(`http://127.0.0.1:${server.address.kind === 'tcp' ? server.address.port : 0}`);
    closers.push(() => session.destroy());
    // host = 1, file_containing_symbol = 4; node = 2 with id = 1.
    const padding = Buffer.alloc(1000, 'x');
    const symbol = Buffer.from('envoy.config.listener.v3.Listener');
    const question = [Buffer.from([0x0a, 0xe8, 0x07]), padding, Buffer.from([0x22, symbol.length]), symbol];
    for (const [path, message] of [
      ['grpc.reflection.v1.ServerReflection/ServerReflectionInfo', Buffer.concat(question)],
      [`${service}/StreamClientStatus`, request({ node: { id: padding.toString() } })],
    ] as const) {
      const call = session.request({
        ':method': 'POST',
        ':path': `/${path}`,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      call.on('error', () => undefined);
      const length = Buffer.alloc(5);
      length.writeUInt32BE(message.length, 1);
      for (let i = 0; i < 1_000; i++) call.write(Buffer.concat([length, message]));
      await once(call, 'response');
      // Time enough to answer all of them.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(call.writableLength / message.length, path).to.be.above(500);
      call.destroy();
    }
  });

  it('lets other work go on while it writes ten thousand resources', async () => {
    const many = Array.from({ length: 10_000 }, (_, i) => dynamic(`c${i}`, { active: versionOf(`c${i}`, '1') }));
    const sources = { node: Buffer.alloc(0), dump: (kind: DumpedKind) => (kind === 'clusters' ? many : []) };
    const write = createClientStatus({ schema, sources });
    let turns = 0;
    let writing = true;
    const tick = () => {
      turns++;
      if (writing) setImmediate(tick);
    };
    setImmediate(tick);
    const bytes = await write(false);
    writing = false;
    expect(turns).to.be.above(5);
    expect(read(bytes).config[0]?.generic_xds_configs).to.have.length(10_000);
  });
});
