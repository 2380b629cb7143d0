import { expect } from 'chai';
import { echoService, type Provider, requireDubbo, startProvider } from '../../support/dubbo.js';
import { ClientConnection, type ClientResponse } from '../../support/load/client-connection.js';
import { bridgeCluster, httpListener, type Pontoon, startPontoon } from '../../support/pontoon.js';
import { staticBootstrap } from '../../support/static-bootstrap.js';
import { until } from '../../support/until.js';

const previousHosts = 'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate';
const retryPolicy = `retry_policy: {retry_on: "connect-failure,reset", num_retries: 2, retry_host_predicate: [{name: envoy.retry_host_predicates.previous_hosts, typed_config: {"@type": type.googleapis.com/${previousHosts}}}]}`;
const toBridge = 'routes: [{match: {prefix: /}, route: {cluster: bridge}}]';
/** The host `silent` does not ask for the number of attempts. */
const routes = `route_config: {name: routes, virtual_hosts: [{name: silent, domains: [silent], ${retryPolicy}, ${toBridge}}, {name: all, domains: ["*"], include_request_attempt_count: true, include_attempt_count_in_response: true, ${retryPolicy}, ${toBridge}}]}`;
/** All calls on a lost connection are retried at once: three, the default, are too few. */
const breakers = 'circuit_breakers: {thresholds: [{max_retries: 100}]},';

const config = {
  interface: echoService,
  generic: 'raw.return',
  attachments: { headers: { 'x-envoy-attempt-count': 'attempt' } },
  routes: [
    { path: '/echo/{text}', method: 'echoString', idempotent: true, parameters: [{ name: 'text', type: 'String' }] },
    { path: '/attachments', method: 'attachments', idempotent: true, parameters: [] },
    // Slow, so that a provider ends with some of them done and not answered.
    {
      path: '/note/{text}/{ms}',
      method: 'noteAndSleep',
      parameters: [
        { name: 'text', type: 'String' },
        { name: 'ms', type: 'int' },
      ],
    },
  ],
};

describe('plugins/dubbo, failover', function () {
  this.timeout(120_000);
  let one: Provider;
  let two: Provider;
  /** Those of its earlier lives included. */
  const started: Provider[] = [];
  let pontoon: Pontoon;
  let address: { readonly host: string; readonly port: number };

  async function provide(name: string, port = 0): Promise<Provider> {
    // Its port opens when all is there.
    const provider = await startProvider(name, port, ['-Dpeer.single=true']);
    started.push(provider);
    return provider;
  }

  before(async function () {
    await requireDubbo(this);
    [one, two] = await Promise.all([provide('one'), provide('two')]);
    const bridge = { library: 'plugins/dubbo/index.ts', plugin: 'dubbo', config: JSON.stringify(config) };
    pontoon = await startPontoon({
      bootstrap: staticBootstrap({
        clusters: [bridgeCluster({ name: 'bridge', ports: [one.port, two.port], ...bridge, extra: breakers })],
        listeners: [httpListener('http', 'ingress', routes)],
      }),
    });
    const { hostname, port } = new URL(await pontoon.listener('http'));
    address = { host: hostname, port: Number(port) };
  });
  after(async () => {
    await pontoon?.stop('SIGKILL');
    await Promise.all(started.map((provider) => provider.kill()));
  });

  /** One client, request by request, until `done`. */
  async function client(
    name: string,
    done: () => boolean,
    next: (text: string) => { readonly path: string; check(response: ClientResponse): void },
  ): Promise<void> {
    let connection: ClientConnection | undefined;
    const unexpected: Error[] = [];
    for (let sent = 0; !done(); sent++) {
      connection ??= new ClientConnection(address, (error) => void unexpected.push(error));
      const { path, check } = next(`${name}-${sent}`);
      const response = await connection.exchange([`POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n`]);
      check(response);
      if (response.headers.get('connection') === 'close') connection = undefined;
      // A JVM needs the processor, too.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    connection?.halfClose();
    expect(unexpected).to.deep.equal([]);
  }

  const attempts = (response: ClientResponse): number => Number(response.headers.get('x-envoy-attempt-count'));

  it('no idempotent call fails, and no other is done twice, while a provider is lost, leaves and comes back', async () => {
    let over = false;
    const ended = (): boolean => over;
    let calls = 0;
    let again = 0;
    const idempotent = (name: string): Promise<void> =>
      client(name, ended, (text) => {
        const attachments = calls++ % 4 === 0;
        return {
          path: attachments ? '/attachments' : `/echo/${text}`,
          check(response) {
            const body = response.body.toString();
            expect(response.status, body).to.equal(200);
            if (attachments) expect(JSON.parse(body).attempt).to.equal(response.headers.get('x-envoy-attempt-count'));
            else expect(body).to.equal(`"${text}"\n`);
            expect(attempts(response)).to.be.within(1, 3);
            if (attempts(response) > 1) again++;
          },
        };
      });
    const notes = new Map<string, number>();
    const note = (name: string): Promise<void> =>
      client(name, ended, (text) => ({
        path: `/note/${text}/20`,
        check: ({ status }) => void notes.set(text, status),
      }));
    const running = Promise.all([...['a', 'b', 'c', 'd', 'e', 'f'].map(idempotent), ...['g', 'h', 'i', 'j'].map(note)]);
    const pause = async (): Promise<void> => {
      const from = calls;
      await until('more calls', () => (calls >= from + 100 ? true : undefined), 30_000);
    };
    const script = (async () => {
      for (const end of ['kill', 'stop'] as const) {
        await pause();
        await one[end]();
        await pause();
        one = await provide(`one after ${end}`, one.port);
      }
      await pause();
    })().finally(() => {
      over = true;
    });
    await Promise.all([running, script]);

    expect(again).to.be.above(0);
    expect(await pontoon.stat('cluster.bridge.upstream_rq_retry_success')).to.be.at.least(again);
    expect(await pontoon.stat('cluster.bridge.upstream_rq_retry_overflow')).to.equal(0);
    const written = () =>
      started.flatMap((provider) => [...provider.log().matchAll(/^note (\S+)$/gm)].map(([, text]) => text as string));
    const answered = [...notes].flatMap(([text, status]) => (status === 200 ? [text] : []));
    // What a provider writes is on its way yet when it has answered.
    await until('the line of each call that was answered', () => {
      const done = new Set(written());
      return answered.every((text) => done.has(text)) || undefined;
    });
    const all = written();
    expect(all.filter((text, index) => all.indexOf(text) !== index)).to.deep.equal([]);
    expect([...new Set(notes.values())].filter((status) => status !== 200 && status !== 503)).to.deep.equal([]);
    expect(notes.size).to.be.above(100);
  });

  it('who does not ask is not told of attempts', async () => {
    const connection = new ClientConnection(address, () => undefined);
    const request = 'POST /attachments HTTP/1.1\r\nhost: silent\r\ncontent-length: 0\r\n\r\n';
    const { status, headers, body } = await connection.exchange([request]);
    connection.close();
    expect(status).to.equal(200);
    expect(headers.has('x-envoy-attempt-count')).to.equal(false);
    expect(JSON.parse(body.toString())).not.to.have.property('attempt');
  });
});
