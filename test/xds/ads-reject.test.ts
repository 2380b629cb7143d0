import { expect } from 'chai';
import type { ScriptedStream, XdsRequest } from '../support/scripted-xds-server.js';
import {
  bytesOf,
  cdsUrl,
  createHarness,
  edsUrl,
  type Harness,
  RecordingWatcher,
  respond,
  respondRaw,
  until,
  variants,
} from './harness.js';

for (const variant of variants) {
  describe(`xDS rejections, ${variant}`, () => {
    let h: Harness;
    let watcher: RecordingWatcher;
    let stream: ScriptedStream;
    beforeEach(async () => {
      h = await createHarness(variant);
      watcher = new RecordingWatcher();
      h.client.subscribe(h.cds, 'wildcard', watcher);
      h.client.start();
      stream = await h.server.nextStream();
      await stream.next();
    });
    afterEach(() => h.close());

    async function exchange(response: Parameters<typeof respond>[1]): Promise<XdsRequest> {
      respond(stream, response);
      return await stream.next();
    }

    it('names each bad resource and field, applies the others and keeps the version back', async () => {
      await exchange({ version: 'v1', nonce: 'n1', resources: { a: '1', b: '1' } });
      const nack = await exchange({ version: 'v2', nonce: 'n2', resources: { a: '2', b: 'bad', c: 'bad' } });
      expect(nack.response_nonce).to.equal('n2');
      expect(nack.error_detail?.code).to.equal(13);
      expect(nack.error_detail?.message).to.equal(
        "2 of 3 resources rejected: b: value: must not be 'bad'; c: value: must not be 'bad'",
      );
      if (variant === 'SOTW') expect(nack.version_info).to.equal('v1');
      expect(watcher.plain).to.deep.equal({ a: '2', b: '1' });
      expect(watcher.updates[1]?.rejected.map(({ name }) => name)).to.deep.equal(['b', 'c']);
      const [, b, c] = [...h.client.states(cdsUrl)];
      expect(b).to.deep.include({ name: 'b', status: 'rejected', version: 'v1' });
      expect(b?.error).to.deep.include({ version: 'v2', details: "value: must not be 'bad'" });
      expect(c).to.deep.include({ name: 'c', status: 'rejected', version: '' });
      expect(h.stats.counter('cluster_manager.cds.update_rejected').value).to.equal(1);
      expect(h.log.lines.filter((line) => line.includes('2 of 3 resources rejected'))).to.have.lengthOf(1);
    });

    it('recovers with the next good version', async () => {
      await exchange({ version: 'v1', nonce: 'n1', resources: { a: 'bad' } });
      const ack = await exchange({ version: 'v2', nonce: 'n2', resources: { a: '2' } });
      expect([ack.response_nonce, ack.error_detail]).to.deep.equal(['n2', null]);
      if (variant === 'SOTW') expect(ack.version_info).to.equal('v2');
      expect([...h.client.states(cdsUrl)][0]).to.deep.include({ status: 'active', error: undefined });
    });

    it('is content when the server goes back to what is held', async () => {
      await exchange({ version: 'v1', nonce: 'n1', resources: { a: '1' } });
      await exchange({ version: 'v2', nonce: 'n2', resources: { a: 'bad' } });
      const ack = await exchange({ version: 'v3', nonce: 'n3', resources: { a: '1' } });
      expect(ack.error_detail).to.equal(null);
      expect([...h.client.states(cdsUrl)][0]).to.deep.include({ status: 'active', version: 'v3', error: undefined });
      expect(h.cds.judged).to.deep.equal(['a', 'a']);
    });

    it('answers a known-bad version from memory, and less and less often', async () => {
      await exchange({ version: 'v1', nonce: 'n0', resources: { a: 'bad' } });
      const waits: number[] = [];
      for (let round = 1; round <= 8; round++) {
        respond(stream, { version: 'v1', nonce: `n${round}`, resources: { a: 'bad' } });
        await until(() => h.clock.pending === 1);
        let waited = 0;
        while (h.clock.pending === 1) {
          h.clock.advance(100);
          waited += 100;
        }
        expect((await stream.next()).response_nonce).to.equal(`n${round}`);
        waits.push(waited);
      }
      expect(waits).to.deep.equal([200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
      expect(h.cds.judged).to.deep.equal(['a']);
      expect(h.log.lines).to.have.lengthOf(1);
      // Acceptance is never held back, and forgives.
      expect((await exchange({ version: 'v2', nonce: 'ok', resources: { a: '1' } })).response_nonce).to.equal('ok');
      expect((await exchange({ version: 'v3', nonce: 'x', resources: { a: 'bad' } })).response_nonce).to.equal('x');
    });

    it('judges a known-bad version again when its reason may be gone', async () => {
      await exchange({ version: 'v1', nonce: 'n1', resources: { a: 'bad' } });
      h.clock.advance(30_000);
      await exchange({ version: 'v1', nonce: 'n2', resources: { a: 'bad' } });
      expect(h.cds.judged).to.deep.equal(['a', 'a']);
    });

    it('never goes round in a tight loop with a server that sends at once, whatever it sends', async () => {
      let rounds = 0;
      const serve = async () => {
        for (;;) {
          rounds++;
          respond(stream, { version: `v${rounds}`, nonce: `n${rounds}`, resources: { a: `bad ${rounds}` } });
          await stream.next();
        }
      };
      serve().catch(() => {});
      for (let elapsed = 0; elapsed < 1_500; elapsed += 10) {
        h.clock.advance(10);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      expect(rounds).to.be.within(3, 5);
    });

    it('sends a held-back rejection at once when a good response follows', async () => {
      await exchange({ version: 'v1', nonce: 'n1', resources: { a: 'bad' } });
      respond(stream, { version: 'v1', nonce: 'n2', resources: { a: 'bad' } });
      respond(stream, { version: 'v2', nonce: 'n3', resources: { a: '2' } });
      const next = await stream.next();
      if (variant === 'DELTA') {
        expect(next.response_nonce).to.equal('n2');
        expect(next.error_detail).to.not.equal(null);
        expect((await stream.next()).response_nonce).to.equal('n3');
      } else expect(next.response_nonce).to.equal('n3');
      expect(h.clock.pending).to.equal(0);
    });

    it('bounds the rejections that it holds back', async () => {
      await exchange({ version: 'v1', nonce: 'n0', resources: { a: 'bad' } });
      for (let i = 1; i <= 40; i++) respond(stream, { version: 'v1', nonce: `n${i}`, resources: { a: 'bad' } });
      const answers: string[] = [];
      for (let guard = 0; guard < 1_000 && answers.at(-1) !== 'n40'; guard++) {
        h.clock.advance(1_000);
        await new Promise((resolve) => setTimeout(resolve, 1));
        while (stream.unread > 0) answers.push((await stream.next()).response_nonce);
      }
      expect(answers.at(-1)).to.equal('n40');
      if (variant === 'DELTA') expect(answers).to.deep.equal(Array.from({ length: 40 }, (_, i) => `n${i + 1}`));
      expect(h.cds.judged.length).to.be.lessThan(10);
    });

    it('asks for everything again after a rejection and a lost stream', async () => {
      await exchange({ version: 'v1', nonce: 'n1', resources: { a: '1', b: '1' } });
      await exchange({ version: 'v2', nonce: 'n2', resources: { a: '1', b: 'bad' } });
      stream.end();
      await until(() => h.clock.pending === 1);
      h.clock.advance(500);
      stream = await h.server.nextStream();
      const first = await stream.next();
      expect([first.node?.id, first.type_url, first.response_nonce, first.error_detail]).to.deep.equal([
        'n1',
        cdsUrl,
        '',
        null,
      ]);
      if (variant === 'SOTW') expect([first.version_info, first.resource_names]).to.deep.equal(['v1', []]);
      else {
        // The version that was accepted, not the one that was refused.
        expect(first.initial_resource_versions).to.deep.equal({ a: 'v2', b: 'v1' });
        expect(first.resource_names_subscribe).to.deep.equal([]);
      }
      const ack = await exchange({ version: 'v3', nonce: 'm1', resources: { a: '1', b: '3' } });
      expect([ack.response_nonce, ack.error_detail]).to.deep.equal(['m1', null]);
      expect(watcher.plain).to.deep.equal({ a: '1', b: '3' });
    });

    const other = 'type.googleapis.com/envoy.config.listener.v3.Listener';
    const malformed: {
      title: string;
      resources: { name: string; typeUrl?: string; bytes: Buffer }[];
      message: RegExp;
    }[] = [
      {
        title: 'a wrong inner type',
        resources: [{ name: 'x', typeUrl: other, bytes: bytesOf('x', '1') }],
        message: /: is of type 'type.googleapis.com\/envoy.config.listener.v3.Listener' in a response for /,
      },
      {
        title: 'bytes that cannot be decoded',
        resources: [{ name: 'x', bytes: Buffer.from('{') }],
        message: /: cannot be decoded as type.googleapis.com\/envoy.config.cluster.v3.Cluster: /,
      },
      {
        title: 'a name that comes twice',
        resources: [
          { name: 'x', bytes: bytesOf('x', '1') },
          { name: 'x', bytes: bytesOf('x', '2') },
        ],
        message: /x: is in the response more than once/,
      },
      {
        title: 'an empty name',
        resources: [{ name: '', bytes: bytesOf('', '1') }],
        message: /resources\[1\]: has no name/,
      },
    ];
    for (const { title, resources, message } of malformed) {
      it(`rejects ${title} and applies what stands beside it`, async () => {
        await exchange({ version: 'v1', nonce: 'n1', resources: { x: 'old' } });
        respondRaw(stream, { version: 'v2', nonce: 'n2' }, [{ name: 'a', bytes: bytesOf('a', '1') }, ...resources]);
        const nack = await stream.next();
        expect(nack.error_detail?.message).to.match(message);
        // Also what could not be named may be `x`: nothing is deleted on a guess.
        const gone = variant === 'SOTW' && title === 'an empty name';
        expect(watcher.plain).to.deep.equal(gone ? { a: '1' } : { a: '1', x: 'old' });
        // What the response did wrong around the bytes is not held against them.
        expect((await exchange({ version: 'v3', nonce: 'n3', resources: { a: '1', x: '1' } })).error_detail).to.equal(
          null,
        );
        expect(watcher.plain).to.deep.equal({ a: '1', x: '1' });
      });
    }

    if (variant === 'DELTA') {
      it('rejects a name that is both sent and removed', async () => {
        const nack = await exchange({ nonce: 'n1', resources: { a: '1' }, removed: ['a'] });
        expect(nack.error_detail?.message).to.contain('a: is in the response more than once');
        expect(watcher.plain).to.deep.equal({});
      });

      it('rejects a resource that calls itself otherwise', async () => {
        respondRaw(stream, { version: '1', nonce: 'n1' }, [{ name: 'x', bytes: bytesOf('y', '1') }]);
        expect((await stream.next()).error_detail?.message).to.contain("x: its own name is 'y'");
      });
    }

    it('answers a type that it never asked for, once per response and with patience', async () => {
      respond(stream, { type: edsUrl, nonce: 'e1', resources: { a: '1' } });
      const nack = await stream.next();
      expect([nack.type_url, nack.response_nonce]).to.deep.equal([edsUrl, 'e1']);
      expect(nack.error_detail?.message).to.contain(edsUrl);
      respond(stream, { type: edsUrl, nonce: 'e2', resources: { a: '1' } });
      await until(() => h.clock.pending === 1);
      expect(stream.unread).to.equal(0);
      h.clock.advance(200);
      expect((await stream.next()).response_nonce).to.equal('e2');
      // In state of the world only the last one counts.
      for (const nonce of ['e3', 'e4']) respond(stream, { type: edsUrl, nonce, resources: { a: '1' } });
      await until(() => h.clock.pending === 1);
      await exchange({ version: 'v1', nonce: 'n1', resources: { a: '1' } });
      h.clock.advance(2_000);
      if (variant === 'DELTA') expect((await stream.next()).response_nonce).to.equal('e3');
      expect((await stream.next()).response_nonce).to.equal('e4');
    });

    it('gives a stream up that sends one unknown type after the other', async () => {
      for (let i = 0; i < 33; i++) respond(stream, { type: `type.googleapis.com/t${i}`, nonce: `n${i}` });
      await stream.closed;
      await until(() => !h.client.connected);
    });

    it('bounds its error text', async () => {
      const resources = Object.fromEntries(
        Array.from({ length: 500 }, (_, i) => [`c${i}`, `bad ${'x'.repeat(2_000)}`]),
      );
      const message = (await exchange({ nonce: 'n1', resources })).error_detail?.message ?? '';
      expect(message.length).to.be.within(2_000, 4_200);
      expect(message).to.match(
        /^500 of 500 resources rejected: c0: value: must not be 'bad x+\.\.\.\(truncated\); c1: .*; and \d+ more$/,
      );
    });

    it('rejects what a watcher refuses, and only that; the version moves when it is taken', async () => {
      let refuses = true;
      const refusal = [{ name: 'b', problems: [{ path: '', message: 'its address is in use' }] }];
      const watcher = new RecordingWatcher(0, async () => (refuses ? refusal : undefined));
      h.client.subscribe(h.eds, ['a', 'b'], watcher);
      await stream.next();
      const send = (nonce: string) =>
        respond(stream, { type: edsUrl, nonce, version: nonce, resources: { a: '1', b: '1' } });
      send('n1');
      expect((await stream.next()).error_detail?.message).to.equal(
        '1 of 2 resources rejected: b: its address is in use',
      );
      expect(h.client.version(edsUrl)).to.equal('');
      refuses = false;
      send('n2');
      expect((await stream.next()).error_detail).to.equal(null);
      expect(h.eds.judged).to.deep.equal(['a', 'b', 'b']);
      expect(h.client.version(edsUrl)).to.equal('n2');
    });

    it('rejects what could not be applied, and takes it again when it comes again', async () => {
      let fail = true;
      h.client.subscribe(
        h.eds,
        ['e'],
        new RecordingWatcher(0, () => {
          if (fail) throw new Error('no room');
        }),
      );
      await stream.next();
      respond(stream, { type: edsUrl, nonce: 'n1', resources: { e: '1' } });
      expect((await stream.next()).error_detail?.message).to.equal('could not be applied: no room');
      fail = false;
      stream.end();
      await until(() => h.waits.length === 1);
      h.clock.advance(h.waits[0] as number);
      stream = await h.server.nextStream();
      await stream.next();
      if (variant === 'DELTA') expect((await stream.next()).initial_resource_versions).to.deep.equal({});
      else expect((await stream.next()).version_info).to.equal('');
      respond(stream, { type: edsUrl, nonce: 'n2', resources: { e: '1' } });
      expect((await stream.next()).error_detail).to.equal(null);
    });

    it('contains a judge that fails', async () => {
      h.cds.hold = Promise.reject(new Error('judge died'));
      h.cds.hold.catch(() => {});
      const nack = await exchange({ nonce: 'n1', resources: { a: '1' } });
      expect(nack.error_detail?.message).to.contain('a: could not be judged: judge died');
    });
  });
}
