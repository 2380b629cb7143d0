import { compile } from '../tools/compile.js';
import { launch } from '../tools/launch.js';

export type UpstreamKind = 'framed' | 'framed with ids' | 'http' | 'dubbo';

/** Since the server's start. */
export interface Answered {
  readonly answers: number;
  /** Of payloads. */
  readonly bytes: number;
}

export interface Counts extends Answered {
  readonly connections: number;
}

/** The server behind the proxies. */
export interface Upstream {
  readonly port: number;
  counts(): Promise<Answered>;
  stop(): Promise<void>;
}

export interface CountingServer extends Upstream {
  readonly pid: number;
  counts(): Promise<Counts>;
}

/** Bytes of a frame's header where it has an id: length, then id. */
export const idHeader = { header_size: 8, id_offset: 4, id_size: 4 };

export type ServerInC = Exclude<UpstreamKind, 'dubbo'> | 'constant';

const programs: Readonly<Record<ServerInC, readonly [string, ...string[]]>> = {
  framed: ['framed_echo', '4', 'in_order'],
  'framed with ids': ['framed_echo', String(idHeader.header_size), 'by_id'],
  http: ['http_server', 'echo'],
  constant: ['http_server', 'constant'],
};

/** Starts one of the servers in C, on a free port. */
export async function startServer(kind: ServerInC, cpus: string): Promise<CountingServer> {
  const [name, ...args] = programs[kind];
  const program = await compile(`upstream/${name}.c`, name);
  const child = launch(program, args, { cpus });
  const [, port] = await child.outputs(/listening (\d+)\n/);
  return {
    pid: child.pid,
    port: Number(port),
    async counts() {
      const from = child.stdout().length;
      process.kill(child.pid, 'SIGUSR1');
      const [line] = await child.outputs(/\{.*\}(?=\n)/, from);
      return JSON.parse(line) as Counts;
    },
    stop: child.stop,
  };
}
