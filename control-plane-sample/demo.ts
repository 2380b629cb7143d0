import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { createLogging } from '../src/log.js';
import { startControlPlane } from './control-plane.js';
import { guide } from './demo-guide.js';
import { startDemoPontoon } from './demo-pontoon.js';
import { defaultPorts, type PortName, type Ports, takenPorts, withPorts } from './demo-ports.js';
import { formatEvent } from './format.js';
import { startFramedServer } from './framed-server.js';

// This file runs from dist/control-plane-sample.
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const sample = join(root, 'control-plane-sample');

interface Flags extends Ports {
  readonly log: string;
}

function parseFlags(argv: readonly string[]): Flags {
  const port = (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value > 65_535) throw new InvalidArgumentError('A port is a number from 0 to 65535.');
    return value;
  };
  return new Command('npm start --')
    .description('A control plane, two TCP servers and Pontoon. All on 127.0.0.1; port 0 picks a free one.')
    .option('--listener-port <port>', "Pontoon's HTTP listener", port, defaultPorts.listenerPort)
    .option('--admin-port <port>', "Pontoon's admin interface", port, defaultPorts.adminPort)
    .option('--xds-port <port>', 'the control plane', port, defaultPorts.xdsPort)
    .option('--http-port <port>', "the control plane's HTTP API", port, defaultPorts.httpPort)
    .option('--server1-port <port>', 'the first TCP server', port, defaultPorts.server1Port)
    .option('--server2-port <port>', 'the second TCP server', port, defaultPorts.server2Port)
    .option('--log <file>', "Pontoon's log, written anew", join(root, 'dist', 'pontoon-demo.log'))
    .allowExcessArguments(false)
    .parse([...argv])
    .opts<Flags>();
}

/** Starts all parts; what they need to be ended is added to `parts`. Stops half-way when `ended` is aborted. */
async function start(
  flags: Flags,
  parts: (() => Promise<void> | void)[],
  ended: AbortSignal,
  fail: (reason: string) => void,
): Promise<void> {
  const taken = await takenPorts(flags);
  if (taken.length > 0) throw new Error(taken.join('\n'));
  ended.throwIfAborted();
  const folder = mkdtempSync(join(tmpdir(), 'pontoon-demo-'));
  parts.push(() => rmSync(folder, { recursive: true, force: true }));

  const ports: Record<PortName, number> = { ...flags };
  for (const [index, name] of (['server1Port', 'server2Port'] as const).entries()) {
    const server = await startFramedServer(`server ${index + 1}`, flags[name]);
    parts.push(server.close);
    ports[name] = server.port;
  }
  const controlPlane = await startControlPlane({
    resources: resourcesFor(ports, folder),
    port: flags.xdsPort,
    httpPort: flags.httpPort,
    log: createLogging('off').logger('control-plane'),
  });
  parts.push(controlPlane.close);
  controlPlane.events.listen((event) => {
    if (event.event !== 'sent') console.log(formatEvent(event));
  });
  ports.xdsPort = controlPlane.xdsPort;
  ended.throwIfAborted();

  const bootstrap = join(folder, 'bootstrap.yaml');
  writeFileSync(bootstrap, withPorts(readFileSync(join(sample, 'bootstrap.yaml'), 'utf8'), ports));
  const pontoon = startDemoPontoon({
    root,
    bootstrap,
    adminAddressPath: join(folder, 'admin'),
    logPath: flags.log,
    onExit: fail,
  });
  parts.push(pontoon.stop);
  const { admin, listener } = await pontoon.ready(ended);
  console.log(guide(listener, admin, controlPlane.httpPort));
}

/** The folder of resources as it is, or a copy with other ports. */
function resourcesFor(ports: Ports, folder: string): string {
  const resources = join(sample, 'resources');
  if (Object.entries(defaultPorts).every(([name, port]) => ports[name as PortName] === port)) return resources;
  const copy = join(folder, 'resources');
  cpSync(resources, copy, { recursive: true });
  for (const file of ['endpoints/echo.yaml', 'listeners/http.yaml']) {
    writeFileSync(join(copy, file), withPorts(readFileSync(join(resources, file), 'utf8'), ports));
  }
  return copy;
}

async function main(): Promise<number> {
  const flags = parseFlags(process.argv);
  const parts: (() => Promise<void> | void)[] = [];
  const ending = new AbortController();
  let failure: string | undefined;
  const ended = new Promise<void>((resolve) => ending.signal.addEventListener('abort', () => resolve()));
  // npm passes Ctrl-C on although the terminal has sent it already: the second one means nothing.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => ending.abort());
  const fail = (reason: string): void => {
    if (ending.signal.aborted) return;
    failure = reason;
    ending.abort();
  };
  await start(flags, parts, ending.signal, fail).catch((error: unknown) => {
    fail(error instanceof Error ? error.message : String(error));
  });
  await ended;
  if (failure !== undefined) console.error(failure);
  for (const close of parts.reverse()) await close();
  if (failure === undefined) console.log('everything has ended');
  return failure === undefined ? 0 : 1;
}

main().then((code) => process.exit(code));
