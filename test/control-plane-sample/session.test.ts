import { expect } from 'chai';
import { SnapshotCache } from '../../control-plane-sample/cache.js';
import { DeltaState } from '../../control-plane-sample/delta.js';
import type {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
  DiscoveryRequestBase,
  DiscoveryResponse,
  TypeState,
} from '../../control-plane-sample/discovery.js';
import { EventLog } from '../../control-plane-sample/events.js';
import { NodeRegistry, type Variant } from '../../control-plane-sample/nodes.js';
import { kindByTypeUrl, kinds, kindsInOrder } from '../../control-plane-sample/resource-kind.js';
import { answerTimeoutMs, ProtocolError, removalDelayMs, Session } from '../../control-plane-sample/session.js';
import { SotwState } from '../../control-plane-sample/sotw.js';
import { FakeClock } from '../support/fake-clock.js';
import { assignments, clusters, deltaRequest, label, nackError, resource, sotwRequest } from './fixtures.js';

const node = { id: 'n1', cluster: 'c', userAgentName: 'test', userAgentVersion: '1', metadata: {} };
const listener = (word: string) => resource(kinds.listener, ...(word.split('@') as [string, string?]));
const route = (word: string) => resource(kinds.route, ...(word.split('@') as [string, string?]));

/** A server without sockets, and one client that keeps the protocol's rules. */
function setUp<Request extends DiscoveryRequestBase>(
  variant: Variant,
  createState: (typeUrl: string) => TypeState<Request>,
  makeRequest: (typeUrl: string, fields: Partial<Request>) => Request,
  onlyType?: string,
) {
  const clock = new FakeClock();
  const cache = new SnapshotCache();
  const nodes = new NodeRegistry(() => clock.now());
  const events = new EventLog(() => clock.now());
  const received: DiscoveryResponse[] = [];
  const session = new Session<Request>({
    stream: { id: 1, variant, service: 'ads' },
    onlyType,
    cache,
    nodes,
    events,
    clock,
    createState,
    send: (response) => received.push(response),
  });
  const names = new Map<string, readonly string[]>();
  const answered = new Set<string>();
  const request = (typeUrl: string, fields: object = {}) => {
    const wanted = names.get(typeUrl) ?? [];
    const subscription = variant === 'sotw' ? { resourceNames: wanted } : {};
    session.receive(makeRequest(typeUrl, { node, ...subscription, ...fields } as unknown as Partial<Request>));
  };
  return {
    clock,
    cache,
    nodes,
    events,
    session,
    received,
    request,
    subscribe(typeUrl: string, wanted: readonly string[] = []) {
      names.set(typeUrl, wanted);
      request(typeUrl, variant === 'delta' ? { subscribe: wanted } : {});
    },
    /** Answers the oldest response that waits for it; false when none does. */
    answer(errorDetail?: typeof nackError): boolean {
      const next = received.find(({ nonce }) => !answered.has(nonce));
      if (!next) return false;
      answered.add(next.nonce);
      request(next.typeUrl, { responseNonce: next.nonce, errorDetail });
      return true;
    },
    /** Answers until the server has nothing more to say; all that came since `received` was cleared, as `cds a,b -gone`. */
    settle(): string[] {
      while (this.answer());
      return received.map(describeResponse);
    },
  };
}

function describeResponse({ typeUrl, resources, removed }: DiscoveryResponse): string {
  const parts = [
    kindByTypeUrl.get(typeUrl)?.shortName,
    resources.map(label).sort().join(','),
    ...removed.map((name) => `-${name}`),
  ];
  return parts.filter((part) => part !== '').join(' ');
}

const sotw = (onlyType?: string) =>
  setUp<DiscoveryRequest>('sotw', (typeUrl) => new SotwState(typeUrl), sotwRequest, onlyType);
const delta = (onlyType?: string) =>
  setUp<DeltaDiscoveryRequest>('delta', (typeUrl) => new DeltaState(typeUrl), deltaRequest, onlyType);

for (const [variant, create] of [
  ['sotw', sotw],
  ['delta', delta],
] as const) {
  describe(`control-plane-sample: ${variant} session`, () => {
    const subscribeAll = (client: ReturnType<typeof create>) => {
      client.subscribe(kinds.route.typeUrl, ['r']);
      client.subscribe(kinds.listener.typeUrl);
      client.subscribe(kinds.endpoints.typeUrl, ['a', 'b']);
      client.subscribe(kinds.cluster.typeUrl);
      client.settle();
    };

    it('sends a change in the order CDS, EDS, LDS, RDS, the latter two after the answers to the former', () => {
      const client = create();
      subscribeAll(client);
      client.received.length = 0;
      client.cache.set([route('r'), listener('l'), ...assignments('a'), ...clusters('a')], 'test');
      expect(client.received.map(describeResponse)).to.deep.equal(['cds a', 'eds a']);
      client.answer();
      expect(client.received).to.have.length(2);
      expect(client.settle()).to.deep.equal(['cds a', 'eds a', 'lds l', 'rds r']);
    });

    it('makes before it breaks: what is removed goes last', () => {
      const client = create();
      client.cache.set([route('r'), listener('old'), ...assignments('a'), ...clusters('a')], 'test');
      subscribeAll(client);
      client.received.length = 0;
      client.cache.set([route('r@2'), listener('new'), ...assignments('b'), ...clusters('b')], 'test');
      expect(client.settle()).to.deep.equal(
        variant === 'sotw'
          ? ['cds a,b', 'eds b', 'lds new,old', 'rds r@2', 'cds b', 'lds new']
          : ['cds b', 'eds b', 'lds new', 'rds r@2', 'cds -a', 'eds -a', 'lds -old'],
      );
    });

    it('goes on without a client that does not answer', () => {
      const client = create();
      subscribeAll(client);
      client.received.length = 0;
      client.cache.set([listener('l'), ...clusters('a')], 'test');
      client.clock.advance(answerTimeoutMs - 1);
      expect(client.received.map(describeResponse)).to.deep.equal(['cds a']);
      client.clock.advance(1);
      expect(client.received.map(describeResponse)).to.deep.equal(['cds a', 'lds l']);
      client.cache.set([listener('l'), ...clusters('a@2')], 'test');
      expect(client.received).to.have.length(2);
      // Its late answer brings the newest.
      const [first] = client.received;
      client.request(kinds.cluster.typeUrl, { responseNonce: first?.nonce });
      client.clock.advance(answerTimeoutMs);
      expect(client.received.map(describeResponse)).to.deep.equal(['cds a', 'lds l', 'cds a@2']);
    });

    it('does not withhold removals for ever while changes keep coming', () => {
      const client = create();
      client.cache.set(clusters('a', 'b'), 'test');
      client.subscribe(kinds.cluster.typeUrl);
      client.settle();
      client.received.length = 0;
      // Each change comes before the client has answered the one before.
      for (let round = 0; round < 8; round++) {
        client.cache.set(clusters(`a@${round}`), 'test');
        client.clock.advance(1_000);
        client.cache.set(clusters(`a@${round}`, `c${round}`), 'test');
        client.answer();
      }
      const hasLeft = client.received.some(
        ({ resources, removed }) =>
          removed.includes('b') || (variant === 'sotw' && !resources.some(({ name }) => name === 'b')),
      );
      expect(client.clock.monotonic()).to.be.greaterThan(removalDelayMs);
      expect(hasLeft).to.equal(true);
    });

    it('remembers a NACK, shows it, and does not send the same again', () => {
      const client = create();
      client.subscribe(kinds.cluster.typeUrl);
      client.settle();
      const accepted = client.nodes.list()[0]?.types.cds?.accepted;
      client.cache.set(clusters('bad'), 'test');
      const rejected = client.received.at(-1)?.version ?? '';
      client.answer(nackError);
      const messages = client.received.length;
      client.request(kinds.cluster.typeUrl, { responseNonce: client.received.at(-1)?.nonce });
      client.cache.set([...clusters('bad'), listener('unrelated')], 'test');
      client.clock.advance(60_000);
      expect(client.received).to.have.length(messages);
      const status = client.nodes.list()[0]?.types.cds;
      expect(status).to.deep.include({ accepted, sent: rejected });
      expect(status?.rejected).to.deep.include({ version: rejected, error: 'no good', resources: ['bad'] });
      expect(client.events.since(0).filter(({ event }) => event === 'nack')).to.have.length(1);

      client.cache.set(clusters('bad@fixed'), 'test');
      client.answer();
      expect(client.nodes.list()[0]?.types.cds?.rejected).to.equal(undefined);
    });

    it('tells who is connected, and forgets nobody when a stream ends', () => {
      const client = create();
      client.subscribe(kinds.cluster.typeUrl);
      expect(client.nodes.list()[0]).to.deep.include({ id: 'n1', cluster: 'c', userAgent: 'test 1', connected: true });
      client.session.close();
      expect(client.nodes.list()[0]).to.deep.include({ connected: false, streams: [] });
      expect(client.clock.pending, 'timers').to.equal(0);
      client.cache.set(clusters('a'), 'test');
      expect(client.received, 'nothing after the end').to.have.length(1);
      expect(client.events.since(0).map(({ event }) => event)).to.deep.equal(['connected', 'sent', 'disconnected']);
    });

    it('refuses what breaks the protocol', () => {
      const anonymous = create();
      expect(() => anonymous.request(kinds.cluster.typeUrl, { node: undefined })).to.throw(ProtocolError, 'node.id');
      expect(() => create().request('')).to.throw(ProtocolError, 'type_url is required');
      expect(() => create(kinds.cluster.typeUrl).request(kinds.route.typeUrl)).to.throw(ProtocolError, 'carries');
      const greedy = create();
      expect(() => {
        for (let index = 0; index < 100; index++) greedy.request(`type.googleapis.com/T${index}`);
      }).to.throw(RangeError, 'types on one stream');
    });

    it('takes the type of a stream of its own from the stream', () => {
      const client = create(kinds.listener.typeUrl);
      client.cache.set([listener('l')], 'test');
      client.request('');
      expect(client.received.map(describeResponse)).to.deep.equal(['lds l']);
    });

    it('answers types that it does not serve without resources', () => {
      const client = create();
      const typeUrl = 'type.googleapis.com/envoy.service.runtime.v3.Runtime';
      client.subscribe(typeUrl, ['x']);
      expect(client.received.map(({ removed }) => removed)).to.deep.equal(variant === 'delta' ? [['x']] : []);
    });
  });
}

describe('control-plane-sample: order', () => {
  it('is the one that the protocol asks for', () => {
    expect(kindsInOrder.map(({ shortName }) => shortName)).to.deep.equal(['cds', 'eds', 'lds', 'rds']);
  });
});
