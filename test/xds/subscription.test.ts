import { expect } from 'chai';
import fc from 'fast-check';
import { delta } from '../../src/xds/delta-subscription.js';
import type { DeltaDiscoveryRequest, DiscoveryRequest } from '../../src/xds/discovery.js';
import { statusOf } from '../../src/xds/error-detail.js';
import { Interest } from '../../src/xds/interest.js';
import { sotw } from '../../src/xds/sotw-subscription.js';
import type { Answer, Subscription } from '../../src/xds/subscription.js';

const typeUrl = 'type.googleapis.com/t';

type Command =
  | { readonly kind: 'add'; readonly name: string }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'wildcard'; readonly on: boolean }
  | { readonly kind: 'speak' }
  | { readonly kind: 'answer'; readonly good: boolean }
  | { readonly kind: 'reconnect' };

const names = fc.constantFrom('a', 'b', 'c', '__proto__');
const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('add' as const), name: names }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), name: names }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('wildcard' as const), on: fc.boolean() }) },
    { weight: 3, arbitrary: fc.constant({ kind: 'speak' as const }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('answer' as const), good: fc.boolean() }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'reconnect' as const }) },
  ),
  { maxLength: 40 },
);

/** What a server makes of the requests on one stream, as the protocol's page says it should. */
interface ModelServer {
  requests: number;
  /** Names that are subscribed, `*` among them. */
  readonly wanted: Set<string>;
  /** A name was given, so that an empty list is empty. */
  named: boolean;
}

/** Runs the commands; `check` sees every request with the state of the model before it. */
function run(
  list: readonly Command[],
  create: (interest: Interest, accepted: Map<string, string>) => Subscription,
  check: (
    request: object,
    context: { server: ModelServer; answer: Answer | undefined; version: string; nonce: string },
  ) => void,
): { subscription: Subscription; interest: Interest; server: ModelServer; speak: () => void } {
  const interest = new Interest();
  const accepted = new Map<string, string>();
  const subscription = create(interest, accepted);
  let server: ModelServer = { requests: 0, wanted: new Set(), named: false };
  let version = '';
  let nonce = '';
  let count = 0;
  const say = (answer?: Answer) => {
    const request = subscription.nextRequest(answer);
    if (!request) return;
    if (answer) nonce = answer.nonce;
    check(request, { server, answer, version, nonce });
    server.requests++;
  };
  const speak = () => {
    for (let guard = 0; subscription.pending; guard++) {
      expect(guard).to.be.lessThan(3);
      say();
    }
  };
  for (const command of list) {
    if (command.kind === 'add') interest.add(command.name);
    else if (command.kind === 'remove') interest.remove(command.name);
    else if (command.kind === 'wildcard') interest.setWildcard(command.on);
    else if (command.kind === 'speak') speak();
    else if (command.kind === 'reconnect') {
      subscription.streamStarted();
      server = { requests: 0, wanted: new Set(), named: false };
      nonce = '';
    } else if (subscription.requested) {
      count++;
      if (command.good) {
        version = `v${count}`;
        subscription.accepted(version);
        for (const name of interest.names) accepted.set(name, version);
      }
      say({ nonce: `n${count}`, error: command.good ? undefined : statusOf('bad') });
    }
  }
  return { subscription, interest, server, speak };
}

function expected(interest: Interest): string[] {
  return [...(interest.wildcard ? ['*'] : []), ...interest.names].toSorted();
}

describe('SotW subscription', () => {
  it('keeps the server informed, whatever happens', () => {
    fc.assert(
      fc.property(commands, (list) => {
        const { interest, server, speak } = run(
          list,
          (wanted) => sotw.createSubscription(typeUrl, wanted, () => []),
          (object, context) => {
            const request = object as DiscoveryRequest;
            expect(request.type_url).to.equal(typeUrl);
            expect(request.version_info).to.equal(context.version);
            expect(request.response_nonce).to.equal(context.nonce);
            expect(request.error_detail).to.equal(context.answer?.error);
            const { resource_names: list } = request;
            expect(new Set(list).size).to.equal(list.length);
            context.server.wanted.clear();
            for (const name of list) context.server.wanted.add(name);
            if (list.length > 0) context.server.named = true;
            else if (!context.server.named) context.server.wanted.add('*');
          },
        );
        speak();
        // The one thing that cannot be said: that an empty list which meant everything now means nothing.
        const unsayable = interest.empty && !server.named;
        if (server.requests > 0 && !unsayable) expect([...server.wanted].toSorted()).to.deep.equal(expected(interest));
        else if (server.requests === 0) expect(interest.empty).to.equal(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('says nothing twice', () => {
    const interest = new Interest();
    const subscription = sotw.createSubscription(typeUrl, interest, () => []);
    interest.add('a');
    expect(subscription.nextRequest()).to.not.equal(undefined);
    interest.remove('a');
    interest.add('a');
    expect(subscription.pending).to.equal(true);
    expect(subscription.nextRequest()).to.equal(undefined);
    expect(subscription.pending).to.equal(false);
  });
});

describe('Delta subscription', () => {
  it('keeps the server informed, whatever happens', () => {
    fc.assert(
      fc.property(commands, (list) => {
        let held: ReadonlyMap<string, string> = new Map();
        const { interest, server, speak } = run(
          list,
          (wanted, accepted) => {
            held = accepted;
            return delta.createSubscription(typeUrl, wanted, () => accepted);
          },
          (object, { server, answer, nonce }) => {
            const request = object as DeltaDiscoveryRequest;
            const { resource_names_subscribe: subscribe, resource_names_unsubscribe: unsubscribe } = request;
            expect(request.type_url).to.equal(typeUrl);
            expect(request.response_nonce).to.equal(answer ? nonce : '');
            expect(request.error_detail).to.equal(answer?.error);
            const first = server.requests === 0;
            expect(Object.entries(request.initial_resource_versions)).to.deep.equal(first ? [...held] : []);
            if (first && subscribe.length === 0) server.wanted.add('*');
            for (const name of subscribe) {
              expect(server.wanted.has(name), `${name} is subscribed already`).to.equal(false);
              server.wanted.add(name);
            }
            for (const name of unsubscribe) {
              expect(server.wanted.delete(name), `${name} is not subscribed`).to.equal(true);
            }
          },
        );
        speak();
        if (server.requests > 0) expect([...server.wanted].toSorted()).to.deep.equal(expected(interest));
        else expect(interest.empty).to.equal(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it('says nothing when nothing changed', () => {
    const interest = new Interest();
    const subscription = delta.createSubscription(typeUrl, interest, () => []);
    interest.add('a');
    expect(subscription.nextRequest()).to.deep.include({ resource_names_subscribe: ['a'] });
    interest.remove('a');
    interest.add('a');
    expect(subscription.nextRequest()).to.equal(undefined);
    interest.remove('a');
    expect(subscription.nextRequest()).to.deep.include({ resource_names_unsubscribe: ['a'] });
    interest.add('a');
    expect(subscription.nextRequest()).to.deep.include({ resource_names_subscribe: ['a'] });
  });
});
