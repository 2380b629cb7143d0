import { expect } from 'chai';
import { systemClock } from '../../src/clock.js';
import type { HttpConnectionManager } from '../../src/model/listener.js';
import type { RouteConfiguration } from '../../src/model/route.js';
import { compileRouteTable } from '../../src/routing/route-table.js';
import type { JudgedRoutes } from '../../src/server/resource-types.js';
import { createRouteConfigs } from '../../src/server/route-configs.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import type { ResourceUpdate } from '../../src/xds/resource-type.js';
import { testLog } from '../bridge/harness.js';

const none = { add: [], remove: [] };
const config = (name: string): RouteConfiguration => ({
  name,
  virtualHosts: [],
  ignorePortInHostMatching: false,
  maxDirectResponseBodySizeBytes: 4096,
  requestHeaders: none,
  responseHeaders: none,
});
const manager = (routes: HttpConnectionManager['routes']) => ({ statPrefix: 'in', routes }) as HttpConnectionManager;
const rds = manager({ kind: 'rds', name: 'a:b', source: { initialFetchTimeoutMs: 1000 } as never });

type Update = Partial<ResourceUpdate<JudgedRoutes>>;

function open() {
  const stats = createStatsStore();
  let send: (update: ResourceUpdate<JudgedRoutes>) => unknown = () => undefined;
  let fail = (): void => undefined;
  let closed = 0;
  const routes = createRouteConfigs({
    stats,
    log: testLog(),
    clock: systemClock,
    subscribe(name, _source, watcher) {
      expect(name).to.equal('a:b');
      send = (update) => watcher.onUpdate(update, () => undefined);
      fail = () => watcher.onConnectionFailure?.();
      return { close: () => closed++ };
    },
  }).open(rds);
  let ready = false;
  void routes.ready?.then(() => {
    ready = true;
  });
  return {
    routes,
    send: (update: Update) =>
      send({ cause: 'response', version: '1', changed: [], removed: [], rejected: [], unchanged: [], ...update }),
    fail: () => fail(),
    isReady: async () => {
      await Promise.resolve();
      await Promise.resolve();
      return ready;
    },
    closed: () => closed,
    stat: (name: string) => stats.counters.get(`http.in.rds.a_b.${name}`)?.value,
  };
}

function accepted(name: string) {
  const model: JudgedRoutes = { config: config(name), table: compileRouteTable(config(name)) };
  const verdict = { kind: 'active' as const, model, warnings: [] };
  return { table: model.table, changed: [{ name: 'a:b', version: '1', bytes: new Uint8Array(), verdict }] };
}

describe('route configurations', () => {
  it('inline ones are there at once', () => {
    const routes = createRouteConfigs({
      stats: createStatsStore(),
      log: testLog(),
      clock: systemClock,
      subscribe: () => expect.fail('it needs no control plane'),
    }).open(manager({ kind: 'inline', config: config('inline') }));
    expect(routes.ready).to.equal(undefined);
    expect(routes.current()).to.not.equal(undefined);
    routes.close();
  });

  it('by RDS: ready with the first one, and each later one replaces it', async () => {
    const { routes, send, isReady, stat, closed } = open();
    expect([routes.current(), await isReady()]).to.deep.equal([undefined, false]);
    const first = accepted('first');
    send({ changed: first.changed });
    expect([routes.current() === first.table, await isReady()]).to.deep.equal([true, true]);
    const second = accepted('second');
    send({ changed: second.changed });
    expect(routes.current()).to.equal(second.table);
    expect([stat('update_attempt'), stat('update_success'), stat('config_reload')]).to.deep.equal([3, 2, 2]);
    routes.close();
    expect([closed(), stat('update_attempt')]).to.deep.equal([1, undefined]);
  });

  it('a lost control plane is counted, and changes nothing', async () => {
    const { routes, send, fail, isReady, stat } = open();
    fail();
    expect([stat('update_attempt'), stat('update_failure'), await isReady()]).to.deep.equal([2, 1, false]);
    const { table, changed } = accepted('first');
    send({ changed });
    fail();
    expect([routes.current() === table, stat('update_failure')]).to.deep.equal([true, 2]);
  });

  const withoutRoutes: { name: string; update: Update; counter: string }[] = [
    { name: 'a rejected one', update: { rejected: [{ name: 'a:b', problems: [] }] }, counter: 'update_rejected' },
    {
      name: 'none in time',
      update: { cause: 'initial_fetch_timeout', removed: ['a:b'] },
      counter: 'init_fetch_timeout',
    },
    { name: 'one that does not exist', update: { removed: ['a:b'] }, counter: 'update_empty' },
  ];
  for (const { name, update, counter } of withoutRoutes) {
    it(`${name} ends the wait, counts, and leaves what was there`, async () => {
      const { routes, send, isReady, stat } = open();
      send(update);
      expect([routes.current(), await isReady(), stat(counter)]).to.deep.equal([undefined, true, 1]);
      const good = accepted('good');
      send({ changed: good.changed });
      send(update);
      expect([routes.current() === good.table, stat(counter)]).to.deep.equal([true, 2]);
    });
  }
});
