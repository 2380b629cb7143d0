import { renameSync, writeFileSync } from 'node:fs';
import { loadBootstrap } from './bootstrap/load.js';
import { bootstrapReport } from './bootstrap/report.js';
import { ensureNativeHost } from './bridge/go/native-host.js';
import { systemClock } from './clock.js';
import { type CommandLine, type ConfigInspection, type PluginCheck, parseCommandLine } from './command-line.js';
import { createLogging, type Logger, type Logging } from './log.js';
import { formatAddress } from './model/endpoint.js';
import { loadSchema, type Schema } from './protobuf/schema.js';
import { checkPlugin } from './server/check-plugin.js';
import { type CommandResult, configDiff, configExplain } from './server/inspect/command.js';
import { newPlugin } from './server/new-plugin.js';
import { trimMemory } from './server/trim-memory.js';
import { validateBootstrap } from './server/validate.js';
import { type Server, startServer } from './server.js';
import { version } from './version.js';

/** Where `commandLine` says that the bootstrap is. */
const loadOptions = (schema: Schema, { configPath, configYaml, ...overrides }: CommandLine) => ({
  schema,
  file: configPath,
  yamlText: configYaml,
  overrides,
});

/** How the command line is told by /server_info, in Envoy's names. */
function commandLineOptions(commandLine: CommandLine): Record<string, unknown> {
  return {
    concurrency: commandLine.concurrency,
    config_path: commandLine.configPath ?? '',
    config_yaml: commandLine.configYaml ?? '',
    admin_address_path: commandLine.adminAddressPath ?? '',
    log_level: commandLine.logLevel,
    log_path: commandLine.logPath ?? '',
    service_cluster: commandLine.serviceCluster ?? '',
    service_node: commandLine.serviceNode ?? '',
    service_zone: commandLine.serviceZone ?? '',
    drain_time: `${commandLine.drainTimeS}s`,
    mode: 'Serve',
  };
}

/** What the problems of the bootstrap are told of. */
const sourceOf = ({ configPath = '--config-yaml' }: CommandLine): string => configPath;

async function validate(schema: Schema, logging: Logging, commandLine: CommandLine): Promise<number> {
  const { pluginRoot: pluginRoots } = commandLine;
  containErrors(logging, () => undefined);
  const { problems, notes } = await validateBootstrap({ ...loadOptions(schema, commandLine), pluginRoots });
  for (const line of [...problems, ...notes]) console.log(line);
  const count = problems.length;
  console.log(
    count === 0 ? `configuration '${sourceOf(commandLine)}' OK` : `${count} problem${count === 1 ? '' : 's'}`,
  );
  return count === 0 ? 0 : 1;
}

async function check(schema: Schema, { file, name, config, pluginRoot }: PluginCheck): Promise<number> {
  const { ok, lines } = await checkPlugin({
    schema,
    file,
    name,
    config,
    pluginRoots: pluginRoot,
  });
  for (const line of lines) console.log(line);
  return ok ? 0 : 1;
}

async function inspect(inspection: ConfigInspection): Promise<number> {
  const { configPath, pluginRoot: pluginRoots, json } = inspection;
  const common = { schema: loadSchema(), configPath, pluginRoots, json };
  const run = (): Promise<CommandResult> =>
    inspection.mode === 'config_diff'
      ? configDiff({ ...common, before: inspection.before, after: inspection.after })
      : configExplain({ ...common, name: inspection.name, source: inspection.source, kind: inspection.type });
  const { code, stdout, stderr } = await run().catch((error: Error) => ({
    code: 2,
    stdout: [],
    stderr: [`pontoon: ${error.message}`],
  }));
  for (const line of stdout) console.log(line);
  for (const line of stderr) console.error(line);
  return code;
}

/** What --version says of Go libraries. */
async function goBridges(): Promise<string> {
  const native = await ensureNativeHost();
  return native.available ? 'available' : `unavailable (${native.reason})`;
}

/** What a plugin's timer or a stray promise throws must not end the requests of everybody else: it is logged and counted. */
function containErrors(logging: Logging, count: () => void): void {
  const log = logging.logger('main');
  const report = (kind: string) => (error: unknown) => {
    count();
    log.fatal({ err: error }, `${kind}: nobody caught it; serving goes on`);
  };
  process.on('uncaughtException', report('uncaught exception'));
  process.on('unhandledRejection', report('unhandled rejection'));
}

/** Tells where the admin interface is. The file is renamed into place, so that a reader sees the whole address or no file. */
function writeAdminAddress({ adminAddressPath: path }: CommandLine, { adminAddress }: Server): void {
  if (path === undefined || adminAddress === undefined) return;
  try {
    writeFileSync(`${path}.tmp`, formatAddress(adminAddress));
    renameSync(`${path}.tmp`, path);
  } catch (error) {
    throw new Error(`--admin-address-path ${path}: cannot be written: ${(error as Error).message}`);
  }
}

/** npm and npx pass on the Ctrl-C that the terminal has sent to all of them: what comes so soon is the same one, milliseconds. */
const sameSignalMs = 500;

/** The first SIGTERM or SIGINT drains, the second ends the process at once. */
function quitOnSignals(log: Logger, quit: () => void): void {
  let first: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (first === undefined) {
      first = performance.now();
      log.info({ signal }, 'draining; a second signal ends the process at once');
      quit();
    } else if (performance.now() - first > sameSignalMs) process.exit(1);
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
}

async function serve(schema: Schema, logging: Logging, commandLine: CommandLine): Promise<number> {
  const log = logging.logger('main');
  let quit: () => void = () => undefined;
  const quitAsked = new Promise<void>((resolve) => {
    quit = resolve;
  });
  // From the beginning: what is served while the start still goes on is drained, too.
  quitOnSignals(log, quit);
  for (const flag of commandLine.ignored)
    log.warn({ flag }, 'flag of Envoy accepted and ignored: it has no meaning here');
  const loaded = loadBootstrap(loadOptions(schema, commandLine));
  if (!loaded.ok) {
    for (const line of bootstrapReport(loaded)) console.error(line);
    return 1;
  }
  for (const note of bootstrapReport(loaded)) log.warn(note);
  // Plugins are loaded, and may throw, before there is a server to count it.
  let server: Server | undefined;
  let uncaught = 0;
  containErrors(logging, () => {
    if (server) server.countUncaught();
    else uncaught++;
  });
  // From the beginning: without a listener, Node opens a debugger's port.
  process.on('SIGUSR1', () => server?.reopenLogs());
  process.on('SIGHUP', () => server?.hotRestart());
  server = await startServer({
    bootstrap: loaded.bootstrap,
    schema,
    logging,
    logPath: commandLine.logPath,
    drainTimeMs: commandLine.drainTimeS * 1000,
    shutdownDelayMs: commandLine.shutdownDelayS * 1000,
    pluginRoots: commandLine.pluginRoot,
    maxGoLibraries: commandLine.maxGoLibraries,
    workers: commandLine.isolate || commandLine.concurrency > 1 ? commandLine.concurrency : 0,
    http1Codec: commandLine.http1Codec,
    sockets: commandLine.sockets,
    snapshots:
      commandLine.snapshotDir === undefined
        ? undefined
        : {
            folder: commandLine.snapshotDir,
            waitMs: commandLine.snapshotWaitS * 1000,
            intervalMs: commandLine.snapshotIntervalS * 1000,
            secrets: commandLine.snapshotSecrets,
          },
    commandLine: commandLineOptions(commandLine),
    csdsAddress: commandLine.csdsAddress,
    onQuit: quit,
  }).catch((error: Error) => {
    throw new Error(`${sourceOf(commandLine)}: ${error.message}`);
  });
  for (; uncaught > 0; uncaught--) server.countUncaught();
  writeAdminAddress(commandLine, server);
  trimMemory(systemClock);
  // The timers of the clock don't keep the process alive: this one does, until it is asked to end.
  const alive = setInterval(() => undefined, 2 ** 30);
  await quitAsked;
  await server.stop();
  clearInterval(alive);
  log.info('stopped');
  return 0;
}

function openLogging({ logLevel, logPath, componentLogLevel }: CommandLine): Logging {
  try {
    const logging = createLogging(logLevel, logPath);
    for (const [component, level] of Object.entries(componentLogLevel)) {
      logging.logger(component);
      logging.setLevel(level, component);
    }
    return logging;
  } catch (error) {
    throw new Error(`--log-path ${logPath}: cannot be written: ${(error as Error).message}`);
  }
}

async function main(): Promise<number> {
  const commandLine = parseCommandLine(process.argv);
  if (commandLine.mode === 'version') {
    console.log(`pontoon ${version} (node ${process.version})\ngo bridges: ${await goBridges()}`);
    return 0;
  }
  if (commandLine.mode === 'plugin_check') return check(loadSchema(), commandLine);
  if (commandLine.mode === 'plugin_new') {
    const { ok, lines } = newPlugin(commandLine.name, commandLine.directory);
    for (const line of lines) (ok ? console.log : console.error)(line);
    return ok ? 0 : 1;
  }
  if (commandLine.mode === 'config_diff' || commandLine.mode === 'config_explain') return inspect(commandLine);
  const logging = openLogging(commandLine);
  const run = commandLine.mode === 'validate' ? validate : serve;
  return run(loadSchema(), logging, commandLine);
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(`pontoon: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
