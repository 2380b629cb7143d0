#!/usr/bin/env node
import { loadBootstrap } from './bootstrap/load.js';
import { bootstrapReport } from './bootstrap/report.js';
import { loadNativeHost } from './bridge/go/native-host.js';
import { type CommandLine, type PluginCheck, parseCommandLine } from './command-line.js';
import { createLogging, type Logging } from './log.js';
import { loadSchema, type Schema } from './protobuf/schema.js';
import { checkPlugin } from './server/check-plugin.js';
import { validateBootstrap } from './server/validate.js';
import { type Server, startServer } from './server.js';

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
  const { ok, lines } = await validateBootstrap({
    ...loadOptions(schema, commandLine),
    pluginRoots,
    logging,
  });
  for (const line of lines) console.log(line);
  console.log(
    ok ? `configuration '${sourceOf(commandLine)}' OK` : `${lines.length} problem${lines.length === 1 ? '' : 's'}`,
  );
  return ok ? 0 : 1;
}

async function check(schema: Schema, { file, name, config, pluginRoot }: PluginCheck): Promise<number> {
  const { ok, lines } = await checkPlugin({
    schema,
    logging: createLogging('error'),
    file,
    name,
    config,
    pluginRoots: pluginRoot,
  });
  for (const line of lines) console.log(line);
  return ok ? 0 : 1;
}

/** What --version says of Go libraries. */
function goBridges(): string {
  const native = loadNativeHost();
  return native.available ? 'available' : `unavailable (${native.reason})`;
}

/** What a plugin's timer or a stray promise throws must not end the requests of everybody else: it is logged and counted. */
function containErrors(logging: Logging, server: Server): void {
  const log = logging.logger('main');
  const report = (kind: string) => (error: unknown) => {
    server.countUncaught();
    log.fatal({ err: error }, `${kind}: nobody caught it; serving goes on`);
  };
  process.on('uncaughtException', report('uncaught exception'));
  process.on('unhandledRejection', report('unhandled rejection'));
}

async function serve(schema: Schema, logging: Logging, commandLine: CommandLine): Promise<number> {
  const log = logging.logger('main');
  for (const flag of commandLine.ignored)
    log.warn({ flag }, 'flag of Envoy accepted and ignored: it has no meaning here');
  if (commandLine.concurrency > 1)
    log.warn({ concurrency: commandLine.concurrency }, 'worker processes are not available yet: one process serves');
  const loaded = loadBootstrap(loadOptions(schema, commandLine));
  if (!loaded.ok) {
    for (const line of bootstrapReport(loaded)) console.error(line);
    return 1;
  }
  for (const note of bootstrapReport(loaded)) log.warn(note);
  let quit: () => void = () => undefined;
  const quitAsked = new Promise<void>((resolve) => {
    quit = resolve;
  });
  const server = await startServer({
    bootstrap: loaded.bootstrap,
    schema,
    logging,
    drainTimeMs: commandLine.drainTimeS * 1000,
    pluginRoots: commandLine.pluginRoot,
    adminAddressPath: commandLine.adminAddressPath,
    commandLine: commandLineOptions(commandLine),
    onQuit: quit,
  }).catch((error: Error) => {
    throw new Error(`${sourceOf(commandLine)}: ${error.message}`);
  });
  containErrors(logging, server);
  process.on('SIGUSR1', () => server.reopenLogs());
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ signal }, 'draining; a second signal ends the process at once');
      process.once(signal, () => process.exit(1));
      quit();
    });
  }
  // The timers of the clock don't keep the process alive: this one does, until it is asked to end.
  const alive = setInterval(() => undefined, 2 ** 30);
  await quitAsked;
  await server.stop();
  clearInterval(alive);
  log.info('stopped');
  return 0;
}

async function main(commandLine: CommandLine | PluginCheck): Promise<number> {
  if (commandLine.mode === 'plugin_check') return check(loadSchema(), commandLine);
  const logging = createLogging(commandLine.logLevel, commandLine.logPath);
  for (const [component, level] of Object.entries(commandLine.componentLogLevel)) {
    logging.logger(component);
    logging.setLevel(level, component);
  }
  const run = commandLine.mode === 'validate' ? validate : serve;
  return run(loadSchema(), logging, commandLine);
}

main(parseCommandLine(process.argv, goBridges)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(`pontoon: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
