#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { LogLevel } from '../src/log.js';
import { getJson, putText, readEvents, remove } from './api-client.js';
import { formatEvent, formatNodes, formatReport } from './format.js';
import { kindOfPath } from './resource-kind.js';

const defaultResources = 'control-plane-sample/resources';
const logLevels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'];

function port(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > 65_535) throw new InvalidArgumentError('a port is a number from 0 to 65535');
  return value;
}

/** One place for the port, so that the variable serves all commands. */
function httpOption(): Option {
  return new Option('--http <port>', 'port of the HTTP API on 127.0.0.1')
    .env('CONTROL_PLANE_HTTP_PORT')
    .argParser(port)
    .default(18_001);
}

function level(text: string): LogLevel {
  const found = logLevels.find((each) => each === text);
  if (!found) throw new InvalidArgumentError(`allowed are ${logLevels.join(', ')}`);
  return found;
}

const program = new Command('control-plane-sample').description('A small xDS control plane to try and test with.');

program
  .command('serve')
  .description('serve the resources of a folder, and follow its changes')
  .option('--resources <dir>', 'folder of YAML files', defaultResources)
  .option('--host <address>', 'where xDS listens', '127.0.0.1')
  .option('--port <port>', 'xDS port, 0 for a free one', port, 18_000)
  .addOption(httpOption())
  .option('--log-level <level>', logLevels.join(', '), level, 'info' as LogLevel)
  .action(async (flags: { resources: string; host: string; port: number; http: number; logLevel: LogLevel }) => {
    // The commands below start faster without the server.
    const { createLogging } = await import('../src/log.js');
    const { startControlPlane } = await import('./control-plane.js');
    const log = createLogging(flags.logLevel).logger('control-plane');
    const controlPlane = await startControlPlane({
      resources: flags.resources,
      host: flags.host,
      port: flags.port,
      httpPort: flags.http,
      log,
    });
    console.log(`xDS on ${flags.host}:${controlPlane.xdsPort}, HTTP API on http://127.0.0.1:${controlPlane.httpPort}`);
    const stop = () => void controlPlane.close();
    process.once('SIGINT', stop).once('SIGTERM', stop);
  });

/** A command that talks to a running control plane. */
function clientCommand(usage: string, description: string): Command {
  return program.command(usage).description(description).addOption(httpOption());
}

clientCommand('push <file...>', 'put the resources of files over those that are served')
  .option('--type <type>', 'clusters, endpoints, listeners or routes; default: "@type" or the name of the folder')
  .action(async (files: string[], flags: { http: number; type?: string }) => {
    for (const file of files) {
      const type = flags.type ?? kindOfPath(file)?.group;
      const report = await putText(flags.http, await readFile(file, 'utf8'), { name: file, type });
      console.log(`${file}: ${formatReport(report)}`);
    }
  });

clientCommand('remove <type> <name>', 'stop serving a resource').action(
  async (type: string, name: string, flags: { http: number }) => {
    console.log(formatReport(await remove(flags.http, { type, name })));
  },
);

clientCommand('reset', 'forget all that was pushed or removed: back to the files').action(
  async (flags: { http: number }) => {
    console.log(formatReport(await remove(flags.http, {})));
  },
);

clientCommand('status', 'what is served, and what each node accepted or rejected').action(
  async (flags: { http: number }) => {
    console.log(formatNodes(await getJson(flags.http, '/snapshot'), await getJson(flags.http, '/nodes')));
  },
);

clientCommand('watch', 'print what happens: new versions, ACKs and NACKs')
  .option('--since <seq>', 'begin after this event; 0 for all that are remembered')
  .action(async (flags: { http: number; since?: string }) => {
    for await (const event of readEvents(flags.http, flags.since)) console.log(formatEvent(event));
  });

program.parseAsync().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
