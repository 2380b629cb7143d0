import { isIP } from 'node:net';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type Http1CodecName, http1CodecNames } from './http/http1-codec.js';
import { type LogLevel, logLevels } from './log.js';
import type { SocketAddress } from './model/endpoint.js';
import { type SocketsName, socketsNames } from './sockets/open-sockets.js';

/** The command line, checked. Names follow Envoy's flags: https://www.envoyproxy.io/docs/envoy/latest/operations/cli */
export interface CommandLine {
  readonly configPath?: string;
  readonly configYaml?: string;
  readonly mode: 'serve' | 'validate';
  readonly concurrency: number;
  /** Serve in a worker process, even if there is only one. */
  readonly isolate: boolean;
  readonly maxGoLibraries: number;
  readonly serviceNode?: string;
  readonly serviceCluster?: string;
  readonly serviceZone?: string;
  readonly logLevel: LogLevel;
  /** Component → level. */
  readonly componentLogLevel: Readonly<Record<string, LogLevel>>;
  readonly logPath?: string;
  readonly adminAddressPath?: string;
  /** Where CSDS is served; undefined: nowhere. */
  readonly csdsAddress?: SocketAddress;
  readonly drainTimeS: number;
  readonly shutdownDelayS: number;
  readonly pluginRoot: readonly string[];
  readonly http1Codec: Http1CodecName;
  readonly sockets: SocketsName;
  /** Where the last good configuration is kept; undefined: nowhere. */
  readonly snapshotDir?: string;
  readonly snapshotWaitS: number;
  readonly snapshotIntervalS: number;
  readonly snapshotSecrets: boolean;
  /** Envoy's flags that were given and mean nothing here. */
  readonly ignored: readonly string[];
}

/** `pontoon plugin check FILE` */
export interface PluginCheck {
  readonly mode: 'plugin_check';
  readonly file: string;
  /** undefined: only the library is looked at. */
  readonly name?: string;
  /** The plugin's configuration as JSON text. */
  readonly config?: string;
  readonly pluginRoot: readonly string[];
}

/** `pontoon plugin new NAME` */
export interface PluginNew {
  readonly mode: 'plugin_new';
  readonly name: string;
  /** The folder to write; NAME unless set. */
  readonly directory: string;
}

/** `pontoon config diff BEFORE AFTER` and `pontoon config explain NAME SOURCE` */
export type ConfigInspection = {
  /** The bootstrap of the instance that resources are judged for. */
  readonly configPath?: string;
  readonly pluginRoot: readonly string[];
  readonly json: boolean;
} & (
  | { readonly mode: 'config_diff'; readonly before: string; readonly after: string }
  | { readonly mode: 'config_explain'; readonly name: string; readonly source: string; readonly type?: ResourceKind }
);

const resourceKinds = ['cluster', 'endpoints', 'listener', 'route', 'secret'] as const;
type ResourceKind = (typeof resourceKinds)[number];

/** Flags that Envoy's users have in their start scripts and that have nothing to do here: accepted, so that the scripts go on working. */
const ignoredFlags: readonly (readonly [string, string])[] = [
  ['--disable-hot-restart', 'there is no hot restart between processes'],
  ['--base-id <id>', 'no shared memory is used'],
  ['--use-dynamic-base-id', 'no shared memory is used'],
  ['--base-id-path <file>', 'no shared memory is used'],
  ['--restart-epoch <n>', 'there is no hot restart between processes'],
  ['--parent-shutdown-time-s <seconds>', 'there is no hot restart between processes'],
  ['--drain-strategy <strategy>', 'connections are drained at once'],
  ['--local-address-ip-version <version>', 'addresses are taken as they are'],
  ['--log-format <format>', 'logs are JSON lines'],
  ['--log-format-escaped', 'logs are JSON lines'],
  ['--enable-fine-grain-logging', 'loggers are per component'],
  ['--file-flush-interval-msec <ms>', 'files are flushed every second'],
  ['--cpuset-threads', 'there are no threads to place'],
  ['--skip-hot-restart-on-no-parent', 'there is no hot restart between processes'],
  ['--skip-hot-restart-parent-stats', 'there is no hot restart between processes'],
  ['--reject-unknown-dynamic-fields', 'unknown fields of a message can not be told from newer ones'],
  ['--ignore-unknown-dynamic-fields', 'unknown fields of a message are always ignored'],
];

const isLevel = (value: string): value is LogLevel => (logLevels as readonly string[]).includes(value);

function level(value: string): LogLevel {
  const name = value.toLowerCase() === 'warn' ? 'warning' : value.toLowerCase();
  if (!isLevel(name)) throw new InvalidArgumentError(`It must be one of ${logLevels.join(', ')}.`);
  return name;
}

function componentLevels(value: string): Record<string, LogLevel> {
  return Object.fromEntries(
    value.split(',').map((pair) => {
      const [component, name] = pair.split(':');
      if (!component || !name) throw new InvalidArgumentError('It must be component:level pairs, separated by commas.');
      return [component, level(name)];
    }),
  );
}

/** `127.0.0.1:18001`, `[::1]:18001`, `unix:/run/pontoon/csds`. */
function socketAddress(value: string): SocketAddress {
  const wrong = 'It must be IP:PORT, [IPv6]:PORT or unix:PATH.';
  if (value.startsWith('unix:')) {
    const path = value.slice('unix:'.length);
    if (path === '' || path.startsWith('@')) throw new InvalidArgumentError(wrong);
    return { kind: 'pipe', path };
  }
  const [, ipv6, ipv4, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value) ?? [];
  const address = ipv6 ?? ipv4 ?? '';
  const port = Number(digits);
  if (isIP(address) !== (ipv6 === undefined ? 4 : 6) || port > 65_535) throw new InvalidArgumentError(wrong);
  return { kind: 'tcp', address, port };
}

function wholeNumber(least: number): (value: string) => number {
  return (value) => {
    const parsed = Number(value);
    if (!Number.isSafeInteger(parsed) || parsed < least)
      throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
    return parsed;
  };
}

const pluginRootFlag = () =>
  new Option('--plugin-root <dir>', 'where plugin libraries may come from; repeatable')
    .argParser((dir: string, dirs: readonly string[]) => [...dirs, dir])
    .default([], 'folders that only root and this user may write to');

/**
 * Parses `argv` (as in process.argv). Ends the process for --help and mistakes, as commander does.
 */
export function parseCommandLine(
  argv: readonly string[],
): CommandLine | PluginCheck | PluginNew | ConfigInspection | { readonly mode: 'version' } {
  const command = new Command('pontoon')
    .description('An Envoy-compatible data plane that bridges HTTP to TCP protocols by plugins.')
    .option('-c, --config-path <file>', "Envoy's bootstrap, in YAML or JSON")
    .option('--config-yaml <text>', 'bootstrap text that is merged over the file')
    .addOption(
      new Option('--mode <mode>', 'serve, or validate the configuration and exit')
        .choices(['serve', 'validate'])
        .default('serve'),
    )
    .option(
      '--concurrency <n>',
      'processes that serve; with more than one they are workers of the first, which keeps sockets, xDS and admin',
      wholeNumber(1),
      1,
    )
    .option('--isolate', 'serve in a worker process, so that a plugin that crashes or hangs ends only that one', false)
    .option(
      '--max-go-libraries <n>',
      'different Go libraries that may be loaded at the same time: they can not be unloaded',
      wholeNumber(1),
      32,
    )
    .option('--service-node <id>', "the node's id for the control plane")
    .option('--service-cluster <name>', "the node's cluster for the control plane")
    .option('--service-zone <zone>', "the node's zone for the control plane")
    .option('-l, --log-level <level>', logLevels.join(', '), level, 'info')
    .addOption(
      new Option('--component-log-level <list>', 'component:level pairs, separated by commas')
        .argParser(componentLevels)
        .default({}, 'that of --log-level'),
    )
    .option('--log-path <file>', 'where logs go; stderr unless set')
    .option('--admin-address-path <file>', 'receives the address of the admin interface, as host:port')
    .option(
      '--csds-address <address>',
      'where to serve CSDS by gRPC, IP:PORT or unix:PATH, without TLS; nowhere unless set',
      socketAddress,
    )
    .option(
      '--drain-time-s <seconds>',
      'how long running requests may take to end, at the end of the process or of a version',
      wholeNumber(0),
      600,
    )
    .option(
      '--shutdown-delay-s <seconds>',
      'how long new connections are still taken after SIGTERM, while /ready fails already',
      wholeNumber(0),
      0,
    )
    .addOption(pluginRootFlag())
    .addOption(
      new Option('--http1-codec <codec>', "what reads HTTP/1 requests: this program's own parser, or Node's")
        .choices(http1CodecNames)
        .default('own'),
    )
    .addOption(
      new Option(
        '--sockets <how>',
        "what reads and writes connections without TLS: this program's native part, or Node; checked, for tests: the native part, with what it has read overwritten as soon as nobody may use it any more",
      )
        .choices(socketsNames)
        .default('own', 'own; node where the native part could not be built'),
    )
    .option('--snapshot-dir <dir>', 'keep the last good configuration here, for starts without a control plane')
    .option(
      '--snapshot-wait-s <seconds>',
      'how long control planes may be silent at the start before what was kept is used',
      wholeNumber(0),
      5,
    )
    .option('--snapshot-interval-s <seconds>', 'the least time between two writes of it', wholeNumber(0), 5)
    .option('--no-snapshot-secrets', 'keep no secrets that came by SDS: what needs them waits for a control plane')
    .option('--version', 'print the version and exit')
    .addHelpText('after', "\nEnvoy's other flags are accepted where ignoring them is harmless: the log names them.")
    .allowExcessArguments(false)
    .enablePositionalOptions()
    .action(() => undefined);
  let chosen: PluginCheck | PluginNew | ConfigInspection | undefined;
  const plugin = command.command('plugin').description('look at plugin libraries, or begin one');
  plugin
    .command('check <file>')
    .description('judge a library, and a configuration of a plugin in it, as when a control plane sends it')
    .option('--name <plugin>', "the plugin's name in the library")
    .option('--config <json>', "the plugin's configuration, as the value of a TypedStruct")
    .addOption(pluginRootFlag())
    .action((file: string, options: Omit<PluginCheck, 'mode' | 'file'>) => {
      chosen = { mode: 'plugin_check', file, ...options };
    });
  plugin
    .command('new <name>')
    .description('write a working plugin in TypeScript, with its test')
    .option('--directory <dir>', 'the folder to write; NAME unless set')
    .action((name: string, { directory = name }: { directory?: string }) => {
      chosen = { mode: 'plugin_new', name, directory };
    });
  addConfigCommands(command, (inspection) => {
    chosen = inspection;
  });
  for (const [flags, why] of ignoredFlags)
    command.addOption(new Option(flags, `accepted and ignored: ${why}`).hideHelp());
  command.parse([...argv]);
  if (chosen !== undefined) return chosen;
  const options = command.opts<CommandLine & Record<string, unknown>>();
  if (options.version === true) return { mode: 'version' };
  if (options.configPath === undefined && options.configYaml === undefined) {
    command.error("error: nothing to run: give Envoy's bootstrap with -c FILE (or --config-yaml TEXT)");
  }
  const ignored = command.options
    .filter((option) => option.hidden && command.getOptionValueSource(option.attributeName()) === 'cli')
    .map((option) => option.long as string);
  return { ...options, ignored };
}

type InspectionFlags = Pick<ConfigInspection, 'configPath' | 'pluginRoot' | 'json'>;

/** Their exit codes are those of diff: 1 is an answer, so that mistakes of the command line are 2. */
function addConfigCommands(command: Command, choose: (inspection: ConfigInspection) => void): void {
  const config = command.command('config').description('compare configurations, and say why a resource is as it is');
  const sources = `
A source is the address of a running instance's admin interface (http://HOST:PORT or HOST:PORT), or a file: a bootstrap, a snapshot (or
the folder that has one), a DiscoveryResponse (YAML, JSON, .pb), or what /config_dump answered.`;
  const flags = (one: Command): Command =>
    one
      .option('-c, --config-path <file>', 'the bootstrap of the instance that the resources of files are judged for')
      .addOption(pluginRootFlag())
      .option('--json', 'print JSON', false)
      .addHelpText('after', sources)
      .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
  flags(config.command('diff <before> <after>'))
    .description(
      'what would change if AFTER were applied where BEFORE is; exits with 0 for nothing, 1 for something, 2 for trouble',
    )
    .action((before: string, after: string, options: InspectionFlags) =>
      choose({ mode: 'config_diff', before, after, ...options }),
    );
  flags(config.command('explain <name> <source>'))
    .description('why a resource has its verdict, who refers to it and what is missing; exits with 1 when something is')
    .addOption(new Option('--type <type>', 'of this type only').choices(resourceKinds))
    .action((name: string, source: string, options: InspectionFlags & { readonly type?: ResourceKind }) =>
      choose({ mode: 'config_explain', name, source, ...options }),
    );
}
