import { expect } from 'chai';
import fc from 'fast-check';
import { maxSubscribedNames, Subscription } from '../../control-plane-sample/subscription.js';

describe('control-plane-sample: subscription', () => {
  // The protocol's own example: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#how-the-client-specifies-what-resources-to-return
  const sotw: { name: string; requests: string[][]; wildcard: boolean; names: string[] }[] = [
    { name: 'never names anything', requests: [[], []], wildcard: true, names: [] },
    { name: 'names something after the legacy wildcard', requests: [[], ['a']], wildcard: false, names: ['a'] },
    { name: 'keeps the wildcard by naming it', requests: [[], ['*', 'a']], wildcard: true, names: ['a'] },
    { name: 'drops the wildcard', requests: [[], ['*', 'a'], ['a']], wildcard: false, names: ['a'] },
    { name: 'drops everything', requests: [[], ['*', 'a'], ['a'], []], wildcard: false, names: [] },
    { name: 'names first, then nothing', requests: [['a'], []], wildcard: false, names: [] },
    { name: 'comes back to the wildcard', requests: [['a'], [], ['*']], wildcard: true, names: [] },
  ];
  for (const { name, requests, wildcard, names } of sotw) {
    it(`state of the world: ${name}`, () => {
      const subscription = new Subscription();
      for (const request of requests) subscription.replace(request);
      expect(subscription.wildcard).to.equal(wildcard);
      expect([...subscription.names]).to.deep.equal(names);
    });
  }

  const delta: { name: string; requests: [string[], string[]][]; wildcard: boolean; names: string[] }[] = [
    { name: 'never names anything', requests: [[[], []]], wildcard: true, names: [] },
    { name: 'names something at once', requests: [[['a'], []]], wildcard: false, names: ['a'] },
    {
      name: 'does not fall back to the wildcard',
      requests: [
        [['a'], []],
        [[], ['a']],
        [[], []],
      ],
      wildcard: false,
      names: [],
    },
    {
      name: 'keeps the legacy wildcard beside a name',
      requests: [
        [[], []],
        [['a'], []],
      ],
      wildcard: true,
      names: ['a'],
    },
    {
      name: 'unsubscribes the wildcard',
      requests: [
        [[], []],
        [['a'], []],
        [[], ['*']],
      ],
      wildcard: false,
      names: ['a'],
    },
    {
      name: 'unsubscribes everything',
      requests: [
        [[], []],
        [['a'], []],
        [[], ['*']],
        [[], ['a']],
      ],
      wildcard: false,
      names: [],
    },
    {
      name: 'subscribes and unsubscribes in one request',
      requests: [[['a', 'b'], ['a']]],
      wildcard: false,
      names: ['b'],
    },
    { name: 'takes an explicit wildcard', requests: [[['*'], []]], wildcard: true, names: [] },
  ];
  for (const { name, requests, wildcard, names } of delta) {
    it(`Delta: ${name}`, () => {
      const subscription = new Subscription();
      for (const [subscribe, unsubscribe] of requests) subscription.update(subscribe, unsubscribe);
      expect(subscription.wildcard).to.equal(wildcard);
      expect([...subscription.names]).to.deep.equal(names);
    });
  }

  it('wants the same in both variants, whatever the order of requests, once something was named', () => {
    const names = fc.uniqueArray(fc.constantFrom('*', 'a', 'b', 'c'));
    const first = fc.uniqueArray(fc.constantFrom('*', 'a', 'b', 'c'), { minLength: 1 });
    fc.assert(
      fc.property(first, fc.array(names), (start: string[], others: string[][]) => {
        const whole = new Subscription();
        const difference = new Subscription();
        let previous: string[] = [];
        for (const request of [start, ...others]) {
          whole.replace(request);
          difference.update(
            request.filter((name) => !previous.includes(name)),
            previous.filter((name) => !request.includes(name)),
          );
          previous = request;
        }
        for (const name of ['a', 'b', 'c', 'd']) {
          const wanted = previous.includes('*') || previous.includes(name);
          expect(whole.wants(name), `sotw ${name}`).to.equal(wanted);
          expect(difference.wants(name), `delta ${name}`).to.equal(wanted);
        }
      }),
    );
  });

  it('refuses more names than anyone needs', () => {
    const subscription = new Subscription();
    const names = Array.from({ length: maxSubscribedNames + 1 }, (_, index) => `n${index}`);
    expect(() => subscription.replace(names)).to.throw(RangeError, 'names are subscribed');
  });
});
