import { expect } from 'chai';
import { Bench, transports } from './bench.js';
import { namesIn, RecordingWatcher, until, variants } from './harness.js';

for (const variant of variants)
  for (const transport of transports)
    describe(`rate_limit_settings, ${variant}, ${transport}`, () => {
      it('lets so many requests go at once and so many per second, and counts when they wait', async () => {
        const b = await Bench.start(variant, transport, { rateLimit: { maxTokens: 2, fillRate: 2 } });
        const watch = b.subscribe('eds', ['a'], new RecordingWatcher());
        await b.next('eds');
        watch.update(['b']);
        await b.next('eds');
        watch.update(['c']);
        expect(await b.silent('eds')).to.equal(true);
        watch.update(['d']);
        await b.respond('eds', 'v1', { d: '1' });
        await until(() => b.types.eds.judged.length === 1);
        expect(await b.silent('eds')).to.equal(true);
        expect(b.stats.counter('control_plane.rate_limit_enforced').value).to.equal(1);
        b.clock.advance(501);
        // What waited is said as it is now: the answer, with the last names where the variant allows it.
        const answer = await b.next('eds');
        expect(answer.response_nonce).to.equal('v1');
        expect(namesIn(answer)).to.include('d');
        b.clock.advance(2_000);
        expect(await b.silent('eds')).to.equal(true);
        b.close();
      });
    });
