import { once } from 'node:events';
import { connect as connectPlain, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect } from 'chai';
import { stringify } from 'yaml';
import { type Authority, createAuthority } from '../support/certificates.js';
import { type RunningEnvoy, requireEnvoy, startEnvoy } from '../support/envoy.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { downstreamTls, tlsCertificate } from '../support/tls-config.js';
import { until } from '../support/until.js';

/** How a client connects. */
interface Probe {
  /** In plain text unless set. */
  readonly tls?: { readonly servername?: string; readonly alpn?: readonly string[] };
  /** The client's own address. */
  readonly from?: string;
  readonly fromPort?: number;
  readonly to?: string;
}

interface Case {
  readonly title: string;
  /** Name of the chain → its match; `tls:` before the name: it speaks TLS. */
  readonly chains: Readonly<Record<string, object | undefined>>;
  readonly fallback?: string;
  readonly inspector?: boolean;
  /** Each client, and the chain that serves it; `none`: it is sent away. */
  readonly probes: readonly (readonly [Probe, string])[];
}

const sni = (servername?: string, alpn?: readonly string[]): Probe => ({
  tls: { ...(servername && { servername }), ...(alpn && { alpn }) },
});
const plain: Probe = {};
const range = (address_prefix: string, prefix_len: number) => ({ address_prefix, prefix_len });

const cases: readonly Case[] = [
  {
    title: 'server names: exact, below a wildcard, any',
    chains: {
      'tls:exact': { server_names: ['a.test', 'A.other.TEST'] },
      'tls:below': { server_names: ['*.test'] },
      'tls:deep': { server_names: ['*.b.test'] },
      'tls:any': { transport_protocol: 'tls' },
    },
    probes: [
      [sni('a.test'), 'exact'],
      [sni('A.TEST'), 'exact'],
      [sni('a.other.test'), 'exact'],
      [sni('x.test'), 'below'],
      [sni('x.y.test'), 'below'],
      [sni('x.b.test'), 'deep'],
      [sni('b.test'), 'below'],
      [sni('test'), 'any'],
      [sni('a.example'), 'any'],
      [sni(), 'any'],
      [plain, 'none'],
    ],
  },
  {
    title: 'plain text and TLS on one port, and a default',
    chains: { 'tls:encrypted': { server_names: ['a.test'] }, plain: { transport_protocol: 'raw_buffer' } },
    fallback: 'tls:default',
    probes: [
      [plain, 'plain'],
      [sni('a.test'), 'encrypted'],
      [sni('b.test'), 'default'],
      [sni(), 'default'],
    ],
  },
  {
    title: 'no chain fits',
    chains: { 'tls:a': { server_names: ['a.test'] } },
    probes: [
      [sni('a.test'), 'a'],
      [sni('b.test'), 'none'],
      [plain, 'none'],
    ],
  },
  {
    title: 'there is no way back to a chain that fits less well in an earlier criterion',
    chains: {
      'tls:name': { server_names: ['a.test'], application_protocols: ['h2'] },
      'tls:protocol': { application_protocols: ['http/1.1'] },
    },
    fallback: 'tls:default',
    probes: [
      [sni('a.test', ['h2', 'http/1.1']), 'name'],
      [sni('a.test', ['http/1.1']), 'default'],
      [sni('b.test', ['x', 'http/1.1']), 'protocol'],
      [sni('b.test'), 'default'],
    ],
  },
  {
    title: "application protocols, in the client's order",
    chains: {
      'tls:one': { application_protocols: ['one'] },
      'tls:two': { application_protocols: ['two', 'three'] },
      'tls:any': {},
    },
    probes: [
      [sni('a', ['two', 'one']), 'two'],
      [sni('a', ['one', 'two']), 'one'],
      [sni('a', ['four', 'three']), 'two'],
      [sni('a', ['four']), 'any'],
      [sni('a'), 'any'],
    ],
  },
  {
    title: 'nothing is known of TLS without the inspector',
    chains: { 'tls:name': { server_names: ['a.test'] }, 'tls:tls': { transport_protocol: 'tls' }, 'tls:any': {} },
    inspector: false,
    probes: [
      [sni('a.test'), 'any'],
      [sni(), 'any'],
    ],
  },
  {
    title: 'raw_buffer is what everything is without the inspector',
    chains: { 'tls:raw': { transport_protocol: 'raw_buffer' } },
    inspector: false,
    probes: [[sni('a.test'), 'raw']],
  },
  {
    title: 'addresses of the server: the longest prefix',
    chains: {
      wide: { prefix_ranges: [range('127.0.0.0', 8)] },
      narrow: { prefix_ranges: [range('127.0.0.2', 32), range('127.0.1.77', 24)] },
    },
    fallback: 'default',
    inspector: false,
    probes: [
      [plain, 'wide'],
      [{ to: '127.0.0.2' }, 'narrow'],
      [{ to: '127.0.1.3' }, 'narrow'],
      [{ to: '127.0.2.3' }, 'wide'],
    ],
  },
  {
    title: 'addresses and ports of the client',
    chains: {
      narrow: { source_prefix_ranges: [range('127.0.0.3', 32)] },
      wide: { source_prefix_ranges: [range('127.0.0.0', 24)] },
      direct: { direct_source_prefix_ranges: [range('127.0.4.0', 24)] },
    },
    fallback: 'default',
    inspector: false,
    probes: [
      [{ from: '127.0.0.3' }, 'narrow'],
      [{ from: '127.0.0.4' }, 'wide'],
      [{ from: '127.0.4.4' }, 'direct'],
      [{ from: '127.0.9.9' }, 'default'],
    ],
  },
  {
    title: 'kinds of clients',
    chains: { local: { source_type: 'SAME_IP_OR_LOOPBACK' }, external: { source_type: 'EXTERNAL' }, any: {} },
    inspector: false,
    probes: [
      [plain, 'local'],
      [{ to: '127.0.0.4' }, 'local'],
      // Another address of the loopback network is none of its own.
      [{ from: '127.0.0.3', to: '127.0.0.4' }, 'external'],
      [{ from: '127.0.0.3', to: '127.0.0.3' }, 'local'],
    ],
  },
  {
    title: 'only clients from elsewhere',
    chains: { external: { source_type: 'EXTERNAL' } },
    fallback: 'default',
    inspector: false,
    probes: [[plain, 'default']],
  },
];

/** Those that name the port that the listener is bound to. */
const portCases = (port: number): readonly Case[] => [
  {
    title: 'the port of the server comes first',
    chains: {
      here: { destination_port: port, source_prefix_ranges: [range('127.0.0.3', 32)] },
      there: { destination_port: port ^ 1 },
      any: {},
    },
    fallback: 'default',
    inspector: false,
    probes: [
      [{ from: '127.0.0.3' }, 'here'],
      // There is an entry for the port: the chain for all ports is not looked at.
      [plain, 'default'],
    ],
  },
  {
    title: 'the port of the server is another one',
    chains: { there: { destination_port: port ^ 1 }, any: {} },
    inspector: false,
    probes: [[plain, 'any']],
  },
];

/** All of them, each on a port of its own. */
const allCases = (portOf: (index: number) => number): readonly Case[] => [
  ...cases,
  ...portCases(0).map((_, index) => portCases(portOf(cases.length + index))[index] as Case),
];

const typed = (type: string, config: object = {}) => ({
  '@type': `type.googleapis.com/envoy.extensions.filters.${type}`,
  ...config,
});

function listenerOf(
  { title, chains, fallback, inspector = true }: Case,
  index: number,
  authority: Authority,
  port: number,
): object {
  const chain = (name: string, filter_chain_match?: object) => {
    const [, tls, plainName = ''] = /^(tls:)?(.*)$/.exec(name) ?? [];
    const route = { match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: plainName } } };
    return {
      name: plainName,
      ...(filter_chain_match && { filter_chain_match }),
      filters: [
        {
          name: 'http',
          typed_config: typed('network.http_connection_manager.v3.HttpConnectionManager', {
            stat_prefix: plainName,
            route_config: { name: plainName, virtual_hosts: [{ name: 'all', domains: ['*'], routes: [route] }] },
            http_filters: [{ name: 'router', typed_config: typed('http.router.v3.Router') }],
          }),
        },
      ],
      ...(tls && {
        transport_socket: downstreamTls({
          tls_certificates: [tlsCertificate(authority.issue([`${plainName}.chain`]))],
        }),
      }),
    };
  };
  return {
    name: title,
    stat_prefix: `case_${index}`,
    address: { socket_address: { address: '0.0.0.0', port_value: port } },
    ...(inspector && {
      listener_filters: [{ name: 'tls', typed_config: typed('listener.tls_inspector.v3.TlsInspector') }],
    }),
    filter_chains: Object.entries(chains).map(([name, match]) => chain(name, match)),
    ...(fallback && { default_filter_chain: chain(fallback) }),
  };
}

const bootstrapOf = (listeners: readonly object[]) =>
  stringify({
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 0 } } },
    static_resources: { listeners },
  });

/** Which chain has served a client: it says so, and its certificate, if it has one, too. */
async function probe(port: number, { tls, from, fromPort, to = '127.0.0.1' }: Probe): Promise<string> {
  const target = { host: to, port, ...(from && { localAddress: from }), ...(fromPort && { localPort: fromPort }) };
  const { servername, alpn } = tls ?? {};
  const socket: Socket = tls
    ? connectTls({
        ...target,
        rejectUnauthorized: false,
        ...(servername && { servername }),
        ...(alpn && { ALPNProtocols: [...alpn] }),
      })
    : connectPlain(target);
  let text = '';
  const bodyOf = () => /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n([\s\S]+)$/.exec(text)?.[1];
  socket.on('data', (data: Buffer) => {
    text += data.toString();
    if (bodyOf() !== undefined) socket.destroy();
  });
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await once(socket, 'close').catch(() => undefined);
  return bodyOf() ?? 'none';
}

const describeProbe = ({ tls, from, to }: Probe): string =>
  [tls ? `TLS ${JSON.stringify(tls)}` : 'plain', from && `from ${from}`, to && `to ${to}`].filter(Boolean).join(' ');

/** A port that no connection takes by itself, for a listener that has to know its own. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.on('error', () => resolve(false));
      server.listen(port, '0.0.0.0', () => resolve(true));
    });
    await new Promise((resolve) => server.close(resolve));
    if (isFree) return port;
  }
}

describe('filter chains', function () {
  this.timeout(60_000);
  let authority: Authority;
  before(() => {
    authority = createAuthority();
  });

  const titles = allCases(() => 0).map(({ title }) => title);
  const expected = ({ probes }: Case) => Object.fromEntries(probes.map(([each, name]) => [describeProbe(each), name]));
  async function results({ probes }: Case, port: number): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for (const [each] of probes) found[describeProbe(each)] = await probe(port, each);
    return found;
  }
  /** All cases, and a bootstrap for them. */
  async function prepare() {
    const own = (await freePort()) - cases.length;
    // Ports below those that the system gives away: two in a row are as good as one.
    const portOf = (index: number) => (index < cases.length ? 0 : own + index);
    const prepared = allCases(portOf);
    const bootstrap = bootstrapOf(prepared.map((each, index) => listenerOf(each, index, authority, portOf(index))));
    return { caseOf: (index: number) => prepared[index] as Case, bootstrap };
  }
  type Prepared = Awaited<ReturnType<typeof prepare>>;
  const portIn = (listeners: string, title: string) => {
    const line = listeners.split('\n').find((each) => each.startsWith(`${title}::`));
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(':') + 1));
  };

  describe('in Envoy', () => {
    let envoy: RunningEnvoy;
    let prepared: Prepared;
    before(async function () {
      const binary = await requireEnvoy(this);
      prepared = await prepare();
      envoy = await startEnvoy({ binary, bootstrapYaml: prepared.bootstrap });
    });
    after(() => envoy?.stop());
    for (const [index, title] of titles.entries())
      it(title, async () => {
        const one = prepared.caseOf(index);
        const port = await until('the listener', async () => portIn(await envoy.admin('/listeners'), title));
        expect(await results(one, port)).to.deep.equal(expected(one));
      });
  });

  for (const [mode, flags] of [
    ['in Pontoon', []],
    ['in Pontoon with two workers', ['--concurrency', '2']],
  ] as const)
    describe(mode, () => {
      let pontoon: Pontoon;
      let prepared: Prepared;
      before(async () => {
        prepared = await prepare();
        pontoon = await startPontoon({ bootstrap: prepared.bootstrap, args: flags });
      });
      after(() => pontoon?.stop('SIGKILL'));
      for (const [index, title] of titles.entries())
        it(title, async () => {
          const one = prepared.caseOf(index);
          const port = await until('the listener', async () => portIn(await pontoon.get('/listeners'), title));
          expect(await results(one, port)).to.deep.equal(expected(one));
          const stat = (name: string) => pontoon.stat(`listener.case_${index}.${name}`);
          const none = one.probes.filter(([, name]) => name === 'none').length;
          await until('the count', async () => ((await stat('no_filter_chain_match')) === none ? true : undefined));
          await until('none before its chain', async () =>
            (await stat('downstream_pre_cx_active')) === 0 ? true : undefined,
          );
        });
      it('counts what the inspector has found', async () => {
        const stats = async (name: string) => (await pontoon.stat(`tls_inspector.${name}`)) > 0;
        for (const name of ['tls_found', 'tls_not_found', 'sni_found', 'sni_not_found', 'alpn_found', 'alpn_not_found'])
          expect(await stats(name), name).to.equal(true);
      });
    });
});
