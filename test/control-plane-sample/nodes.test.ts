import { expect } from 'chai';
import { EventLog } from '../../control-plane-sample/events.js';
import { NodeRegistry } from '../../control-plane-sample/nodes.js';
import { kinds } from '../../control-plane-sample/resource-kind.js';

const node = (id: string) => ({ id, cluster: '', userAgentName: '', userAgentVersion: '', metadata: {} });
const stream = (id: number, service = 'ads') => ({ id, variant: 'sotw', service }) as const;
const { typeUrl } = kinds.endpoints;

describe('control-plane-sample: nodes', () => {
  const eds = (nodes: NodeRegistry) => nodes.list()[0]?.types.eds;

  it('joins the streams of a client that has several for one type, a rejection first', () => {
    const nodes = new NodeRegistry(() => 0);
    for (const id of [1, 2, 3]) {
      nodes.connect(node('n'), stream(id, 'eds'));
      const status = nodes.type('n', id, typeUrl);
      Object.assign(status ?? {}, { subscribed: 1, sent: `v${id}`, accepted: `v${id}`, responses: 2, unanswered: 0 });
    }
    expect(eds(nodes)).to.deep.include({
      subscribed: 3,
      sent: 'v3',
      accepted: 'v3',
      responses: 6,
      rejected: undefined,
    });
    const rejected = { version: 'v1', error: 'no', resources: ['a'], at: '' };
    Object.assign(nodes.type('n', 1, typeUrl) ?? {}, { rejected });
    expect(eds(nodes)).to.deep.include({ sent: 'v1', rejected });
    nodes.disconnect('n', 1);
    expect(eds(nodes)).to.deep.include({ subscribed: 2, rejected: undefined, sent: 'v3' });
  });

  it('keeps what a client had that is gone, and goes on from there when it comes back', () => {
    const nodes = new NodeRegistry(() => 0);
    const rejected = { version: 'v2', error: 'no', resources: [], at: '' };
    nodes.connect(node('n'), stream(1));
    Object.assign(nodes.type('n', 1, typeUrl) ?? {}, { sent: 'v2', accepted: 'v1', rejected, unanswered: 1 });
    nodes.disconnect('n', 1);
    expect(nodes.list()[0]).to.deep.include({ connected: false });
    expect(eds(nodes)).to.deep.include({ accepted: 'v1', rejected, unanswered: 0 });
    nodes.connect(node('n'), stream(2));
    nodes.type('n', 2, typeUrl);
    expect(eds(nodes)).to.deep.include({ accepted: 'v1', rejected, sent: undefined, unanswered: 0 });
  });

  it('forgets the longest absent, never the connected', () => {
    const nodes = new NodeRegistry(() => 0);
    nodes.connect(node('stays'), stream(0));
    for (let id = 1; id <= 1_500; id++) {
      nodes.connect(node(`n${id}`), stream(id));
      nodes.disconnect(`n${id}`, id);
    }
    const ids = nodes.list().map(({ id }) => id);
    expect(ids).to.have.length(1_000);
    expect(ids).to.include('stays').and.include('n1500').and.not.include('n1');
  });

  it('keeps a limited number of types per node', () => {
    const nodes = new NodeRegistry(() => 0);
    nodes.connect(node('n'), stream(1));
    for (let index = 0; index < 100; index++) nodes.type('n', 1, `type.googleapis.com/T${index}`);
    expect(Object.keys(nodes.list()[0]?.types ?? {})).to.have.length(64);
  });
});

describe('control-plane-sample: event log', () => {
  it('keeps the last events only, with numbers that go on', () => {
    const log = new EventLog(() => 0, 3);
    for (let index = 0; index < 5; index++) log.add({ event: 'refused', source: `${index}`, reasons: [] });
    expect(log.since(0).map(({ seq }) => seq)).to.deep.equal([3, 4, 5]);
    expect(log.since(4).map(({ seq }) => seq)).to.deep.equal([5]);
    expect(log.lastSeq).to.equal(5);
  });
});
