import { expect } from 'chai';
import { type RunningControlPlane, startControlPlane } from '../../control-plane-sample/control-plane.js';
import { kinds, kindsInOrder } from '../../control-plane-sample/resource-kind.js';
import { createLogging } from '../../src/log.js';
import { loadSchema } from '../../src/protobuf/schema.js';
import { openStream, type Received, type XdsStream } from './grpc-client.js';
import { waitFor } from './wait.js';

const log = createLogging('off').logger('test');
const node = { id: 'test-node', user_agent_name: 'test' };
const edsCluster = (name: string) => ({ name, type: 'EDS', eds_cluster_config: { eds_config: { ads: {} } } });

/** The names in a response, read from the resources themselves. */
function namesOf(response: Received): unknown[] {
  const kind = kindsInOrder.find(({ typeUrl }) => typeUrl === response.type_url);
  return response.resources.map((item) => {
    const any = ('resource' in (item as object) ? (item as { resource: object }).resource : item) as {
      type_url: string;
      value: Buffer;
    };
    expect(any.type_url).to.equal(response.type_url);
    return loadSchema().decode<Record<string, unknown>>(kind?.typeName ?? '', any.value)[kind?.nameField ?? ''];
  });
}

for (const variant of ['sotw', 'delta'] as const) {
  describe(`control-plane-sample: ${variant} over gRPC`, () => {
    let controlPlane: RunningControlPlane;
    let streams: XdsStream[];
    const open = (kind?: (typeof kindsInOrder)[number]) => {
      const stream = openStream(controlPlane.xdsPort, variant, kind);
      streams.push(stream);
      return stream;
    };
    const subscribe = (type_url: string, names: string[] = []) => ({
      node,
      type_url,
      ...(variant === 'sotw' ? { resource_names: names } : { resource_names_subscribe: names }),
    });
    const answer = (response: Received, names: string[] = [], error?: string) => ({
      type_url: response.type_url,
      response_nonce: response.nonce,
      ...(variant === 'sotw' && { resource_names: names, version_info: error ? '' : response.version_info }),
      ...(error && { error_detail: { code: 13, message: error } }),
    });
    const status = (type: string) => controlPlane.nodes().find(({ id }) => id === 'test-node')?.types[type];

    beforeEach(async () => {
      streams = [];
      controlPlane = await startControlPlane({
        resources: {
          clusters: [edsCluster('a'), { name: 'plain' }],
          endpoints: [{ cluster_name: 'a' }],
          listeners: [{ name: 'l' }],
          routes: [{ name: 'r' }],
        },
        port: 0,
        httpPort: 0,
        log,
      });
    });
    afterEach(async () => {
      for (const stream of streams) stream.close();
      await controlPlane.close();
    });

    it('serves all types on one stream', async () => {
      const stream = open();
      const wanted = [
        [kinds.cluster, [], ['a', 'plain']],
        [kinds.endpoints, ['a'], ['a']],
        [kinds.listener, ['*'], ['l']],
        [kinds.route, ['r'], ['r']],
      ] as const;
      for (const [index, [kind, names, expected]] of wanted.entries()) {
        stream.send(subscribe(kind.typeUrl, [...names]));
        const response = await stream.response(index + 1);
        expect(response.type_url).to.equal(kind.typeUrl);
        expect(namesOf(response)).to.deep.equal(expected);
        stream.send(answer(response, [...names]));
        await waitFor('the ACK', () => status(kind.shortName)?.accepted !== undefined);
      }
    });

    for (const kind of kindsInOrder) {
      it(`serves ${kind.shortName} on a stream of its own`, async () => {
        const stream = open(kind);
        stream.send(subscribe('', ['*']));
        const response = await stream.response(1);
        expect(response.type_url).to.equal(kind.typeUrl);
        expect(response.resources).to.not.deep.equal([]);
      });
    }

    it('sends updates and removals, remembers a NACK, and sends nothing twice', async () => {
      const stream = open();
      stream.send(subscribe(kinds.cluster.typeUrl));
      stream.send(answer(await stream.response(1)));
      await waitFor('the ACK', () => status('cds')?.accepted);

      controlPlane.setResources({ clusters: [{ name: 'plain', connect_timeout: '3s' }, { name: 'new' }] });
      const step = await stream.response(2);
      expect(namesOf(step)).to.have.members(variant === 'sotw' ? ['a', 'plain', 'new'] : ['plain', 'new']);
      stream.send(answer(step));
      const removal = await stream.response(3);
      expect(namesOf(removal)).to.have.members(variant === 'sotw' ? ['plain', 'new'] : []);
      if (variant === 'delta') expect(removal.removed_resources).to.deep.equal(['a']);
      stream.send(answer(removal));
      await waitFor('the ACK', () => controlPlane.events.since(0).filter(({ event }) => event === 'ack').length === 3);

      controlPlane.setResources({ clusters: [{ name: 'plain', connect_timeout: '4s' }, { name: 'new' }] });
      const bad = await stream.response(4);
      stream.send(answer(bad, [], 'plain: I do not like 4s'));
      await waitFor('the NACK', () => status('cds')?.rejected?.error === 'plain: I do not like 4s');
      controlPlane.setResources({
        clusters: [{ name: 'plain', connect_timeout: '4s' }, { name: 'new' }],
        listeners: [{ name: 'other' }],
      });
      expect(status('cds')?.accepted).to.not.equal(status('cds')?.sent);
      // Anything that was sent wrongly would come before the answer to this.
      stream.send(subscribe(kinds.listener.typeUrl));
      expect((await stream.response(5)).type_url).to.equal(kinds.listener.typeUrl);
      expect(stream.received).to.have.length(5);
    });

    it('does not send again what a client has that comes back', async () => {
      const first = open();
      first.send(subscribe(kinds.cluster.typeUrl));
      const response = await first.response(1);
      first.send(answer(response));
      await waitFor('the ACK', () => status('cds')?.accepted);
      first.close();
      await waitFor('the end', () => controlPlane.nodes()[0]?.connected === false);

      const second = open();
      const known =
        variant === 'sotw'
          ? { version_info: response.version_info }
          : {
              initial_resource_versions: Object.fromEntries(
                response.resources.map((item) => [
                  (item as { name: string }).name,
                  (item as { version: string }).version,
                ]),
              ),
            };
      second.send({ ...subscribe(kinds.cluster.typeUrl), ...known });
      second.send(subscribe(kinds.listener.typeUrl));
      await second.response(1);
      if (variant === 'delta') {
        // The wildcard's first answer, which has nothing new in it.
        expect(second.received[0]).to.deep.include({ resources: [], removed_resources: [] });
      } else expect(second.received[0]?.type_url).to.equal(kinds.listener.typeUrl);
    });

    it('ends a stream that breaks the protocol, with the reason', async () => {
      for (const [request, reason] of [
        [{ type_url: kinds.cluster.typeUrl }, /3 INVALID_ARGUMENT.*node\.id/],
        [{ node }, /3 INVALID_ARGUMENT.*type_url is required/],
      ] as const) {
        const stream = open();
        stream.send(request);
        expect((await waitFor('the end', () => stream.errors[0])).message).to.match(reason);
      }
      const survivor = open();
      survivor.send(subscribe(kinds.cluster.typeUrl));
      await survivor.response(1);
    });

    it('keeps one response for a client that does not answer, and does not keep the others waiting', async () => {
      const [slow, quick] = [open(), open()];
      slow.send({ ...subscribe(kinds.cluster.typeUrl), node: { id: 'slow' } });
      await slow.response(1);
      quick.send(subscribe(kinds.cluster.typeUrl));
      for (let version = 1; version <= 20; version++) {
        quick.send(answer(await quick.response(version)));
        controlPlane.setResources({ clusters: [{ name: 'plain', connect_timeout: `${version}s` }] });
      }
      quick.send(answer(await quick.response(21)));
      const ofSlow = controlPlane.events.since(0).filter((event) => event.event === 'sent' && event.node === 'slow');
      expect(ofSlow).to.have.lengthOf(1);
      expect(controlPlane.nodes().find(({ id }) => id === 'slow')?.types.cds?.unanswered).to.equal(1);
      slow.send(answer(slow.received[0] as Received));
      await slow.response(2);
    });

    it('survives bytes that are no request', async () => {
      const stream = open();
      stream.send({ node: { id: 'x', metadata: { fields: { deep: nested(200) } } }, type_url: kinds.cluster.typeUrl });
      await waitFor('an answer or an end', () => stream.errors.length + stream.received.length > 0);
      const survivor = open();
      survivor.send(subscribe(kinds.cluster.typeUrl));
      await survivor.response(1);
    });
  });
}

function nested(depth: number): object {
  let value: object = { stringValue: 'x' };
  for (let level = 0; level < depth; level++) value = { listValue: { values: [value] } };
  return value;
}

describe('control-plane-sample: start', () => {
  it('says which port is taken, and leaves nothing open', async () => {
    const first = await startControlPlane({ resources: {}, port: 0, httpPort: 0, log });
    for (const ports of [
      { port: first.xdsPort, httpPort: 0 },
      { port: 0, httpPort: first.httpPort },
    ]) {
      const error = await startControlPlane({ resources: {}, ...ports, log }).catch((failure: unknown) => failure);
      expect(String(error)).to.match(/cannot listen on 127\.0\.0\.1:\d+/);
    }
    await first.close();
    const again = await startControlPlane({ resources: {}, port: first.xdsPort, httpPort: first.httpPort, log });
    await again.close();
  });
});
