import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianTool } from '../tools/debian.js';
import { freePort, type Peer, startProxy } from './peer.js';

const config = (port: number, upstreamPort: number) => `
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 3600s
  http-reuse always
frontend http
  bind 127.0.0.1:${port} backlog 4096
  default_backend server
backend server
  server one 127.0.0.1:${upstreamPort} pool-max-conn 1024
`;

/** HTTP on both sides: no bridge's work, but what two hops cost in C. One thread. */
export const haproxy: Peer = {
  title: 'HAProxy, HTTP to HTTP',
  upstream: 'http',
  async start(site) {
    const tool = await debianTool('haproxy');
    const port = await freePort();
    const file = join(site.folder, 'haproxy.cfg');
    writeFileSync(file, config(port, site.upstreamPort));
    const args = ['-db', '-q', '-f', file];
    return {
      ...(await startProxy(tool.command, args, { cpus: site.cpus, env: tool.env, port })),
      version: tool.version,
    };
  },
};
