import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { debianTool } from '../tools/debian.js';
import { freePort, type Peer, startProxy } from './peer.js';

const config = (port: number, upstreamPort: number) => `
worker_processes 1;
daemon off;
pid nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  client_max_body_size 8m;
  client_body_buffer_size 2m; # bodies never go to files
  proxy_max_temp_file_size 0;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  upstream server {
    server 127.0.0.1:${upstreamPort};
    keepalive 1024;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://server;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffer_size 32k;
      proxy_buffers 8 32k;
    }
  }
}
`;

/** HTTP on both sides: no bridge's work, but what two hops cost in C. One worker. */
export const nginx: Peer = {
  title: 'nginx, HTTP to HTTP',
  upstream: 'http',
  async start(site) {
    const tool = await debianTool('nginx');
    const port = await freePort();
    const file = join(site.folder, 'nginx.conf');
    writeFileSync(file, config(port, site.upstreamPort));
    const args = ['-p', `${site.folder}/`, '-e', 'stderr', '-c', file];
    return {
      ...(await startProxy(tool.command, args, { cpus: site.cpus, env: tool.env, port })),
      version: tool.version,
    };
  },
};
