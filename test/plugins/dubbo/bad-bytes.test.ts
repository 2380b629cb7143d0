import { expect } from 'chai';
import { bridgeCluster, httpListener, type Pontoon, startPontoon } from '../../support/pontoon.js';
import { routesTo, staticBootstrap } from '../../support/static-bootstrap.js';
import { startTcpServer, type TcpServer } from '../../support/tcp-server.js';
import { until } from '../../support/until.js';
import { hello } from './messages.js';
import { responseFrame } from './support.js';

const stdout = 'type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog';
const accessLog = `access_log: [{name: out, typed_config: {"@type": ${stdout}, log_format: {text_format_source: {inline_string: "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\\n"}}}}],`;

describe('plugins/dubbo, bytes on a shared connection that are not the protocol’s', () => {
  let server: TcpServer;
  let pontoon: Pontoon;
  let answer: Buffer;
  let ends: boolean;
  before(async () => {
    server = await startTcpServer({ onData: ({ socket }) => void (ends ? socket.end(answer) : socket.write(answer)) });
    const config = JSON.stringify({ limits: { max_request_frame: 2000, max_response_frame: 2000 } });
    const bridge = { library: 'plugins/dubbo/index.ts', plugin: 'dubbo', config };
    pontoon = await startPontoon({
      bootstrap: staticBootstrap({
        clusters: [bridgeCluster({ name: 'bridge', ports: [server.port], ...bridge })],
        listeners: [httpListener('http', 'ingress', routesTo('bridge'), accessLog)],
      }),
    });
  });
  after(async () => {
    await pontoon?.stop();
    await server?.close();
  });

  const cases: [string, Buffer, ...'ends'[]][] = [
    ['a wrong magic', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a frame that is too large', responseFrame(Buffer.alloc(2001))],
    ['an id that no call has', responseFrame(hello, { id: 4711n })],
    ['a request', responseFrame(hello, { flags: 0xc2 })],
    // The first id of a connection.
    ['a frame that is cut short', responseFrame(hello, { id: 1n }).subarray(0, -1), 'ends'],
  ];
  for (const [index, [name, bytes, end]] of cases.entries()) {
    it(`${name}: 502, flag UPE, and the connection is closed`, async () => {
      answer = bytes;
      ends = end === 'ends';
      const response = await fetch(`${await pontoon.listener('http')}/a.B/c`, { method: 'POST' });
      expect([response.status, await response.text()]).to.deep.equal([
        502,
        'upstream connect error or disconnect/reset before headers. reset reason: protocol error',
      ]);
      await until('the access log', () => pontoon.stdout().split('\n').length > index + 1 || undefined);
      expect(pontoon.stdout().trim().split('\n').at(-1)).to.equal(
        '502 UPE upstream_reset_before_response_started{protocol_error}',
      );
      await until('the end of the connection', () => server.connections.at(-1)?.ended || undefined);
      expect(server.connections).to.have.length(index + 1);
      expect(await pontoon.stat('cluster.bridge.upstream_cx_protocol_error')).to.equal(index + 1);
      expect(await pontoon.stat('bridge.dubbo.protocol_errors')).to.equal(index + 1);
    });
  }
});
