import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { type Metadata, ServerCredentials, status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { loadBootstrap } from '../../src/bootstrap/load.js';
import { bootstrapReport } from '../../src/bootstrap/report.js';
import { systemClock } from '../../src/clock.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { createConfigSources } from '../../src/server/config-sources.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { type Authority, type Certificate, createAuthority } from '../support/certificates.js';
import { type ScriptedStream, ScriptedXdsServer } from '../support/scripted-xds-server.js';
import { cdsUrl, RecordingWatcher, recordingLog, respond, testType, until } from '../xds/harness.js';

const schema = loadSchema();
const inline = (pem: string) => JSON.stringify({ inline_string: pem });

/** TLS to the cluster `xds`; `common` is YAML of CommonTlsContext in one line. */
const tls = (common: string, more = '') =>
  `transport_socket: { name: tls, typed_config: { "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, common_tls_context: ${common}${more} } }`;

describe('credentials to a control plane', () => {
  let folder: string;
  let authority: Authority;
  let own: Certificate;
  const open: { close(): void }[] = [];
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pontoon-credentials-'));
    authority = createAuthority();
    own = authority.issue(['xds.example.com', '127.0.0.1', 'spiffe://td/xds', '*.wild.example.com']);
  });
  after(() => rmSync(folder, { recursive: true }));
  afterEach(() => {
    for (const each of open.splice(0)) each.close();
  });

  const file = (name: string, content: string): string => {
    const path = join(folder, name);
    // Rotated as tools do: never half a file.
    writeFileSync(`${path}.tmp`, content);
    renameSync(`${path}.tmp`, path);
    return path;
  };
  const serverCredentials = (certificate: Certificate, clientCa?: string) =>
    ServerCredentials.createSsl(
      clientCa === undefined ? null : Buffer.from(clientCa),
      [{ private_key: Buffer.from(certificate.key), cert_chain: Buffer.from(certificate.cert) }],
      clientCa !== undefined,
    );
  async function serve(credentials?: ServerCredentials): Promise<ScriptedXdsServer> {
    const server = await ScriptedXdsServer.start(credentials);
    open.push({ close: () => server.stop() });
    return server;
  }

  function yamlOf(options: { port: number; cluster?: string; service?: string; secrets?: string }): string {
    return `
node: { id: n, cluster: c }
dynamic_resources:
  ads_config: { api_type: GRPC, transport_api_version: V3, grpc_services: [${options.service ?? '{ envoy_grpc: { cluster_name: xds } }'}] }
  cds_config: { ads: {} }
static_resources:
  secrets: [${options.secrets ?? ''}]
  clusters:
    - name: xds
      connect_timeout: 1s
      load_assignment: { cluster_name: xds, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${options.port} } } } }] }] }
      ${options.cluster ?? ''}
`;
  }
  function connect(yamlText: string) {
    const loaded = loadBootstrap({ schema, yamlText });
    if (!loaded.ok) throw new Error(bootstrapReport(loaded).join('\n'));
    const log = recordingLog();
    const sources = createConfigSources({
      bootstrap: loaded.bootstrap,
      schema,
      version: '1.2.3',
      clock: systemClock,
      stats: createStatsStore(),
      log,
    });
    open.push(sources);
    const watcher = new RecordingWatcher();
    sources.start();
    sources.subscribe(
      testType(cdsUrl, true, 'cluster_manager.cds'),
      { kind: 'ads', initialFetchTimeoutMs: 0 },
      undefined,
      'wildcard',
      watcher,
    );
    return { log, watcher };
  }
  async function works(stream: ScriptedStream, watcher: RecordingWatcher, name: string): Promise<void> {
    await stream.next();
    respond(stream, { version: name, nonce: name, resources: { [name]: '1' } });
    expect((await stream.next()).response_nonce).to.equal(name);
    expect(watcher.plain).to.have.property(name);
  }

  const trusted = () => `trusted_ca: ${inline(authority.cert)}`;
  const hash = () => new X509Certificate(own.cert).fingerprint256;
  const spki = () =>
    createHash('sha256')
      .update(new X509Certificate(own.cert).publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64');

  const accepted: [title: string, validation: () => string][] = [
    ['a certificate of the CA', trusted],
    [
      'an exact DNS name',
      () => `${trusted()}, match_typed_subject_alt_names: [{ san_type: DNS, matcher: { exact: xds.example.com } }]`,
    ],
    [
      'a name below a wildcard',
      () => `${trusted()}, match_typed_subject_alt_names: [{ san_type: DNS, matcher: { exact: a.wild.example.com } }]`,
    ],
    [
      'a URI, of several that may be',
      () =>
        `${trusted()}, match_typed_subject_alt_names: [{ san_type: DNS, matcher: { exact: no } }, { san_type: URI, matcher: { prefix: "spiffe://td/" } }]`,
    ],
    [
      'an IP address',
      () => `${trusted()}, match_typed_subject_alt_names: [{ san_type: IP_ADDRESS, matcher: { exact: 127.0.0.1 } }]`,
    ],
    [
      'a name in the old field',
      () => `${trusted()}, match_subject_alt_names: [{ safe_regex: { regex: "spiffe://.*" } }]`,
    ],
    ['a hash of the certificate', () => `${trusted()}, verify_certificate_hash: ["${hash()}"]`],
    ['a hash of the key', () => `${trusted()}, verify_certificate_spki: ["${spki()}"]`],
  ];
  for (const [title, validation] of accepted)
    it(`takes ${title}`, async () => {
      const server = await serve(serverCredentials(own));
      const { watcher } = connect(
        yamlOf({ port: server.port, cluster: tls(`{ validation_context: { ${validation()} } }`) }),
      );
      await works(await server.nextStream(), watcher, 'a');
    });

  it('takes any certificate where nothing is to be checked', async () => {
    const server = await serve(serverCredentials(own));
    const { watcher } = connect(yamlOf({ port: server.port, cluster: tls('{}') }));
    await works(await server.nextStream(), watcher, 'a');
  });

  const refused: [title: string, validation: () => string, said: RegExp][] = [
    [
      'another CA',
      () => `trusted_ca: ${inline(createAuthority('other').cert)}`,
      /self.signed|unable to verify|local issuer|signature/i,
    ],
    [
      'another name',
      () => `${trusted()}, match_typed_subject_alt_names: [{ san_type: DNS, matcher: { exact: other.example.com } }]`,
      /none of the subject alternative names .*DNS:xds.example.com/,
    ],
    [
      'a fitting name of another kind',
      () => `${trusted()}, match_typed_subject_alt_names: [{ san_type: URI, matcher: { exact: xds.example.com } }]`,
      /none of the subject alternative names/,
    ],
    ['another hash', () => `${trusted()}, verify_certificate_hash: ["${'0'.repeat(64)}"]`, /neither the hash/],
  ];
  for (const [title, validation, said] of refused)
    it(`refuses ${title}`, async () => {
      const server = await serve(serverCredentials(own));
      const { log, watcher } = connect(
        yamlOf({ port: server.port, cluster: tls(`{ validation_context: { ${validation()} } }`) }),
      );
      await until(() => log.lines.some((line) => said.test(line)));
      expect(watcher.updates).to.deep.equal([]);
    });

  it('sends the server name and the versions that are configured, and speaks h2', async () => {
    const seen = new Promise<{ servername: string | false | undefined; protocol: string | null; alpn: unknown }>(
      (resolve) => {
        const server = createTlsServer({ cert: own.cert, key: own.key, ALPNProtocols: ['h2'] }, (socket) => {
          resolve({
            servername: (socket as unknown as { servername?: string | false }).servername,
            protocol: socket.getProtocol(),
            alpn: socket.alpnProtocol,
          });
          socket.on('error', () => {});
        });
        server.listen(0, '127.0.0.1', () => {
          open.push(server as Server);
          const { port } = server.address() as { port: number };
          const params = 'tls_params: { tls_maximum_protocol_version: TLSv1_2 }';
          connect(yamlOf({ port, cluster: tls(`{ ${params} }`, ', sni: istiod.example.com') }));
        });
      },
    );
    expect(await seen).to.deep.equal({ servername: 'istiod.example.com', protocol: 'TLSv1.2', alpn: 'h2' });
  });

  it('reads client certificates and CAs anew when they were rotated', async () => {
    const clients = createAuthority('clients');
    const server = await serve(serverCredentials(own, clients.cert));
    const write = (issuer: Authority, ca: Authority) => {
      const client = issuer.issue(['client']);
      return [file('cert.pem', client.cert), file('key.pem', client.key), file('ca.pem', ca.cert)];
    };
    const [cert, key, ca] = write(clients, authority);
    const common = `{ tls_certificates: [{ certificate_chain: { filename: ${cert} }, private_key: { filename: ${key} } }], validation_context: { trusted_ca: { filename: ${ca} } } }`;
    const { log, watcher } = connect(yamlOf({ port: server.port, cluster: tls(common) }));
    await works(await server.nextStream(), watcher, 'a');
    // Everything is another one: the server's certificate, and the CA of clients.
    const [others, otherServers] = [createAuthority('other clients'), createAuthority('other servers')];
    server.stop();
    server.credentials = serverCredentials(otherServers.issue(['xds']), others.cert);
    await server.start();
    await until(() => log.lines.length > 1);
    write(others, otherServers);
    await works(await server.nextStream(), watcher, 'b');
  });

  it('finds secrets in the bootstrap, and in files that SDS names', async () => {
    const clients = createAuthority('clients');
    const client = clients.issue(['client']);
    const server = await serve(serverCredentials(own, clients.cert));
    const secretType = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
    const path = file(
      'sds.yaml',
      JSON.stringify({
        resources: [
          { '@type': secretType, name: 'other' },
          {
            '@type': secretType,
            name: 'mine',
            tls_certificate: {
              certificate_chain: { inline_string: client.cert },
              private_key: { filename: file('sds.key', client.key) },
            },
          },
        ],
      }),
    );
    const common =
      `{ tls_certificate_sds_secret_configs: [{ name: mine, sds_config: { path_config_source: { path: ${path} } } }], ` +
      `combined_validation_context: { default_validation_context: { match_typed_subject_alt_names: [{ san_type: URI, matcher: { exact: "spiffe://td/xds" } }] }, ` +
      `validation_context_sds_secret_config: { name: cp_validation_ctx } } }`;
    const secrets = `{ name: cp_validation_ctx, validation_context: { ${trusted()} } }`;
    const { watcher } = connect(yamlOf({ port: server.port, cluster: tls(common), secrets }));
    await works(await server.nextStream(), watcher, 'a');
  });

  const google = (more: string) =>
    `{ google_grpc: { target_uri: "127.0.0.1:PORT", stat_prefix: ads, channel_credentials: { ssl_credentials: { root_certs: ${inline(authority.cert)} } }, ${more} } }`;

  it('reads a token anew when the old one has expired', async () => {
    const token = file('token', 'first\n');
    const server = await serve(serverCredentials(own));
    let valid = 'Bearer first';
    const sent: unknown[] = [];
    server.admit = (metadata: Metadata) => {
      sent.push(metadata.get('authorization')[0]);
      return sent.at(-1) === valid ? undefined : { code: status.UNAUTHENTICATED, details: 'token expired' };
    };
    const service = google(
      `credentials_factory_name: envoy.grpc_credentials.file_based_metadata, call_credentials: [{ from_plugin: { name: envoy.grpc_credentials.file_based_metadata, typed_config: { "@type": type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig, secret_data: { filename: ${token} }, header_prefix: "Bearer " } } }]`,
    ).replace('PORT', String(server.port));
    const { log, watcher } = connect(yamlOf({ port: server.port, service }));
    const stream = await server.nextStream();
    await works(stream, watcher, 'a');
    valid = 'Bearer second';
    stream.fail(status.UNAUTHENTICATED, 'token expired');
    await until(() => server.refused >= 1);
    expect(log.lines.some((line) => line.includes('UNAUTHENTICATED: token expired'))).to.equal(true);
    expect(watcher.plain).to.have.property('a');
    // The file is away for a moment: that is one more attempt that fails.
    rmSync(token);
    await until(() => log.lines.some((line) => line.includes('there is no file')));
    file('token', 'second\n');
    await works(await server.nextStream(), watcher, 'b');
    expect(watcher.plain).to.deep.equal({ b: '1' });
  });

  it('sends an access token, and metadata from the environment', async () => {
    const server = await serve(serverCredentials(own));
    process.env.PONTOON_TEST_TENANT = 'tenant-1';
    try {
      const service = google('call_credentials: [{ access_token: t }]')
        .replace('PORT', String(server.port))
        .replace(/ }$/, ', initial_metadata: [{ key: x-tenant, value: "%ENVIRONMENT(PONTOON_TEST_TENANT)%/100%%" }] }');
      connect(yamlOf({ port: server.port, service }));
      const { metadata } = await server.nextStream();
      expect(metadata.get('authorization')).to.deep.equal(['Bearer t']);
      expect(metadata.get('x-tenant')).to.deep.equal(['tenant-1/100%']);
    } finally {
      process.env.PONTOON_TEST_TENANT = undefined;
    }
  });

  it('checks the host name where google_grpc has TLS', async () => {
    const other = authority.issue(['other.example.com']);
    const server = await serve(serverCredentials(other));
    const service = google('').replace('PORT', String(server.port));
    const { log } = connect(yamlOf({ port: server.port, service }));
    await until(() => log.lines.some((line) => /127.0.0.1.* is not in the cert/.test(line)));
  });

  it('is told in the bootstrap what cannot be', () => {
    const refusals: [change: Parameters<typeof yamlOf>[0], said: RegExp][] = [
      [
        { port: 1, cluster: tls('{ validation_context: { trusted_ca: { filename: /no/ca.pem } } }') },
        /clusters\[0\].transport_socket.typed_config.common_tls_context.validation_context.trusted_ca: there is no file \/no\/ca.pem/,
      ],
      [
        { port: 1, cluster: tls('{ validation_context: { match_subject_alt_names: [{ exact: a }] } }') },
        /validation_context: checks of the certificate need trusted_ca/,
      ],
      [
        { port: 1, cluster: tls('{ validation_context_sds_secret_config: { name: x } }') },
        /name: static_resources.secrets has no validation x \(only: none\)/,
      ],
      [
        { port: 1, cluster: tls('{ validation_context_sds_secret_config: { name: x, sds_config: { ads: {} } } }') },
        /sds_config: not supported: the connection to a control plane cannot wait for a secret of one/,
      ],
      [{ port: 1, cluster: tls('{ tls_params: { cipher_suites: [no-such-cipher] } }') }, /tls_params: .*cipher/i],
      [
        {
          port: 1,
          service:
            '{ google_grpc: { target_uri: "a:1", stat_prefix: s, channel_credentials: { google_default: {} } } }',
        },
        /google_grpc.channel_credentials.google_default: not supported/,
      ],
      [
        {
          port: 1,
          service: '{ google_grpc: { target_uri: "a:1", stat_prefix: s, call_credentials: [{ access_token: t }] } }',
        },
        /call_credentials: would be sent in plain text/,
      ],
      [
        { port: 1, service: '{ google_grpc: { target_uri: "a:1", stat_prefix: s, credentials_factory_name: mine } }' },
        /credentials_factory_name: not supported: mine is not loaded/,
      ],
      [
        {
          port: 1,
          service: '{ envoy_grpc: { cluster_name: xds }, initial_metadata: [{ key: a, value: "%REQ(x)%" }] }',
        },
        /initial_metadata\[0\].value: not supported: %REQ% has no meaning/,
      ],
    ];
    for (const [change, said] of refusals) {
      const lines = bootstrapReport(loadBootstrap({ schema, yamlText: yamlOf(change) }));
      expect(lines.join('\n')).to.match(said);
    }
  });

  it('goes through the endpoints of a cluster in turn, those of a lower priority last', async () => {
    const [one, two, three] = [await serve(), await serve(), await serve()];
    const dead = createServer();
    await new Promise<void>((resolve) => dead.listen(0, '127.0.0.1', resolve));
    const { port } = dead.address() as { port: number };
    await new Promise((resolve) => dead.close(resolve));
    const endpoint = (of: number) =>
      `{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${of} } } } }`;
    const localities = `[{ lb_endpoints: [${endpoint(one.port)}, ${endpoint(port)}, ${endpoint(two.port)}] }, { priority: 1, lb_endpoints: [${endpoint(three.port)}] }]`;
    const yaml = yamlOf({ port: 1 }).replace(/endpoints: \[\{ lb_endpoints.*\}\] \}$/m, `endpoints: ${localities} }`);
    const { watcher } = connect(yaml);
    const used = new Set<ScriptedXdsServer>();
    const next = async (live: ScriptedXdsServer[]) => {
      await until(() => live.some(({ unclaimed }) => unclaimed > 0));
      const server = live.find(({ unclaimed }) => unclaimed > 0) as ScriptedXdsServer;
      used.add(server);
      return await server.nextStream();
    };
    // Streams that end are made again at the next endpoint that lives.
    for (let round = 0; round < 4; round++) {
      const stream = await next([one, two, three]);
      await works(stream, watcher, `r${round}`);
      if (round < 3) stream.end();
    }
    expect([...used]).to.have.members([one, two]);
    one.stop();
    two.stop();
    await until(() => three.unclaimed > 0);
    await works(await three.nextStream(), watcher, 'last');
  });
});
