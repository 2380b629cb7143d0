import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FrameError, frame, frameLength } from './frame.js';

const folder = dirname(fileURLToPath(import.meta.url));
const pontoonFolder = dirname(fileURLToPath(import.meta.resolve('pontoon/package.json')));

/** What the server does with a request; each test sets its own. */
let answer: (socket: Socket, payload: Buffer) => void;
let server: Server;
let pontoon: ChildProcess;
let files: string;
let url: string;

/** A server of the protocol, and a pontoon with one listener before it. */
before(async () => {
  server = createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (data) => {
      received = Buffer.concat([received, data]);
      const length = frameLength(received, 2 ** 20);
      if (length === undefined || received.length < length) return;
      const payload = received.subarray(4, length);
      received = received.subarray(length);
      answer(socket, payload);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  files = mkdtempSync(join(tmpdir(), 'bridge-test-'));
  writeFileSync(join(files, 'bootstrap.json'), JSON.stringify(bootstrap((server.address() as AddressInfo).port)));
  const flags = ['-c', join(files, 'bootstrap.json'), '--admin-address-path', join(files, 'admin')];
  const cli = join(pontoonFolder, 'dist', 'src', 'cli.js');
  pontoon = spawn(process.execPath, [cli, ...flags, '--plugin-root', folder], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  url = await listenerUrl();
});

after(async () => {
  pontoon?.kill();
  server?.close();
  rmSync(files, { recursive: true, force: true });
});

function bootstrap(port: number): object {
  const local = (port_value: number) => ({ socket_address: { address: '127.0.0.1', port_value } });
  const type = (name: string) => `type.googleapis.com/envoy.extensions.${name}`;
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: local(port) } }] }];
  return {
    admin: { address: local(0) },
    static_resources: {
      clusters: [
        {
          name: 'bridge',
          load_assignment: { cluster_name: 'bridge', endpoints },
          upstream_config: {
            name: 'envoy.upstreams.http.tcp.golang',
            typed_config: {
              '@type': type('upstreams.http.tcp.golang.v3alpha.Config'),
              library_id: 'skeleton',
              library_path: join(folder, 'index.js'),
              plugin_name: 'skeleton',
              plugin_config: {
                '@type': 'type.googleapis.com/xds.type.v3.TypedStruct',
                value: { max_frame_size: 1024 },
              },
            },
          },
        },
      ],
      listeners: [
        {
          name: 'http',
          address: local(0),
          filter_chains: [
            {
              filters: [
                {
                  name: 'http',
                  typed_config: {
                    '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
                    stat_prefix: 'test',
                    route_config: {
                      virtual_hosts: [
                        {
                          name: 'all',
                          domains: ['*'],
                          routes: [{ match: { prefix: '/' }, route: { cluster: 'bridge' } }],
                        },
                      ],
                    },
                    http_filters: [
                      { name: 'router', typed_config: { '@type': type('filters.http.router.v3.Router') } },
                    ],
                  },
                },
              ],
            },
          ],
        },
      ],
    },
  };
}

async function listenerUrl(): Promise<string> {
  for (;;) {
    if (pontoon.exitCode !== null) throw new Error(`pontoon ended with ${pontoon.exitCode}`);
    const admin = await readFile(join(files, 'admin'), 'utf8').catch(() => '');
    const listeners =
      admin === '' ? '' : await fetch(`http://${admin.trim()}/listeners`).then((response) => response.text());
    const found = /^http::(\S+)$/m.exec(listeners)?.[1];
    if (found !== undefined) return `http://${found}`;
    await sleep(20);
  }
}

async function post(body: string): Promise<string> {
  const response = await fetch(url, { method: 'POST', body });
  return `${response.status} ${await response.text()}`;
}

test('a request becomes a frame, its answer the response', async () => {
  answer = (socket, payload) => void socket.write(frame(Buffer.from(`you said ${payload}`)));
  assert.equal(await post('hello'), '200 you said hello');
  assert.equal(await post(''), '200 you said ');
});

test('an answer may come in any pieces', async () => {
  const whole = frame(Buffer.from('hello'));
  for (let cut = 1; cut < whole.length; cut++) {
    answer = async (socket) => {
      socket.write(whole.subarray(0, cut));
      await sleep(5);
      socket.write(whole.subarray(cut));
    };
    assert.equal(await post('x'), '200 hello', `cut after ${cut} bytes`);
  }
});

test('a request that is too large is 413, and reaches nobody', async () => {
  answer = () => assert.fail('the server was asked');
  assert.equal(await post('x'.repeat(1021)), '413 the body must have at most 1020 bytes\n');
});

test('an answer that is too large is 502', async () => {
  answer = (socket) => void socket.write(frame(Buffer.alloc(2000)));
  assert.equal(await post('x'), '502 the server announced a frame of 2004 bytes; allowed are 1024\n');
});

test('an answer that is cut short is 503', async () => {
  answer = (socket) => void socket.end(frame(Buffer.from('hello')).subarray(0, 6));
  assert.match(await post('x'), /^503 /);
});

test('frames', () => {
  assert.equal(frameLength(Buffer.from([0, 0, 0]), 100), undefined);
  assert.equal(frameLength(Buffer.from([0, 0, 0, 5]), 100), 9);
  assert.throws(() => frameLength(Buffer.from([0, 0, 0, 97]), 100), FrameError);
});
