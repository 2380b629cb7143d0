import { expect } from 'chai';
import { systemClock } from '../../src/clock.js';
import type { Verdict } from '../../src/model/verdict.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { createStatsStore } from '../../src/stats/create-store.js';
import { type AdsClient, channelDefaults, createAdsClient } from '../../src/xds/ads-client.js';
import type { ResourceType } from '../../src/xds/resource-type.js';
import { GoControlPlane, type ReceivedRequest } from '../support/go-control-plane.js';
import { cdsUrl, edsUrl, RecordingWatcher, recordingLog, until, type VariantName, variants } from './harness.js';

const schema = loadSchema();

/** The model of a cluster is its alt_stat_name, of which `bad` is rejected. */
const clusterType: ResourceType<string> = {
  typeUrl: cdsUrl,
  shortName: 'cds',
  fullState: true,
  statPrefix: 'cluster_manager.cds',
  nameOf: (bytes) => schema.decode<{ name: string }>('envoy.config.cluster.v3.Cluster', bytes).name,
  async judge({ bytes }): Promise<Verdict<string>> {
    const { alt_stat_name: model } = schema.decode<{ alt_stat_name: string }>('envoy.config.cluster.v3.Cluster', bytes);
    if (model === 'bad') return { kind: 'rejected', problems: [{ path: 'alt_stat_name', message: 'must not be bad' }] };
    return { kind: 'active', model, warnings: [] };
  },
};

const endpointType: ResourceType<string> = {
  typeUrl: edsUrl,
  shortName: 'eds',
  fullState: false,
  nameOf: (bytes) =>
    schema.decode<{ cluster_name: string }>('envoy.config.endpoint.v3.ClusterLoadAssignment', bytes).cluster_name,
  judge: async ({ version }) => ({ kind: 'active', model: version, warnings: [] }),
};

function cluster(name: string, value: string) {
  return {
    name,
    alt_stat_name: value,
    type: 'EDS',
    connect_timeout: '1s',
    eds_cluster_config: { eds_config: { ads: {} } },
  };
}

/** A client whose node has the clusters `a` and `b` to begin with, and which watches the endpoints of all its clusters. */
class Subject {
  static #count = 0;
  readonly nodeId = `node-${Subject.#count++}`;
  readonly stats = createStatsStore();
  readonly endpoints = new Map<string, RecordingWatcher>();
  readonly clusters: RecordingWatcher;
  readonly client: AdsClient;
  readonly #watches = new Map<string, { close(): void }>();

  constructor(
    variant: VariantName,
    readonly controlPlane: GoControlPlane,
  ) {
    this.client = createAdsClient({
      variant,
      channel: { ...channelDefaults, addresses: () => [controlPlane.address] },
      node: { id: this.nodeId, cluster: 'c', locality: { region: 'r', zone: '', subZone: '' }, metadata: {} },
      version: '0.1.0',
      codec: schema,
      stats: this.stats,
      log: recordingLog(),
      clock: systemClock,
      random: () => 0.1,
    });
    this.clusters = new RecordingWatcher(15_000, ({ changed, removed }) => {
      for (const { name } of changed) this.#watchEndpoints(name);
      for (const name of removed) {
        this.#watches.get(name)?.close();
        this.#watches.delete(name);
        this.endpoints.delete(name);
      }
    });
  }

  async start(): Promise<void> {
    await this.push('1', { a: 'x', b: 'x' });
    this.client.subscribe(clusterType, 'wildcard', this.clusters);
    this.client.start();
    await this.warm(2);
    await this.request(isAck(cdsUrl));
    await this.request(isAck(edsUrl));
  }

  /** Sets the clusters, each with empty endpoints. Returns the number of the last request before. */
  async push(version: string, clusters: Record<string, string>): Promise<number> {
    const names = Object.keys(clusters);
    // Before the snapshot is there: an answer may come sooner than the reply to who set it.
    const last = (await this.controlPlane.acks()).at(-1)?.seq ?? 0;
    await this.controlPlane.putSnapshot({
      version,
      nodeId: this.nodeId,
      resources: {
        clusters: names.map((name) => cluster(name, clusters[name] as string)),
        endpoints: names.map((name) => ({ cluster_name: name, endpoints: [] })),
      },
    });
    return last;
  }

  /** Resolves when there are so many clusters, each with its endpoints. */
  async warm(count: number): Promise<void> {
    await until(
      () => this.endpoints.size === count && [...this.endpoints.values()].every(({ state }) => state.size === 1),
    );
  }

  async request(condition: (request: ReceivedRequest) => boolean, since = 0): Promise<ReceivedRequest> {
    return await this.controlPlane.waitForRequest((one) => one.node_id === this.nodeId && condition(one), since);
  }

  #watchEndpoints(name: string): void {
    if (this.#watches.has(name)) return;
    const watcher = new RecordingWatcher(15_000);
    this.endpoints.set(name, watcher);
    this.#watches.set(name, this.client.subscribe(endpointType, [name], watcher));
  }
}

const isAck = (typeUrl: string) => (request: ReceivedRequest) => request.type_url === typeUrl && request.ack === 'ack';

for (const variant of variants) {
  describe(`xDS from go-control-plane, ${variant}`, () => {
    let controlPlane: GoControlPlane;
    let subject: Subject;
    before(async function () {
      GoControlPlane.require(this);
      controlPlane = await GoControlPlane.start();
    });
    after(() => controlPlane?.close());
    beforeEach(async () => {
      subject = new Subject(variant, controlPlane);
      await subject.start();
    });
    afterEach(() => subject.client.close());

    it('brings clusters and their endpoints', async () => {
      expect(subject.clusters.plain).to.deep.equal({ a: 'x', b: 'x' });
      const first = await subject.request(() => true);
      expect(first).to.deep.include({ kind: variant.toLowerCase(), type_url: cdsUrl, user_agent: 'pontoon' });
    });

    it('brings a change, an addition and a removal', async () => {
      const seq = await subject.push('2', { b: 'y', c: 'y' });
      await subject.request(isAck(cdsUrl), seq);
      expect(subject.clusters.plain).to.deep.equal({ b: 'y', c: 'y' });
      await subject.warm(2);
      expect([...subject.endpoints.keys()].toSorted()).to.deep.equal(['b', 'c']);
    });

    it('is told what is wrong, without a tight loop, takes the rest and recovers', async () => {
      let seq = await subject.push('2', { a: 'bad', b: 'z' });
      const nack = await subject.request(({ ack }) => ack === 'nack', seq);
      expect(nack.error_detail).to.contain('a: alt_stat_name: must not be bad');
      expect(nack.error_code).to.equal(13);
      expect(subject.clusters.plain).to.deep.equal({ a: 'x', b: 'z' });
      expect([...subject.client.states(cdsUrl)].find(({ name }) => name === 'a')).to.deep.include({
        status: 'rejected',
      });
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      const nacks = (await controlPlane.acks(seq)).filter(({ ack }) => ack === 'nack');
      expect(nacks.length).to.be.at.most(4);
      seq = await subject.push('3', { a: 'w', b: 'z' });
      await subject.request(isAck(cdsUrl), seq);
      expect(subject.clusters.plain).to.deep.equal({ a: 'w', b: 'z' });
    });

    it('stops, changes its mind and starts again', async () => {
      const judged = subject.stats.counter('xds.cds.judged').value;
      await controlPlane.stopGrpc();
      await until(() => !subject.client.connected);
      expect(subject.clusters.plain).to.deep.equal({ a: 'x', b: 'x' });
      const seq = await subject.push('2', { b: 'x', c: 'x' });
      await controlPlane.startGrpc();
      const first = await subject.request(({ type_url }) => type_url === cdsUrl, seq);
      if (variant === 'SOTW') expect(first.version_info).to.equal('1');
      else expect(Object.keys(first.initial_resource_versions ?? {}).toSorted()).to.deep.equal(['a', 'b']);
      await subject.request(isAck(cdsUrl), seq);
      expect(subject.clusters.plain).to.deep.equal({ b: 'x', c: 'x' });
      await subject.warm(2);
      expect(subject.stats.counter('xds.cds.judged').value).to.equal(judged + 1);
    });
  });
}
