import { expect } from 'chai';
import type { ScriptedStream, XdsRequest } from '../support/scripted-xds-server.js';
import {
  cdsUrl,
  createHarness,
  edsUrl,
  type Harness,
  RecordingWatcher,
  respond,
  type TestType,
  testType,
  until,
  variants,
} from './harness.js';

const rdsUrl = 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration';

for (const variant of variants) {
  describe(`xDS types whose order counts, ${variant}`, () => {
    let h: Harness;
    let rds: TestType;
    let routes: RecordingWatcher;
    let stream: ScriptedStream;
    let release = () => {};

    beforeEach(async () => {
      h = await createHarness(variant);
      rds = Object.assign(testType(rdsUrl, false), { inStreamOrder: true });
      routes = new RecordingWatcher();
      h.client.subscribe(Object.assign(h.cds, { inStreamOrder: true }), 'wildcard', new RecordingWatcher());
      h.client.subscribe(rds, ['r'], routes);
      h.client.subscribe(h.eds, ['e'], new RecordingWatcher());
      h.client.start();
      stream = await connected();
    });
    afterEach(() => h.close());

    async function connected(): Promise<ScriptedStream> {
      const next = await h.server.nextStream();
      for (let requests = 0; requests < 3; requests++) await next.next();
      return next;
    }

    function holdClusters(): void {
      h.cds.hold = new Promise((resolve) => {
        release = () => {
          h.cds.hold = undefined;
          resolve();
        };
      });
    }

    async function answer(nonce: string): Promise<XdsRequest> {
      for (;;) {
        const request = await stream.next();
        if (request.response_nonce === nonce) return request;
      }
    }

    it('routes wait for the clusters before them, endpoints do not', async () => {
      holdClusters();
      respond(stream, { nonce: 'c1', resources: { a: '1' } });
      respond(stream, { type: rdsUrl, nonce: 'r1', resources: { r: '1' } });
      respond(stream, { type: edsUrl, nonce: 'e1', resources: { e: '1' } });
      expect((await stream.next()).response_nonce).to.equal('e1');
      expect(rds.judged).to.deep.equal([]);
      release();
      expect((await stream.next()).response_nonce).to.equal('c1');
      expect((await stream.next()).response_nonce).to.equal('r1');
      expect(routes.plain).to.deep.equal({ r: '1' });
    });

    it('what waits is dropped with its stream, and nothing waits for it', async () => {
      holdClusters();
      respond(stream, { nonce: 'c1', resources: { a: '1' } });
      respond(stream, { type: rdsUrl, nonce: 'r1', resources: { r: 'old' } });
      respond(stream, { type: edsUrl, nonce: 'e1', resources: { e: '1' } });
      await answer('e1');
      stream.end();
      await until(() => h.clock.pending === 1);
      h.clock.advance(500);
      stream = await connected();
      respond(stream, { type: rdsUrl, nonce: 'r2', resources: { r: 'new' } });
      release();
      await answer('r2');
      expect(routes.updates.map(({ changed }) => changed.map(({ verdict }) => verdict))).to.deep.equal([
        [{ kind: 'active', model: 'new', warnings: [] }],
      ]);
    });

    it('clusters that wait because too many rejections are unanswered hold up no routes', async () => {
      for (let i = 1; i <= 12; i++) respond(stream, { nonce: `c${i}`, resources: { a: 'bad' } });
      respond(stream, { type: rdsUrl, nonce: 'r1', resources: { r: '1' } });
      await answer('r1');
      expect([...h.client.states(cdsUrl)]).to.have.lengthOf(1);
      expect(routes.plain).to.deep.equal({ r: '1' });
    });
  });
}
