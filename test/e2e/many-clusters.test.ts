import { expect } from 'chai';
import { adsBootstrap } from '../support/ads-bootstrap.js';
import { GoControlPlane, type ReceivedRequest } from '../support/go-control-plane.js';
import { type Pontoon, startPontoon } from '../support/pontoon.js';
import { bridgeClusterResource } from '../support/resources.js';
import { until } from '../support/until.js';

const library = 'test/fixtures/plugins/stamp.ts';
const cdsUrl = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
const count = 10_000;
/** Every tenth is a bridge; the others are such as a mesh sends besides. */
const bridges = count / 10;

for (const variant of ['SOTW', 'DELTA'] as const) {
  describe(`${count} clusters from go-control-plane, ${variant}`, () => {
    let controlPlane: GoControlPlane;
    let pontoon: Pontoon;
    before(async function () {
      GoControlPlane.require(this);
      controlPlane = await GoControlPlane.start();
    });
    after(async () => {
      await pontoon?.stop();
      await controlPlane?.close();
    });

    /** All the same but for the one that has `value`. Returns what `acks` counts from. */
    async function push(version: string, changed: number, value: number): Promise<number> {
      const clusters = Array.from({ length: count }, (_, index) => {
        const config = { version: index === changed ? value : 0 };
        const bridge = bridgeClusterResource({
          name: `cluster-${index}`,
          ports: [1],
          library,
          plugin: 'whole',
          config,
        });
        return index % 10 === 0 ? bridge : { ...bridge, upstream_config: undefined };
      });
      return await controlPlane.putSnapshot({ version, nodeId: 'many', resources: { clusters } });
    }

    it('decodes and judges the one that changed', async function () {
      this.timeout(120_000);
      await push('1', 0, 0);
      pontoon = await startPontoon({
        bootstrap: adsBootstrap({ variant, address: controlPlane.address, nodeId: 'many' }),
        args: ['-l', 'warning'],
      });
      const active = () => pontoon.stat('cluster_manager.active_clusters');
      await until('all clusters', async () => (await active()) === bridges || undefined, 60_000);
      const isAck = ({ ack, type_url }: ReceivedRequest) => ack === 'ack' && type_url === cdsUrl;
      await controlPlane.waitForRequest(isAck, 0, 60_000);
      expect(await pontoon.stat('xds.cds.judged')).to.equal(count);

      await controlPlane.waitForRequest(isAck, await push('2', count - 10, 1), 60_000);
      expect(await pontoon.stat('xds.cds.judged')).to.equal(count + 1);
      // This one takes the change before it back: two clusters changed.
      await controlPlane.waitForRequest(isAck, await push('3', 50, 1), 60_000);
      expect(await pontoon.stat('xds.cds.judged')).to.equal(count + 1 + 2);
      expect(await pontoon.stat('cluster_manager.cluster_modified')).to.equal(3);
      expect(await active()).to.equal(bridges);
    });
  });
}
