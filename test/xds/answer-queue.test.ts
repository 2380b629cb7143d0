import { expect } from 'chai';
import { AnswerQueue } from '../../src/xds/answer-queue.js';
import type { Answer } from '../../src/xds/subscription.js';
import { FakeClock } from '../support/fake-clock.js';

const error = { code: 13, message: 'bad' };
/** Says again what was said before. */
const nack = (nonce: string) => ({ nonce, error, repeated: true });
const news = (nonce: string) => ({ nonce, error });
const ack = (nonce: string) => ({ nonce, error: undefined });

/** A queue whose answers go out as soon as they may, with the times at which they did. */
function queueOf(supersede: boolean) {
  const clock = new FakeClock();
  const sent: [nonce: string, at: number][] = [];
  const queue: AnswerQueue = new AnswerQueue(clock, supersede, flush);
  function flush(): void {
    while (queue.length > 0 && !queue.held) sent.push([queue.take()?.nonce ?? '', clock.monotonic()]);
  }
  function answer(one: Answer): void {
    queue.push(one);
    flush();
  }
  return { clock, sent, queue, answer };
}

describe('answers that wait', () => {
  for (const supersede of [true, false]) {
    it(`go out at their time however many come behind, ${supersede ? 'SotW' : 'Delta'}`, () => {
      const { clock, sent, answer } = queueOf(supersede);
      // A server that does not wait for answers, once a second.
      for (let count = 0; count < 60; count++) {
        answer(nack(String(count)));
        clock.advance(1_000);
      }
      const times = sent.map(([, at]) => at);
      expect(times.length).to.be.greaterThan(12);
      for (const [index, at] of times.entries()) expect(at - (times[index - 1] ?? 0)).to.be.at.most(5_000);
    });
  }

  it('are the latest in SotW, and each in Delta', () => {
    const [sotw, delta] = [queueOf(true), queueOf(false)];
    for (const { clock, answer } of [sotw, delta]) {
      for (const nonce of ['1', '2', '3']) answer(nack(nonce));
      clock.advance(1_000);
    }
    expect(sotw.sent).to.deep.equal([
      ['1', 0],
      ['3', 200],
    ]);
    expect(delta.sent).to.deep.equal([
      ['1', 0],
      ['2', 200],
      ['3', 600],
    ]);
  });

  it('go out before an acceptance, at once', () => {
    const { sent, answer } = queueOf(false);
    for (const one of [nack('1'), nack('2'), nack('3'), ack('4'), nack('5')]) answer(one);
    expect(sent).to.deep.equal(['1', '2', '3', '4', '5'].map((nonce) => [nonce, 0]));
  });

  it('wait for a second at most with news, whatever waits before', () => {
    for (const supersede of [true, false]) {
      const { clock, sent, answer } = queueOf(supersede);
      for (const at of [0, 200, 400, 800, 1_600, 3_200]) {
        clock.advance(at);
        answer(nack(String(at)));
      }
      const from = clock.monotonic();
      answer(nack('again'));
      answer(news('news'));
      clock.advance(2_000);
      expect(sent.at(-1)).to.deep.equal(['news', from + (supersede ? 1_000 : 2_000)]);
    }
  });

  it('do not count when their stream is lost', () => {
    const { clock, sent, queue, answer } = queueOf(true);
    for (let step = 0; step < 8; step++) {
      answer(nack(`before ${step}`));
      clock.advance(5_000);
    }
    // Ten streams in a row that end before the time has come.
    for (let stream = 0; stream < 10; stream++) {
      clock.advance(100);
      answer(nack(`lost ${stream}`));
      queue.clear();
    }
    answer(nack('again'));
    clock.advance(10_000);
    const [before = ['', 0], last = ['', 0]] = sent.slice(-2);
    expect(last).to.deep.equal(['again', before[1] + 5_000]);
  });
});
