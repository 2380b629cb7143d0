import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './until.js';

/** The checkout's root, where relative library paths of tests begin. */
export const projectRoot = fileURLToPath(new URL('../../../', import.meta.url));
/** What users run. It is made anew here when only the compiler has run since. */
export const cliPath = join(projectRoot, 'dist', 'program', 'cli.js');
execFileSync(process.execPath, [join(projectRoot, '.build', 'program.mjs')]);

/** A running `pontoon` process, as a user would start it. */
export interface Pontoon {
  readonly child: ChildProcess;
  /** `http://host:port` of the admin interface. */
  readonly admin: string;
  /** All that it wrote to stderr so far. */
  log(): string;
  stdout(): string;
  /** `http://host:port` of a listener; waits until it is bound. */
  listener(name: string): Promise<string>;
  stat(name: string): Promise<number>;
  get(path: string): Promise<string>;
  /** SIGTERM; resolves with the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface PontoonOptions {
  /** YAML text. */
  readonly bootstrap: string;
  readonly args?: readonly string[];
  readonly cwd?: string;
  readonly nodeArgs?: readonly string[];
  /** Another one than this checkout's. */
  readonly cli?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Starts `pontoon -c FILE` and waits for its admin interface. Rejects with its log when it ends instead. */
export async function startPontoon(options: PontoonOptions): Promise<Pontoon> {
  const dir = mkdtempSync(join(tmpdir(), 'pontoon-test-'));
  const config = join(dir, 'bootstrap.yaml');
  const addressFile = join(dir, 'admin');
  writeFileSync(config, options.bootstrap);
  const args = [
    ...(options.nodeArgs ?? []),
    options.cli ?? cliPath,
    '-c',
    config,
    '--admin-address-path',
    addressFile,
    // A checkout may lie in a folder that others may write to.
    '--plugin-root',
    projectRoot,
    ...(options.args?.includes('--sockets') ? [] : ['--sockets', 'checked']),
    ...(options.args ?? []),
  ];
  const child = spawn(process.execPath, args, {
    cwd: options.cwd ?? projectRoot,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  let stdout = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    log += chunk;
  });
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk;
  });
  const exited = once(child, 'close').then(([code]) => {
    rmSync(dir, { recursive: true, force: true });
    return code as number | null;
  });
  const read = (): string => {
    if (child.exitCode !== null) throw new Error(`pontoon ended with ${child.exitCode}:\n${log}`);
    try {
      return readFileSync(addressFile, 'utf8').trim();
    } catch {
      return '';
    }
  };
  // It takes long on a machine that has other work.
  const address = await until('the admin address', () => read() || undefined, 60_000);
  const admin = `http://${address}`;
  const get = async (path: string) => {
    const response = await fetch(admin + path).catch(() => {
      throw new Error(`GET ${path}: pontoon doesn't answer:\n${log}`);
    });
    return response.text();
  };
  return {
    child,
    admin,
    log: () => log,
    stdout: () => stdout,
    get,
    async listener(name) {
      const found = await until(`listener ${name}`, async () => {
        const line = (await get('/listeners')).split('\n').find((candidate) => candidate.startsWith(`${name}::`));
        return line?.slice(name.length + 2);
      });
      return `http://${found}`;
    },
    async stat(name) {
      const line = (await get(`/stats?filter=^${name.replaceAll('.', '\\.')}$`)).trim();
      return line === '' ? 0 : Number(line.slice(line.lastIndexOf(':') + 1));
    },
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return exited;
    },
  };
}

/** The router filter and an HttpConnectionManager around `body`, as YAML in flow style. */
export function httpListener(name: string, stat: string, routes: string, extra = ''): string {
  return `{name: ${name}, address: {socket_address: {address: 127.0.0.1, port_value: 0}}, filter_chains: [{filters: [{name: envoy.filters.network.http_connection_manager, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: ${stat}, ${extra} ${routes}, http_filters: [{name: envoy.filters.http.router, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]}]}`;
}

/** A bridge cluster with STATIC endpoints, as YAML in flow style. */
export function bridgeCluster(options: {
  readonly name: string;
  readonly ports: readonly number[];
  readonly library: string;
  readonly plugin: string;
  readonly config?: string;
  readonly extra?: string;
}): string {
  const { name, ports, library, plugin, config, extra = '' } = options;
  const endpoints = ports
    .map((port) => `{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ${port}}}}}`)
    .join(', ');
  const pluginConfig = config
    ? `, plugin_config: {"@type": type.googleapis.com/xds.type.v3.TypedStruct, value: ${config}}`
    : '';
  return `{name: ${name}, type: STATIC, connect_timeout: 1s, ${extra} load_assignment: {cluster_name: ${name}, endpoints: [{lb_endpoints: [${endpoints}]}]}, upstream_config: {name: envoy.upstreams.http.tcp.golang, typed_config: {"@type": type.googleapis.com/envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config, library_id: ${plugin}, library_path: ${library}, plugin_name: ${plugin}${pluginConfig}}}}`;
}
