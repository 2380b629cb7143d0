import { defaultPorts } from './demo-ports.js';

/** What `npm start` prints: the lines to try. `listener` and `admin` are `host:port`. README has the same lines with the default ports. */
export function guide(listener: string, admin: string, httpPort: number): string {
  const http = httpPort === defaultPorts.httpPort ? '' : ` --http ${httpPort}`;
  const push = `npm run --silent control-plane -- push${http} control-plane-sample/changes/clusters`;
  return `
Pontoon is ready. In another terminal, in this folder: an HTTP request, which the TCP servers see as a frame of bytes, and the cluster's state

  curl -d 'hello' http://${listener}/
  curl http://${admin}/clusters

A new version of the cluster, with another plugin, while requests run

  ${push}/shout.yaml
  curl -d 'hello' http://${listener}/

A version that can't run: Pontoon refuses it by a NACK, which is shown below, and goes on with what it has

  ${push}/refused.yaml
  curl -d 'hello' http://${listener}/

Back to the files of control-plane-sample/resources, whose changes are served too

  npm run --silent control-plane -- reset${http}

Ctrl-C ends everything.
`;
}
