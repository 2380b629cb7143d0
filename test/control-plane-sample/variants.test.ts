import { expect } from 'chai';
import fc from 'fast-check';
import { DeltaState } from '../../control-plane-sample/delta.js';
import { type DiscoveryResponse, Rejected } from '../../control-plane-sample/discovery.js';
import { kinds, type ResourceKind } from '../../control-plane-sample/resource-kind.js';
import { createSnapshot, type Resource, typeOf } from '../../control-plane-sample/snapshot.js';
import { SotwState } from '../../control-plane-sample/sotw.js';
import { assignments, clusters, deltaRequest, label, nackError, snapshot, sotwRequest, variants } from './fixtures.js';

const sent = (response: DiscoveryResponse | undefined) => response?.resources.map(label);

for (const { variant, client: create } of variants) {
  describe(`control-plane-sample: ${variant} rules`, () => {
    it('answers the legacy wildcard and "*" with everything, even with nothing', () => {
      for (const names of [[], ['*']]) {
        const client = create(kinds.cluster);
        client.want(names);
        expect(sent(client.next(createSnapshot([])))).to.deep.equal([]);
        client.ack();
        expect(sent(client.next(snapshot(clusters('a', 'b'))))).to.deep.equal(['a', 'b']);
      }
    });

    it('sends only what was asked for by name', () => {
      const client = create(kinds.endpoints);
      client.want(['b']);
      const all = snapshot(assignments('a', 'b'));
      expect(sent(client.next(all))).to.deep.equal(['b']);
      client.ack();
      expect(client.next(snapshot(assignments('a@2', 'b')))).to.equal(undefined);
    });

    it('sends only changed endpoints', () => {
      const client = create(kinds.endpoints);
      client.want(['a', 'b']);
      client.next(snapshot(assignments('a', 'b')));
      client.ack();
      expect(sent(client.next(snapshot(assignments('a', 'b@2'))))).to.deep.equal(['b@2']);
    });

    it('sends nothing while a response is unanswered, and the newest afterwards', () => {
      const client = create(kinds.cluster);
      client.want([]);
      client.next(snapshot(clusters('a')));
      expect(client.next(snapshot(clusters('a@2')))).to.equal(undefined);
      client.ack();
      expect(sent(client.next(snapshot(clusters('a@3'))))).to.deep.equal(['a@3']);
      client.ack();
      expect(client.next(snapshot(clusters('a@3')))).to.equal(undefined);
    });

    it('sends a name again that was dropped and is wanted again', () => {
      const client = create(kinds.endpoints);
      const all = snapshot(assignments('a', 'b'));
      client.want(['a', 'b']);
      client.next(all);
      client.ack();
      client.want(['b']);
      expect(client.next(all)).to.equal(undefined);
      client.want(['a', 'b']);
      expect(sent(client.next(all))).to.deep.equal(['a']);
    });

    it('remembers a wanted name that does not exist yet', () => {
      const client = create(kinds.endpoints);
      client.want(['later']);
      const response = client.next(snapshot(assignments('a')));
      // Only Delta can say that there is none.
      expect(response?.removed).to.deep.equal(variant === 'delta' ? ['later'] : undefined);
      client.ack();
      expect(client.next(snapshot(assignments('a@2'))), 'told once').to.equal(undefined);
      expect(sent(client.next(snapshot(assignments('a', 'later'))))).to.deep.equal(['later']);
    });

    it('does not send again what was rejected, until something of its type changes', () => {
      for (const [kind, make] of [
        [kinds.cluster, clusters],
        [kinds.endpoints, assignments],
      ] as const) {
        const client = create(kind);
        client.want(kind === kinds.cluster ? [] : ['good', 'bad']);
        const bad = snapshot(make('good', 'bad'), kind === kinds.cluster ? [] : clusters('other'));
        expect(sent(client.next(bad))).to.have.members(['good', 'bad']);
        client.nack();
        for (let round = 0; round < 3; round++) expect(client.next(bad), kind.shortName).to.equal(undefined);
        // Another type changed: that is no reason.
        expect(client.next(snapshot(make('good', 'bad'), kind === kinds.cluster ? assignments('x') : []))).to.equal(
          undefined,
        );
        // All of it again, because valid siblings may not have been applied.
        expect(sent(client.next(snapshot(make('good', 'bad@2'))))).to.have.members(['good', 'bad@2']);
      }
    });

    it('still answers new names after a rejection', () => {
      const client = create(kinds.endpoints);
      const all = snapshot(assignments('bad', 'new'));
      client.want(['bad']);
      client.next(all);
      client.nack();
      client.want(['bad', 'new']);
      expect(sent(client.next(all))).to.deep.equal(['new']);
      client.ack();
      expect(client.next(all)).to.equal(undefined);
    });

    it('goes back to a version that was accepted before', () => {
      const client = create(kinds.cluster);
      client.want([]);
      const good = snapshot(clusters('a'));
      client.next(good);
      client.ack();
      client.next(snapshot(clusters('a@bad')));
      client.nack();
      expect(sent(client.next(good))).to.deep.equal(['a']);
    });

    it('keeps what leaves until the step is over, but never sends what the client lacks', () => {
      const client = create(kinds.cluster);
      client.want([]);
      const old = snapshot(clusters('old'));
      client.next(old);
      client.ack();
      const target = snapshot(clusters('new'));
      const step = snapshot(clusters('new', 'old', 'never-had'));
      const first = client.next(target, step);
      expect(sent(first)).to.have.members(variant === 'sotw' ? ['new', 'old'] : ['new']);
      expect(first?.removed).to.deep.equal([]);
      client.ack();
      const second = client.next(target);
      expect(sent(second)).to.deep.equal(variant === 'sotw' ? ['new'] : []);
      expect(second?.removed).to.deep.equal(variant === 'sotw' ? [] : ['old']);
    });

    it('does not send a rejected resource once more on its way out', () => {
      const client = create(kinds.cluster);
      client.want([]);
      client.next(snapshot(clusters('good')));
      client.ack();
      client.next(snapshot(clusters('bad', 'good')));
      client.nack();
      const target = snapshot(clusters('good'));
      const first = client.next(target, snapshot(clusters('bad', 'good')));
      expect(sent(first) ?? []).to.not.include('bad');
      if (first) client.ack();
      const second = client.next(target);
      expect([...(sent(first) ?? []), ...(sent(second) ?? [])]).to.not.include('bad');
    });

    it('brings any client to the wanted part of the last snapshot, with few messages', () => {
      const names = ['a', 'b', 'c'];
      const versions = fc.record({ a: fc.nat(2), b: fc.nat(2), c: fc.nat(2) }, { requiredKeys: [] });
      const action = fc.oneof(
        fc.record({ do: fc.constant('change' as const), to: versions }),
        fc.record({ do: fc.constant('want' as const), names: fc.subarray(names) }),
        fc.record({ do: fc.constantFrom('ack' as const, 'nack' as const) }),
      );
      for (const kind of [kinds.cluster, kinds.endpoints]) {
        fc.assert(
          fc.property(fc.subarray(names), fc.array(action), (start, actions) => {
            runClient(kind, start, actions, create);
          }),
          { numRuns: 300 },
        );
      }
    });
  });
}

type Action =
  | { do: 'change'; to: Partial<Record<string, number>> }
  | { do: 'want'; names: string[] }
  | { do: 'ack' | 'nack' };

/** Plays a client that applies what it ACKs, and compares what it has in the end with what it asked for. */
function runClient(
  kind: ResourceKind,
  start: string[],
  actions: Action[],
  create: (typeof variants)[number]['client'],
): void {
  const make = kind === kinds.cluster ? clusters : assignments;
  const client = create(kind);
  const isWildcard = start.length === 0;
  const has = new Map<string, Resource>();
  let wanted = start;
  let served = createSnapshot([]);
  let open: DiscoveryResponse | undefined;
  let everNamed = start.length > 0;
  const pull = () => {
    if (open) return;
    open = client.next(served);
  };
  const answer = (verdict: 'ack' | 'nack') => {
    if (!open) return;
    if (verdict === 'ack') apply(has, open, kind, create === variants[0].client);
    open = undefined;
    client[verdict]();
    pull();
  };
  client.want(wanted);
  pull();
  for (const each of actions) {
    if (each.do === 'change') {
      served = createSnapshot(make(...Object.entries(each.to).map(([name, version]) => `${name}@v${version}`)));
      pull();
    } else if (each.do === 'want') {
      // A state-of-the-world client waits for the response on its way, whose nonce its request needs.
      if (isWildcard || open || (!everNamed && each.names.length === 0)) continue;
      everNamed = true;
      wanted = each.names;
      for (const name of has.keys()) if (!wanted.includes(name)) has.delete(name);
      client.want(wanted);
      pull();
    } else answer(each.do);
  }
  // A last change of everything releases what was rejected; from then on all is accepted.
  const names = [...typeOf(served, kind.typeUrl).resources.keys()];
  served = createSnapshot(make(...names.map((name) => `${name}@last`), 'z@last'));
  pull();
  for (let messages = 0; open; messages++) {
    expect(messages, 'messages until it is quiet').to.be.below(4);
    answer('ack');
  }
  const expected = [...typeOf(served, kind.typeUrl).resources.values()].filter(
    ({ name }) => isWildcard || wanted.includes(name),
  );
  const actual = [...has.values()].filter(({ name }) => expected.some((each) => each.name === name));
  expect(actual.map(label).sort()).to.deep.equal(expected.map(label).sort());
  if (kind.fullState || create !== variants[0].client) expect(has.size).to.equal(expected.length);
}

function apply(has: Map<string, Resource>, response: DiscoveryResponse, kind: ResourceKind, isSotw: boolean): void {
  if (isSotw && kind.fullState) has.clear();
  for (const resource of response.resources) has.set(resource.name, resource);
  for (const name of response.removed) has.delete(name);
}

describe('control-plane-sample: state of the world alone', () => {
  const { typeUrl } = kinds.cluster;
  const one = snapshot(clusters('a'));
  const type = typeOf(one, typeUrl);

  it('ignores requests with a stale nonce, names included', () => {
    const state = new SotwState(typeUrl);
    state.receive(sotwRequest(typeUrl), type);
    state.next(type, type, 'n1');
    expect(state.receive(sotwRequest(typeUrl, { responseNonce: '', resourceNames: ['a'] }), type)).to.equal('stale');
    expect(state.receive(sotwRequest(typeUrl, { responseNonce: 'n0' }), type)).to.equal('stale');
    expect(state.subscription.wildcard).to.equal(true);
    expect(state.inFlight?.nonce).to.equal('n1');
    expect(state.receive(sotwRequest(typeUrl, { responseNonce: 'n1' }), type)).to.equal('ack');
    expect(state.receive(sotwRequest(typeUrl, { responseNonce: 'n1', resourceNames: ['*'] }), type)).to.equal(
      'subscribe',
    );
  });

  it('sends nothing to a client that comes back with what is served', () => {
    const state = new SotwState(typeUrl);
    state.receive(sotwRequest(typeUrl, { versionInfo: type.version }), type);
    expect(state.next(type, type, '1')).to.equal(undefined);
    const next = typeOf(snapshot(clusters('a@2')), typeUrl);
    expect(sent(state.next(next, next, '1'))).to.deep.equal(['a@2']);
  });

  it('sends endpoints to a client that comes back, whatever its version: it may want other names now', () => {
    const endpoints = typeOf(snapshot(assignments('a')), kinds.endpoints.typeUrl);
    const state = new SotwState(kinds.endpoints.typeUrl);
    state.receive(
      sotwRequest(kinds.endpoints.typeUrl, { versionInfo: endpoints.version, resourceNames: ['a'] }),
      endpoints,
    );
    expect(sent(state.next(endpoints, endpoints, '1'))).to.deep.equal(['a']);
  });

  it('lists all clusters when one changes', () => {
    const state = new SotwState(typeUrl);
    state.receive(sotwRequest(typeUrl), type);
    state.next(type, type, '1');
    state.receive(sotwRequest(typeUrl, { responseNonce: '1' }), type);
    const next = typeOf(snapshot(clusters('a', 'b')), typeUrl);
    expect(sent(state.next(next, next, '2'))).to.deep.equal(['a', 'b']);
  });

  it('sends what is asked for by name, also to a client that had it through a wildcard', () => {
    const endpoints = typeOf(snapshot(assignments('a', 'b')), kinds.endpoints.typeUrl);
    const state = new SotwState(kinds.endpoints.typeUrl);
    const request = (responseNonce: string, resourceNames: string[]) =>
      state.receive(sotwRequest(kinds.endpoints.typeUrl, { responseNonce, resourceNames }), endpoints);
    request('', ['*']);
    expect(sent(state.next(endpoints, endpoints, '1'))).to.deep.equal(['a', 'b']);
    request('1', ['*']);
    request('1', ['*', 'a']);
    expect(sent(state.next(endpoints, endpoints, '2'))).to.deep.equal(['a']);
  });

  it('stays silent when everything was unsubscribed after a rejection', () => {
    const state = new SotwState(typeUrl);
    state.receive(sotwRequest(typeUrl, { resourceNames: ['a'] }), type);
    state.next(type, type, '1');
    state.receive(sotwRequest(typeUrl, { responseNonce: '1', errorDetail: nackError }), type);
    const next = typeOf(snapshot(clusters('a@2')), typeUrl);
    expect(state.next(next, next, '2')).to.equal(undefined);
  });

  it('stays silent when everything was unsubscribed', () => {
    const state = new SotwState(typeUrl);
    state.receive(sotwRequest(typeUrl, { resourceNames: ['a'] }), type);
    state.next(type, type, '1');
    state.receive(sotwRequest(typeUrl, { responseNonce: '1', resourceNames: [] }), type);
    const next = typeOf(snapshot(clusters('a@2')), typeUrl);
    expect(state.next(next, next, '2')).to.equal(undefined);
  });
});

describe('control-plane-sample: memory of rejections', () => {
  it('holds for the target that was rejected, and for no other', () => {
    const rejected = new Rejected();
    rejected.add([['a', '1']], 'first');
    expect(rejected.has('a', '1', 'first')).to.equal(true);
    expect(rejected.has('a', '2', 'first')).to.equal(false);
    expect(rejected.has('a', '1', 'second')).to.equal(false);
    rejected.add([['b', '1']], 'second');
    expect(rejected.has('a', '1', 'second')).to.equal(false);
    rejected.forget('b');
    expect(rejected.has('b', '1', 'second')).to.equal(false);
  });
});

describe('control-plane-sample: Delta alone', () => {
  const { typeUrl } = kinds.cluster;
  const type = typeOf(snapshot(clusters('a', 'b')), typeUrl);
  const versionOf = (name: string) => type.resources.get(name)?.version ?? '';

  it('sends a client that comes back only what differs', () => {
    const state = new DeltaState(typeUrl);
    const initialResourceVersions = new Map([
      ['a', versionOf('a')],
      ['b', 'old'],
      ['gone', 'x'],
    ]);
    state.receive(deltaRequest(typeUrl, { initialResourceVersions }));
    const response = state.next(type, type, '1');
    expect(sent(response)).to.deep.equal(['b']);
    expect(response?.removed).to.deep.equal(['gone']);
  });

  it('sends nothing to a client that comes back with all that it names', () => {
    const state = new DeltaState(typeUrl);
    const initialResourceVersions = new Map([['a', versionOf('a')]]);
    state.receive(deltaRequest(typeUrl, { subscribe: ['a'], initialResourceVersions }));
    expect(state.next(type, type, '1')).to.equal(undefined);
  });

  it('answers a name that is subscribed to again', () => {
    const state = new DeltaState(typeUrl);
    state.receive(deltaRequest(typeUrl, { subscribe: ['a'] }));
    state.next(type, type, '1');
    state.receive(deltaRequest(typeUrl, { responseNonce: '1' }));
    state.receive(deltaRequest(typeUrl, { subscribe: ['a'] }));
    expect(sent(state.next(type, type, '2'))).to.deep.equal(['a']);
  });

  it('takes names also from a request whose nonce is stale', () => {
    const state = new DeltaState(typeUrl);
    state.receive(deltaRequest(typeUrl, { subscribe: ['a'] }));
    state.next(type, type, '1');
    expect(state.receive(deltaRequest(typeUrl, { responseNonce: '0', subscribe: ['b'] }))).to.equal('stale');
    expect(state.receive(deltaRequest(typeUrl, { responseNonce: '1' }))).to.equal('ack');
    expect(sent(state.next(type, type, '2'))).to.deep.equal(['b']);
  });

  it('says whether a name that is unsubscribed beside a wildcard is still there', () => {
    const state = new DeltaState(typeUrl);
    state.receive(deltaRequest(typeUrl, { subscribe: ['*', 'a', 'gone'] }));
    state.next(type, type, '1');
    state.receive(deltaRequest(typeUrl, { responseNonce: '1' }));
    state.receive(deltaRequest(typeUrl, { unsubscribe: ['a', 'gone'] }));
    const response = state.next(type, type, '2');
    expect(sent(response)).to.deep.equal(['a']);
    expect(response?.removed).to.deep.equal(['gone']);
  });

  it('sends only the changed one of many', () => {
    const state = new DeltaState(typeUrl);
    state.receive(deltaRequest(typeUrl));
    state.next(type, type, '1');
    state.receive(deltaRequest(typeUrl, { responseNonce: '1' }));
    const next = typeOf(snapshot(clusters('a', 'b@2', 'c')), typeUrl);
    expect(sent(state.next(next, next, '2'))).to.deep.equal(['b@2', 'c']);
  });

  it('tells of a rejected removal again only with the next change', () => {
    const state = new DeltaState(typeUrl);
    state.receive(deltaRequest(typeUrl));
    state.next(type, type, '1');
    state.receive(deltaRequest(typeUrl, { responseNonce: '1' }));
    const without = typeOf(snapshot(clusters('a')), typeUrl);
    expect(state.next(without, without, '2')?.removed).to.deep.equal(['b']);
    expect(state.receive(deltaRequest(typeUrl, { responseNonce: '2', errorDetail: nackError }))).to.equal('nack');
    expect(state.next(without, without, '3')).to.equal(undefined);
    const later = typeOf(snapshot(clusters('a@2')), typeUrl);
    expect(state.next(later, later, '3')?.removed).to.deep.equal(['b']);
  });
});
