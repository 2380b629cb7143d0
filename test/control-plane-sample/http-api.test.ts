import { request } from 'node:http';
import { expect } from 'chai';
import { type RunningControlPlane, startControlPlane } from '../../control-plane-sample/control-plane.js';
import { createLogging } from '../../src/log.js';

describe('control-plane-sample: HTTP API', () => {
  let controlPlane: RunningControlPlane;
  before(async () => {
    controlPlane = await startControlPlane({
      resources: { clusters: [{ name: 'a' }] },
      port: 0,
      httpPort: 0,
      log: createLogging('off').logger('test'),
    });
  });
  after(() => controlPlane.close());
  beforeEach(() => call('DELETE', '/resources'));

  const call = async (method: string, path: string, body?: string) => {
    const response = await fetch(`http://127.0.0.1:${controlPlane.httpPort}${path}`, { method, body });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it('pushes, shows and takes back resources', async () => {
    const pushed = await call('PUT', '/resources?type=clusters&name=my.yaml', 'name: b\ntype: STRICT_DNS');
    expect(pushed).to.deep.include({ status: 200 });
    expect(pushed.body).to.deep.include({ added: ['clusters/b'], changed: [], removed: [] });
    const { body } = await call('GET', '/snapshot');
    expect(body.version).to.equal(pushed.body.version);
    const [type] = body.types as { type_url: string; resources: object[] }[];
    expect(type?.type_url).to.equal('type.googleapis.com/envoy.config.cluster.v3.Cluster');
    expect(type?.resources[1]).to.deep.include({ name: 'b', source: 'pushed: my.yaml' });
    expect(type?.resources[1]).to.have.nested.property('resource.type', 'STRICT_DNS');

    expect((await call('DELETE', '/resources?type=clusters&name=a')).body).to.deep.include({ removed: ['clusters/a'] });
    expect((await call('DELETE', '/resources')).body).to.deep.include({
      added: ['clusters/a'],
      removed: ['clusters/b'],
    });
  });

  const refused: [string, string, string | undefined, number, RegExp][] = [
    ['PUT', '/resources', 'name: x', 422, /what type of resource/],
    ['PUT', '/resources?type=clusters', 'name: x\ntype: NOPE', 422, /^pushed:2:7: clusters "x": type: unknown value/],
    ['PUT', '/resources?type=clusters', '', 422, /empty/],
    [
      'PUT',
      '/resources?type=clusters',
      'name: x\ntype: EDS\neds_cluster_config: {eds_config: {ads: {}}}',
      422,
      /no such resource in endpoints/,
    ],
    ['PUT', '/resources?type=nope', 'name: x', 400, /unknown type "nope"/],
    ['PUT', '/resources?type=clusters', `name: ${'x'.repeat(5 * 1024 * 1024)}`, 413, /4194304 bytes at most/],
    ['DELETE', '/resources?type=clusters&name=none', undefined, 422, /there is no resource "none" in clusters/],
    ['DELETE', '/resources?type=clusters', undefined, 400, /give both/],
    ['GET', '/events?since=x', undefined, 400, /since is the number/],
    ['POST', '/snapshot', '', 404, /there are GET \/snapshot/],
    ['GET', '/', undefined, 404, /there are GET \/snapshot/],
  ];
  for (const [method, path, body, status, error] of refused) {
    it(`answers ${status} to ${method} ${path}${body ? ` with ${body.slice(0, 30).replace(/\n/g, ' ')}` : ''}`, async () => {
      const before = (await call('GET', '/snapshot')).body.version;
      const answer = await call(method, path, body);
      expect(answer.status).to.equal(status);
      expect(answer.body.error).to.match(error);
      expect((await call('GET', '/snapshot')).body.version).to.equal(before);
    });
  }

  it('refuses requests under another name (DNS rebinding)', async () => {
    const status = await new Promise((resolve, reject) => {
      request(
        { port: controlPlane.httpPort, host: '127.0.0.1', path: '/snapshot', headers: { host: 'evil.example' } },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      )
        .on('error', reject)
        .end();
    });
    expect(status).to.equal(403);
  });

  it('streams events, first those that are asked for', async () => {
    const abort = new AbortController();
    const since = controlPlane.events.lastSeq;
    await call('PUT', '/resources?type=routes', 'name: one');
    const response = await fetch(`http://127.0.0.1:${controlPlane.httpPort}/events?since=${since}`, {
      signal: abort.signal,
    });
    expect(response.headers.get('content-type')).to.equal('application/x-ndjson');
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = (await reader?.read())?.value ?? '';
    await call('PUT', '/resources?type=routes', 'name: two');
    while (text.split('\n').length < 3) text += (await reader?.read())?.value ?? '';
    abort.abort();
    await reader?.read().catch(() => undefined);
    const events = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { seq: number; added: string[] });
    expect(events.map(({ added }) => added)).to.deep.equal([['routes/one'], ['routes/two']]);
    expect(events.map(({ seq }) => seq)).to.deep.equal([since + 1, since + 2]);
  });

  it('takes a limited number of event readers', async () => {
    const abort = new AbortController();
    const open = () => fetch(`http://127.0.0.1:${controlPlane.httpPort}/events`, { signal: abort.signal });
    const readers = await Promise.all(Array.from({ length: 40 }, open));
    abort.abort();
    expect(readers.filter(({ status }) => status === 200)).to.have.length(32);
    expect(readers.filter(({ status }) => status === 503)).to.have.length(8);
  });
});
