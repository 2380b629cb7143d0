import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import type { Answer, Ask } from '../../bench/config-scale/background-client.js';
import { GoControlPlane } from '../support/go-control-plane.js';

const cluster = (connectTimeout: string) => ({
  name: 'a',
  type: 'EDS',
  connect_timeout: connectTimeout,
  eds_cluster_config: { eds_config: { ads: {}, resource_api_version: 'V3' } },
});

describe("the benchmark's client in the background", () => {
  let status = 200;
  let server: Server;
  let child: ChildProcess;
  let controlPlane: GoControlPlane;

  const ask = async (one: Ask): Promise<Answer> => {
    const answer = once(child, 'message');
    child.send(one);
    return (await answer)[0] as Answer;
  };
  const change = (connectTimeout: string) => ({
    url: `${controlPlane.api}/resources`,
    body: JSON.stringify({ kind: 'clusters', update: [cluster(connectTimeout)] }),
  });

  before(async function () {
    GoControlPlane.require(this);
    controlPlane = await GoControlPlane.start(['-cache', 'linear']);
    await controlPlane.putSnapshot({ version: '1', nodeId: 'x', resources: { clusters: [cluster('1s')] } });
    server = createServer((request, response) => {
      response.statusCode = request.url === '/changing' ? status : 404;
      request.resume();
      response.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    child = fork(new URL('../../bench/config-scale/background-process.js', import.meta.url), [
      String(port),
      '/changing',
    ]);
  });

  after(async () => {
    child?.kill();
    server?.closeAllConnections();
    server?.close();
    await controlPlane?.close();
  });

  it('waits until its path is answered as it should be', async () => {
    expect(await ask({ status: 200 })).to.have.property('ms');
    const seen = ask({ status: 503 });
    expect(await ask503After(seen)).to.have.property('ms');
  });

  /** The answer changes only while it is waited for. */
  async function ask503After(seen: Promise<Answer>): Promise<Answer> {
    await once(server, 'request');
    status = 503;
    return seen;
  }

  it('makes a change, and says what went wrong with one', async () => {
    expect(await ask({ patch: change('2s') })).to.have.property('ms');
    const { error } = await ask({ patch: { ...change('3s'), body: '{"kind":"none"}' } });
    expect(error).to.match(/^PATCH http.*: 4\d\d .*none/s);
  });

  it('follows a control plane: acknowledges all clusters, and each change', async () => {
    expect(await ask({ follow: controlPlane.address })).to.have.property('ms');
    const first = await controlPlane.waitForRequest(({ kind, ack }) => kind === 'delta' && ack === 'ack');
    expect(first.type_url).to.equal('type.googleapis.com/envoy.config.cluster.v3.Cluster');
    await ask({ patch: change('4s') });
    await controlPlane.waitForRequest(
      ({ ack, stream_id }) => ack === 'ack' && stream_id === first.stream_id,
      first.seq,
    );
  });
});
