import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import { loadNativeHost } from '../../../src/bridge/go/native-host.js';
import type { PreparedBridge } from '../../../src/bridge/prepared-bridge.js';
import { buildPeer } from '../../support/go-libraries.js';
import { startTcpServer, type TcpServer } from '../../support/tcp-server.js';
import { createHarness, eventually, type Harness, type Recorder, type TestRequest } from '../harness.js';
import { createGoTest, type GoTest } from './harness.js';

const panicText = 'error happened in golang http-tcp bridge\r\n';

/** How many exchanges Go knows of. */
function liveRequests(): number {
  const native = loadNativeHost();
  return native.available ? native.host.addon.liveRequests() : Number.NaN;
}

describe('Go runtime', () => {
  let go: GoTest;
  let server: TcpServer;
  let harness: Harness<PreparedBridge>;

  before(async function () {
    go = createGoTest(await buildPeer(this, 'conformance'));
  });

  beforeEach(async () => {
    go.log.lines.length = 0;
    go.goLog.lines.length = 0;
    server = await startTcpServer();
  });

  afterEach(async () => {
    await harness?.close();
    await server.close();
  });

  async function start(name: string): Promise<void> {
    harness = createHarness(await go.prepare(name), server.port);
  }

  async function exchange(name: string, request: TestRequest = {}): Promise<Recorder> {
    await start(name);
    return harness.send(request).ended();
  }

  it('gives all headers of the request, empty and repeated ones and bytes above ASCII too', async () => {
    const { summary } = await exchange('headers', {
      method: 'PATCH',
      headers: { 'x-two': 'a', 'x-empty': '', 'x-byte': '\xe9\xff' },
    });
    expect(summary).to.equal(
      'local 200 :method=["PATCH"]\n:path=["/path"]\n:scheme=["http"]\n:authority=["golang.bridge.com:80"]\n' +
        'x-two=["a"]\nx-empty=[""]\nx-byte=["\\xe9\\xff"]\n',
    );
  });

  it("lets Go's threads sleep a little longer than they ask for, and no others", async () => {
    await start('headers');
    const slack = (thread: number | string): number => Number(readFileSync(`/proc/${thread}/timerslack_ns`, 'utf8'));
    expect(slack(process.pid)).to.be.below(1_000_000);
    const relaxed = readdirSync('/proc/self/task').filter((thread) => slack(thread) === 1_000_000);
    expect(relaxed).to.have.length.above(1);
  });

  it('changes buffers in any order', async () => {
    const { summary } = await exchange('buffer_ops', { body: ['xxbody', '-rest'] });
    expect(summary).to.equal('local 200 ad-body-rest-tail!|head-body-rest-tail!|ad-body-rest-tail!|18');
  });

  /** What the plugin's operations, `kind size * times`, come to. */
  function edited(body: string, operations: string): string {
    let text = body;
    for (const [i, operation] of operations.split(' ').entries()) {
      const [, kind, size, times] = /^([sapd])(\d+)\*(\d+)$/.exec(operation) as RegExpExecArray;
      const bytes = String.fromCharCode(97 + (i % 26)).repeat(Number(size));
      for (let n = Number(times); n > 0; n--) {
        if (kind === 's') text = bytes;
        else if (kind === 'a') text += bytes;
        else if (kind === 'p') text = bytes + text;
        else text = text.slice(Number(size));
      }
    }
    return text;
  }

  for (const [title, operations] of [
    ['a little', 'd1*1 p3*1 a5*1'],
    ['one by one', 'p1*1000 a1*1000 d1*500 a1*10'],
    ['more than there is room for at first', 'a200000*1 p100000*1 a100000*2 d150000*1 p7*3 a1*300 p1*300 a30000*1'],
    ['piece after piece', 'a70000*8 d300000*1 p70000*8 d1*1'],
    ['all of it, again and again', 's300000*3 s5*1 a300000*1 s0*1 p4*2 a4*2'],
    ['and empty at the end', 'p10*2 a10*2 d100000000*1'],
  ] as const) {
    it(`changes buffers of many pieces: ${title}`, async () => {
      await start('buffer_script');
      const padding = Array.from({ length: 40 }, () => '.'.repeat(5000));
      const whole = operations + padding.join('');
      // At the same time: one must not get another's bytes.
      const all = [1, 2, 3].map(() => harness.send({ body: [operations, ...padding] }));
      for (const { ended } of all) expect((await ended()).summary).to.equal(`local 200 ${edited(whole, operations)}`);
    });
  }

  it('keeps response headers between calls, and refuses them once they are sent', async () => {
    await start('response_parts');
    const { result, ended } = harness.send({ more: true });
    await eventually(() => server.connections.length === 1);
    const socket = server.connections[0]?.socket;
    socket?.write('one');
    await eventually(() => harness.log.lines.length === 0 && result.headers === undefined);
    await new Promise((resolve) => setImmediate(resolve));
    socket?.write('two');
    await eventually(() => result.body === 'onetwo' || result.outcome !== undefined);
    expect(result.status).to.equal('201');
    expect(result.headers?.get('x-kept')).to.equal('one');
    socket?.write('three');
    expect((await ended()).summary).to.equal('reset after 201 onetwo (plugin_error)');
  });

  it('refuses response headers that can not be sent', async () => {
    await start('bad_header');
    const { ended } = harness.send({ more: true });
    await eventually(() => server.connections.length === 1);
    server.connections[0]?.socket.write('x');
    const { failure } = await ended();
    expect(failure?.kind).to.equal('plugin_error');
    expect(harness.log.lines.at(-1)?.text).to.include('x-bad');
  });

  it('answers a panic with the status that was set, and closes the connection', async () => {
    await start('panic_after_status');
    const { ended } = harness.send({ more: true });
    await eventually(() => server.connections.length === 1);
    server.connections[0]?.socket.write('x');
    expect((await ended()).summary).to.equal(`local 418 ${panicText}`);
    await eventually(() => server.connections[0]?.ended === true);
    expect(harness.stat('plugin_errors')).to.equal(1);
    expect(harness.log.lines.at(-1)?.text).to.include('panic: after the status');
    await eventually(() => go.goLog.lines.some(({ text }) => text.includes('panic serving: after the status')));
  });

  it('says that StopAndBuffer at the end of the request is the plugin error that the SDK makes of it', async () => {
    expect((await exchange('stop_at_end', { body: ['x'] })).summary).to.equal(`local 200 ${panicText}`);
  });

  it('refuses an answer that is none', async () => {
    expect((await exchange('wrong_status')).summary).to.equal('failure plugin_error');
  });

  it('never uses an address again whose OnDestroy panicked', async () => {
    const before = liveRequests();
    expect((await exchange('panic_in_destroy')).summary).to.equal('local 200 answer');
    expect(harness.stat('plugin_errors')).to.equal(1);
    expect(liveRequests()).to.equal(before + 1);
  });

  it('answers 500 for a plugin that is not in the library, and says so once per accepted version', async () => {
    await start('nobody');
    for (let i = 0; i < 3; i++) expect((await harness.send().ended()).summary).to.equal('failure plugin_error');
    const found = harness.log.lines.filter(({ level }) => level === 'error');
    expect(found.map(({ fields }) => fields)).to.deep.equal([
      { plugin: 'nobody', library: harness.bridge.config.libraryPath, cluster: 'cluster_0' },
    ]);
    expect(found[0]?.text).to.include('of cluster cluster_0 has no plugin "nobody"');
    expect(harness.stat('plugin_not_found')).to.equal(3);
    expect(harness.stat('plugin_errors')).to.equal(3);
    expect(harness.cluster.stats.counter('bridge.plugin_not_found').value).to.equal(3);
    await eventually(() => go.goLog.lines.some(({ text }) => text.includes('plugin nobody not found')));
    await harness.close();
    // The next accepted version says it again.
    expect((await exchange('nobody')).summary).to.equal('failure plugin_error');
    expect(harness.log.lines).to.have.lengthOf(1);
  });

  it('fails the exchange when a plugin fills a buffer without bounds', async () => {
    expect((await exchange('big')).summary).to.equal(`local 200 ${panicText}`);
  });

  it('forgets every exchange', async () => {
    await start('add_data');
    const before = liveRequests();
    for (let i = 0; i < 50; i++) {
      const { cancel } = harness.send({ headers: { 'data-to-upstream': 'x' } });
      if (i % 2 === 0) await eventually(() => harness.leased() > 0);
      cancel();
    }
    await eventually(() => liveRequests() === before);
  });

  it('logs at the level of the library, as far as ours goes', async () => {
    go.setLogLevel('info');
    await exchange('logs');
    await eventually(() => go.goLog.lines.length >= 2);
    expect(go.goLog.lines).to.deep.equal([
      { level: 'info', fields: { plugin: 'logs' }, text: 'an info line' },
      { level: 'warn', fields: { plugin: 'logs' }, text: 'a warning' },
    ]);
  });

  it('follows the level of our logger', async () => {
    await start('logs');
    const levels = async (): Promise<string> => {
      go.goLog.lines.length = 0;
      await harness.send().ended();
      await eventually(() => go.goLog.lines.some(({ level }) => level === 'warn'));
      return go.goLog.lines.map(({ level }) => level).join();
    };
    expect(await levels()).to.equal('info,warn');
    go.setLogLevel('warning');
    try {
      // The SDK asks for it every second.
      const deadline = Date.now() + 5_000;
      let seen = await levels();
      while (seen !== 'warn' && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        seen = await levels();
      }
      expect(seen).to.equal('warn');
    } finally {
      go.setLogLevel('info');
    }
  });

  it('gives the parsed configuration to every bridge, and lets go of it', async () => {
    const bridge = await go.prepare('parsing', { typeUrl: 'type.example/x', value: Buffer.from('value') });
    harness = createHarness(bridge, server.port);
    expect((await harness.send().ended()).summary).to.equal('local 200 type.example/x=value');
    bridge.release();
    bridge.release();
    expect(() => bridge.createBridge(undefined as never)).to.throw('released');
  });
});

describe('Go configurations', () => {
  it('are gone when they were released, however often they change, while exchanges run', async function () {
    const go = createGoTest(await buildPeer(this, 'conformance'));
    const native = loadNativeHost();
    if (!native.available) throw new Error(native.reason);
    const { addon } = native.host;
    const before = { requests: addon.liveRequests(), configs: addon.liveConfigs() };
    const server = await startTcpServer();
    for (let round = 0; round < 20; round++) {
      const bridges = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          go.prepare('parsing', { typeUrl: 't', value: Buffer.from(`${round}-${i}`) }),
        ),
      );
      const harnesses = bridges.map((bridge) => createHarness(bridge, server.port));
      const results = await Promise.all(harnesses.map((harness) => harness.send().ended()));
      expect(results.map(({ summary }) => summary)).to.deep.equal(results.map((_, i) => `local 200 t=${round}-${i}`));
      await Promise.all(harnesses.map((harness) => harness.close()));
    }
    await server.close();
    expect({ requests: addon.liveRequests(), configs: addon.liveConfigs() }).to.deep.equal(before);
  });
});

describe('a rogue Go library', () => {
  let go: GoTest;
  let server: TcpServer;
  let harness: Harness<PreparedBridge>;

  before(async function () {
    go = createGoTest(await buildPeer(this, 'rogue'));
  });

  beforeEach(async () => {
    server = await startTcpServer();
  });

  afterEach(async () => {
    await harness.close();
    await server.close();
  });

  const rogueCalls = (): number => go.stats.counter('bridge.rogue_calls').value;

  it('may use its request on goroutines after the call: nothing happens, and it is told', async () => {
    const before = rogueCalls();
    harness = createHarness(await go.prepare('after_return'), server.port);
    for (let i = 0; i < 20; i++) {
      const { ended } = harness.send({ body: ['body'] });
      await eventually(() => server.connections.at(-1)?.received().toString() === 'body'.repeat(i + 1));
      server.connections.at(-1)?.socket.write('answer');
      expect((await ended()).summary).to.equal('200 answer');
    }
    await eventually(() => rogueCalls() > before + 100);
    const line = go.log.lines.find(({ text }) => text.includes('used its request outside'));
    expect(line?.level).to.equal('error');
    expect(line?.fields.plugin).to.equal('after_return');
  });

  it('may use in one call what belongs to another: a panic that is answered', async () => {
    harness = createHarness(await go.prepare('keeper'), server.port);
    const send = async (what: string): Promise<string> =>
      (await harness.send({ headers: { 'x-what': what }, body: ['x'] }).ended()).summary;
    // The request's headers may be read as long as it is being sent.
    const { cancel } = harness.send({ headers: { 'x-what': 'nothing' }, body: ['x'] });
    await eventually(() => server.connections[0]?.received().toString() === 'x');
    expect(await send('buffer')).to.equal(`local 200 ${panicText}`);
    expect(await send('callbacks')).to.equal(`local 200 ${panicText}`);
    cancel();
  });

  for (const what of ['large', 'small'])
    it(`may read a header map that it kept from an earlier call: nothing is written behind the end of its memory (${what})`, async () => {
      go.goLog.lines.length = 0;
      harness = createHarness(await go.prepare('keeper'), server.port);
      const { ended } = harness.send({ headers: { 'x-what': what }, body: ['x'] });
      await eventually(() => server.connections.length === 1);
      const socket = server.connections[0]?.socket;
      for (const call of [1, 2, 3]) {
        socket?.write('x');
        await eventually(() => go.goLog.lines.some(({ text }) => text === `call ${call}`));
      }
      expect((await ended()).summary).to.equal(`local 200 ${panicText}`);
    });

  it('may do so on 1,000 goroutines per request', async () => {
    const before = rogueCalls();
    harness = createHarness(await go.prepare('many'), server.port);
    const results = await Promise.all(
      Array.from({ length: 20 }, () => harness.send({ headers: { 'x-a': 'b' } }).ended()),
    );
    expect(results.map(({ summary }) => summary)).to.deep.equal(results.map(() => 'local 200 '));
    await eventually(() => rogueCalls() >= before + 20_000);
  });

  it('may use its request on goroutines during the call: the buffer is not trusted any more', async () => {
    const before = rogueCalls();
    harness = createHarness(await go.prepare('during_call'), server.port);
    for (let i = 0; i < 20; i++) {
      const { summary } = await harness.send({ body: ['body'] }).ended();
      expect(summary).to.equal(`local 200 ${panicText}`);
    }
    await eventually(() => rogueCalls() > before);
  });
});
