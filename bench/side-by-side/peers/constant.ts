import { startServer } from '../upstream/upstream.js';
import type { Peer } from './peer.js';

/** The floor: a server in C that answers constant bytes, without any proxy. */
export const constant: Peer = {
  title: 'C server, no proxy',
  upstream: 'none',
  async start({ cpus }) {
    const started = performance.now();
    const { pid, port, counts, stop } = await startServer('constant', cpus);
    return { pid, port, counts, stop, version: '', startUpMs: performance.now() - started };
  },
};
