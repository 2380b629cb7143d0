import { once } from 'node:events';
import { connect } from 'node:net';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { type AdminServer, startAdminServer } from '../../src/admin/admin-server.js';
import { clustersEndpoint } from '../../src/admin/clusters.js';
import { configDumpEndpoint } from '../../src/admin/config-dump.js';
import { type AdminEndpoint, json, text } from '../../src/admin/endpoint.js';
import type { AdminSources } from '../../src/admin/sources.js';
import { statsEndpoints } from '../../src/admin/stats.js';
import { createLogging } from '../../src/log.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { defineStats } from '../../src/stats/group.js';
import type { ClusterStatus } from '../../src/upstream/cluster-manager.js';

const log = createLogging('off').logger('admin');
const group = defineStats({ counters: { total: 'total' }, gauges: { active: 'active' }, histograms: { time: 'time' } });

async function withServer(endpoints: readonly AdminEndpoint[], test: (port: number) => Promise<void>): Promise<void> {
  const address = { kind: 'tcp', address: '127.0.0.1', port: 0 } as const;
  const server: AdminServer = await startAdminServer({ address, endpoints, log });
  try {
    await test(server.address.kind === 'tcp' ? server.address.port : 0);
  } finally {
    await server.close();
  }
}

const get = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text();

describe('admin answers in pieces', () => {
  it('go no faster than they are read', async () => {
    const piece = `${'x'.repeat(64 * 1024 - 1)}\n`;
    const pieces = 1_000;
    let made = 0;
    let ended = false;
    function* body(): Generator<string> {
      try {
        for (; made < pieces; made++) {
          yield piece;
          yield '';
        }
      } finally {
        ended = true;
      }
    }
    const endpoint: AdminEndpoint = { path: '/large', method: 'GET', help: '', handle: () => text(body()) };
    await withServer([endpoint], async (port) => {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.pause();
      socket.write('GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
      // Until nothing more is made: the kernel's buffers are full, and nothing waits in ours.
      for (let before = -1; made === 0 || made > before; await sleep(100)) before = made;
      expect(made).to.be.lessThan(pieces / 4);
      let received = 0;
      for await (const chunk of socket) received += (chunk as Buffer).length;
      expect(made).to.equal(pieces);
      expect(received).to.be.greaterThan(pieces * piece.length);
      expect(ended).to.equal(true);
    });
  });

  it('are not made any further when their reader has gone', async () => {
    let made = 0;
    let ended = false;
    function* body(): Generator<string> {
      try {
        for (;;) {
          made++;
          yield 'x'.repeat(64 * 1024);
        }
      } finally {
        ended = true;
      }
    }
    const endpoint: AdminEndpoint = { path: '/endless', method: 'GET', help: '', handle: () => text(body()) };
    await withServer([endpoint], async (port) => {
      const socket = connect(port, '127.0.0.1');
      socket.write('GET /endless HTTP/1.1\r\nhost: x\r\n\r\n');
      await once(socket, 'data');
      socket.destroy();
      while (!ended) await setImmediate();
      expect(made).to.be.greaterThan(0);
    });
  });

  it('let others have their turn', async () => {
    let inBetween = 0;
    function* body(): Generator<string> {
      for (let i = 0; i < 20; i++) {
        for (const end = performance.now() + 3; performance.now() < end; );
        yield '';
      }
      yield 'done';
    }
    const endpoint: AdminEndpoint = { path: '/slow', method: 'GET', help: '', handle: () => text(body()) };
    await withServer([endpoint], async (port) => {
      const ticker = setInterval(() => inBetween++, 1);
      expect(await get(port, '/slow')).to.equal('done');
      clearInterval(ticker);
      expect(inBetween).to.be.greaterThan(5);
    });
  });

  for (const count of [0, 1, 3]) {
    it(`say what one string said: ${count} clusters`, async () => {
      const names = Array.from({ length: count }, (_, i) => `c${i}`);
      const bytes = Buffer.from('');
      const resource = { version: '1', bytes, lastUpdated: new Date(0) };
      const config = { statName: 's', circuitBreakers: { default: {}, high: {} }, discovery: { type: 'EDS' } };
      const statuses = names.map((name) => ({ name, origin: 'dynamic', active: { config }, shownHosts: [] }));
      const sources = {
        bootstrap: { bytes },
        startTime: new Date(0),
        clusters: () => statuses as unknown as Iterable<ClusterStatus>,
        versionInfo: () => '',
        dump: (kind: string) =>
          kind === 'clusters' ? names.map((name) => ({ name, origin: 'dynamic', active: resource })) : [],
      } as unknown as AdminSources;
      const stats = createStatsStore();
      for (const name of names.toReversed()) stats.scope(`cluster.${name}`).group(group).total.value = 2;
      stats.counter('cluster.c');
      const endpoints = [
        clustersEndpoint(sources),
        configDumpEndpoint(sources, (type) => ({ type })),
        ...statsEndpoints(stats),
      ];
      await withServer(endpoints, async (port) => {
        for (const path of ['/clusters?format=json', '/config_dump', '/config_dump?resource=dynamic_active_clusters']) {
          const body = await get(port, path);
          expect(body, path).to.equal(json(JSON.parse(body)).body);
        }
        const sorted = <T extends { readonly name: string }>(all: Iterable<T>) =>
          [...all].sort((a, b) => (a.name < b.name ? -1 : 1));
        const numbers = sorted([...stats.counters.values(), ...stats.gauges.values()]);
        const times = sorted(stats.histograms.values()).map(({ name }) => `${name}: No recorded values\n`);
        const lines = numbers.map(({ name, value }) => `${name}: ${value}\n`);
        expect(await get(port, '/stats')).to.equal([...lines, ...times].join(''));
        const { stats: shown } = JSON.parse(await get(port, '/stats?format=json')) as { stats: object[] };
        expect(shown.filter((each) => 'name' in each)).to.deep.equal(
          numbers.map(({ name, value }) => ({ name, value })),
        );
        expect(shown).to.have.lengthOf(numbers.length + (count > 0 ? 1 : 0));
      });
    });
  }
});
