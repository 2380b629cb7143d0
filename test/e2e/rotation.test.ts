import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { type Authority, type Certificate, createAuthority } from '../support/certificates.js';
import { GoControlPlane } from '../support/go-control-plane.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource, listenerResource, routesResource } from '../support/resources.js';
import { type GatewayCredentials, type SecureGateway, startSecureGateway } from '../support/secure-gateway.js';
import { lengthPrefixed } from '../support/static-bootstrap.js';
import {
  adsSecret,
  downstreamTls,
  inline,
  secretResource,
  tlsCertificate,
  tlsConnection,
  tlsRequest,
  upstreamTls,
  withTransportSocket,
} from '../support/tls-config.js';
import { startTlsEchoServer, type TlsEchoServer } from '../support/tls-server.js';
import { until } from '../support/until.js';

const rounds = 50;
const nodeId = 'rotation';

/** A folder as the kubelet keeps it: names are links into `..data`, which is a link that is replaced. */
function kubernetesFolder(folder: string, names: readonly string[]) {
  let version = 0;
  mkdirSync(folder);
  for (const name of names) symlinkSync(join('..data', name), join(folder, name));
  return (files: Readonly<Record<string, string>>): void => {
    const before = `..v${version}`;
    const next = `..v${++version}`;
    mkdirSync(join(folder, next));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, next, name), text);
    symlinkSync(next, join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    rmSync(join(folder, before), { recursive: true, force: true });
  };
}

/** Who is trusted and who one is, at one time: authorities overlap, as in any rotation that works. */
interface Round {
  readonly number: number;
  readonly bundle: string;
  issue(names: readonly string[]): Certificate;
}

function createRounds(): (number: number) => Round {
  const authorities: Authority[] = [];
  const authority = (index: number): Authority => {
    authorities[index] ??= createAuthority(`CA ${index}`);
    return authorities[index];
  };
  return (number) => ({
    number,
    bundle: [authority(number), authority(number + 1), authority(number + 2)].map(({ cert }) => cert).join(''),
    issue: (names) => authority(number + 1).issue(names),
  });
}

const serialOf = ({ cert }: Certificate) => new X509Certificate(cert).serialNumber.toLowerCase();

/** Requests on connections that are kept, and others in bursts on new ones, until `stop`, which tells what failed. */
function createLoad(port: number, identity: () => Certificate & { readonly ca: string }) {
  const failures: string[] = [];
  let stopped = false;
  let done = 0;
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  const kept = identity();
  async function ask(options: Certificate & { readonly ca: string; readonly agent?: Agent }): Promise<void> {
    const text = `request ${done}`;
    const answer = await tlsRequest(port, { ...options, body: text }).catch((error: Error) => ({
      status: 0,
      body: error.message,
    }));
    if (answer.status === 200 && answer.body === text) done++;
    else failures.push(`${answer.status} ${answer.body}`);
  }
  const onKept = async (): Promise<void> => {
    while (!stopped) {
      await ask({ ...kept, agent });
      await sleep(5);
    }
  };
  const inBursts = async (): Promise<void> => {
    while (!stopped) {
      await Promise.all([ask(identity()), ask(identity()), ask(identity())]);
      // Long enough for connections to the server to be idle: the next burst opens new ones.
      await sleep(120);
    }
  };
  const running = [onKept(), onKept(), inBursts()];
  return {
    get done() {
      return done;
    },
    /** The certificates that the kept connections were made with. */
    keptConnections: () => Object.values(agent.sockets).concat(Object.values(agent.freeSockets)).flat().length,
    async stop(): Promise<readonly string[]> {
      stopped = true;
      await Promise.all(running);
      agent.destroy();
      return failures;
    },
  };
}

const modes = [
  { name: 'google_grpc with a token, SotW, in one process', service: 'google', apiType: 'GRPC', flags: [] },
  {
    name: 'envoy_grpc, Delta, with two workers',
    service: 'envoy',
    apiType: 'DELTA_GRPC',
    flags: ['--concurrency', '2'],
  },
] as const;

for (const { name, service, apiType, flags } of modes)
  describe(`every certificate, authority and token is rotated ${rounds} times under load: ${name}`, function () {
    this.timeout(180_000);
    const hasToken = service === 'google';
    let folder: string;
    let controlPlane: GoControlPlane;
    let gateway: SecureGateway;
    let server: TlsEchoServer;
    let pontoon: Pontoon;

    before(function () {
      GoControlPlane.require(this);
    });
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'pontoon-rotation-'));
    });
    afterEach(async () => {
      await pontoon?.stop('SIGKILL');
      await gateway?.close();
      await controlPlane?.close();
      await server?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    const file = (path: string) => ({ filename: join(folder, path) });
    const mounted = () => ({
      certificate: {
        certificate_chain: file('mount/cert.pem'),
        private_key: file('mount/key.pem'),
        watched_directory: { path: join(folder, 'mount') },
      },
      validation: { trusted_ca: file('mount/ca.pem'), watched_directory: { path: join(folder, 'mount') } },
    });
    /** Connections to servers are closed when they are idle, so that there are always new ones. */
    const cluster = (clusterName: string, port: number, socket: object) => ({
      ...bridgeClusterResource({ name: clusterName, ports: [port], ...lengthPrefixed }),
      // The servers are in the process of the clients, which is busy.
      connect_timeout: '20s',
      transport_socket: socket,
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
          common_http_protocol_options: { idle_timeout: '0.05s' },
          explicit_http_config: { http_protocol_options: {} },
        },
      },
    });
    const listener = (listenerName: string, routes: object, socket: object) => {
      const plain = JSON.stringify(listenerResource(listenerName, listenerName, 'routes'));
      return withTransportSocket(
        JSON.parse(plain.replace(/"rds":\{.*?\}\}/, JSON.stringify(routes).slice(1, -1))),
        socket,
      );
    };
    const grpcService = (port: number) => {
      const retry_policy = { retry_back_off: { base_interval: '0.02s', max_interval: '0.2s' } };
      const credentials = {
        target_uri: `127.0.0.1:${port}`,
        stat_prefix: 'xds',
        channel_credentials: {
          ssl_credentials: {
            root_certs: file('plane/ca.pem'),
            cert_chain: file('plane/cert.pem'),
            private_key: file('plane/key.pem'),
          },
        },
        credentials_factory_name: 'envoy.grpc_credentials.file_based_metadata',
        call_credentials: [
          {
            from_plugin: {
              name: 'envoy.grpc_credentials.file_based_metadata',
              typed_config: {
                '@type': 'type.googleapis.com/envoy.config.grpc_credential.v3.FileBasedMetadataConfig',
                secret_data: file('plane/token'),
                header_prefix: 'Bearer ',
              },
            },
          },
        ],
      };
      if (hasToken) return { google_grpc: credentials, retry_policy };
      return { envoy_grpc: { cluster_name: 'xds', retry_policy } };
    };
    const bootstrap = (planePort: number, serverPort: number) =>
      stringify({
        node: { id: nodeId, cluster: 'test' },
        admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
        dynamic_resources: {
          ads_config: { api_type: apiType, transport_api_version: 'V3', grpc_services: [grpcService(planePort)] },
          cds_config: { ads: {}, resource_api_version: 'V3' },
          lds_config: { ads: {}, resource_api_version: 'V3' },
        },
        static_resources: {
          clusters: [
            cluster(
              'from-files',
              serverPort,
              upstreamTls({ tls_certificates: [mounted().certificate], validation_context: mounted().validation }),
            ),
            {
              name: 'xds',
              connect_timeout: '1s',
              load_assignment: {
                cluster_name: 'xds',
                endpoints: [
                  {
                    lb_endpoints: [
                      { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: planePort } } } },
                    ],
                  },
                ],
              },
              transport_socket: upstreamTls({
                tls_certificates: [{ certificate_chain: file('plane/cert.pem'), private_key: file('plane/key.pem') }],
                validation_context: { trusted_ca: file('plane/ca.pem') },
              }),
            },
          ],
          listeners: [
            listener(
              'files',
              { route_config: routesResource('static', { '/': 'from-files' }) },
              downstreamTls(
                { tls_certificates: [mounted().certificate], validation_context: mounted().validation },
                { require_client_certificate: true },
              ),
            ),
          ],
        },
      });
    const snapshot = ({ number, bundle }: Round, certificate: Certificate) => ({
      version: `v${number}`,
      nodeId,
      resources: {
        clusters: [
          cluster(
            'from-sds',
            server.port,
            upstreamTls({
              tls_certificate_sds_secret_configs: [adsSecret('ours')],
              validation_context_sds_secret_config: adsSecret('trusted'),
            }),
          ),
        ],
        listeners: [
          listener(
            'sds',
            { rds: { route_config_name: 'routes', config_source: { ads: {}, resource_api_version: 'V3' } } },
            downstreamTls(
              {
                tls_certificate_sds_secret_configs: [adsSecret('ours')],
                validation_context_sds_secret_config: adsSecret('trusted'),
              },
              { require_client_certificate: true },
            ),
          ),
        ],
        routes: [routesResource('routes', { '/': 'from-sds' })],
        secrets: [
          secretResource('ours', { tls_certificate: tlsCertificate(certificate) }),
          secretResource('trusted', { validation_context: { trusted_ca: inline(bundle) } }),
        ],
      },
    });

    it('no request fails, and the last ones are used', async () => {
      const roundOf = createRounds();
      const mount = kubernetesFolder(join(folder, 'mount'), ['cert.pem', 'key.pem', 'ca.pem']);
      const plane = kubernetesFolder(join(folder, 'plane'), ['cert.pem', 'key.pem', 'ca.pem', 'token']);
      let current = roundOf(0);
      let client = current.issue(['client-0']);
      const serverOptions = () => ({ ...current.issue(['server.test']), ca: current.bundle });
      const gatewayWants = (): GatewayCredentials => ({
        certificate: current.issue(['xds', '127.0.0.1']),
        clientCa: current.bundle,
        authorization: hasToken ? `Bearer token-${current.number}` : undefined,
      });

      /** All that Pontoon reads is written; then peers go on to the next round, too. */
      async function rotate(number: number) {
        current = roundOf(number);
        const [sds, files, toPlane] = ['sds', 'files', 'plane'].map((who) => current.issue([`${who}-${number}`])) as [
          Certificate,
          Certificate,
          Certificate,
        ];
        mount({ 'cert.pem': files.cert, 'key.pem': files.key, 'ca.pem': current.bundle });
        plane({
          'cert.pem': toPlane.cert,
          'key.pem': toPlane.key,
          'ca.pem': current.bundle,
          token: `token-${number}\n`,
        });
        await controlPlane.putSnapshot(snapshot(current, sds));
        return { sds: serialOf(sds), files: serialOf(files), plane: serialOf(toPlane) };
      }

      controlPlane = await GoControlPlane.start(['-ads=false']);
      server = await startTlsEchoServer({ ...serverOptions(), requestCert: true, rejectUnauthorized: true });
      const serials = await rotate(0);
      gateway = await startSecureGateway(controlPlane.address, gatewayWants());
      pontoon = await startPontoon({ bootstrap: bootstrap(gateway.port, server.port), args: [...flags] });
      const [sdsPort, filesPort] = (await Promise.all([pontoon.listener('sds'), pontoon.listener('files')])).map(
        (url) => Number(new URL(url).port),
      ) as [number, number];

      const identity = () => ({ ...client, ca: current.bundle });
      async function shown(port: number): Promise<string> {
        const socket = await tlsConnection(port, identity());
        const { serialNumber } = socket.getPeerCertificate();
        socket.destroy();
        return serialNumber.toLowerCase();
      }
      let seen = 0;
      const seenByServer = new Set<string>();
      async function isUsed(expected: typeof serials): Promise<true | undefined> {
        for (; seen < server.sockets.length; seen++)
          seenByServer.add(server.sockets[seen]?.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? '');
        if (!gateway.serials.includes(expected.plane)) return undefined;
        if (!seenByServer.has(expected.sds) || !seenByServer.has(expected.files)) return undefined;
        return (await shown(sdsPort)) === expected.sds && (await shown(filesPort)) === expected.files
          ? true
          : undefined;
      }

      const loads = [createLoad(sdsPort, identity), createLoad(filesPort, identity)];
      await until('the first ones', () => isUsed(serials));
      for (let number = 1; number <= rounds; number++) {
        const next = await rotate(number);
        client = current.issue([`client-${number}`]);
        server.rotate(serverOptions());
        gateway.rotate(gatewayWants());
        await until(`round ${number}`, () => isUsed(next));
      }
      for (const load of loads) {
        expect(load.done).to.be.greaterThan(rounds * 4);
        expect(load.keptConnections()).to.equal(2);
        expect(await load.stop()).to.deep.equal([]);
      }
      expect(gateway.authorizations.at(-1)).to.equal(gatewayWants().authorization);
      // The last authorities count, and the first ones no longer.
      const stranger = { ...roundOf(0).issue(['client-0']), ca: current.bundle };
      const newest = { ...roundOf(rounds + 1).issue(['client-51']), ca: current.bundle };
      for (const port of [sdsPort, filesPort]) {
        expect((await tlsRequest(port, { ...newest, body: 'x' })).status).to.equal(200);
        const refused = await tlsRequest(port, { ...stranger, body: 'x' }).then(
          () => undefined,
          (error: Error) => error,
        );
        expect(refused).to.be.an('error');
      }
      expect(await pontoon.stat('cluster.from-sds.ssl.connection_error')).to.equal(0);
      expect(await pontoon.stat('cluster.from-files.ssl.connection_error')).to.equal(0);
    });
  });
