import { readFileSync, statSync } from 'node:fs';
import type { Bootstrap, Node } from '../model/bootstrap.js';
import type { AccessLogConfig } from '../model/listener.js';
import type { Problem } from '../model/verdict.js';
import { structToObject } from '../protobuf/any.js';
import type { Bootstrap__Output } from '../protobuf/generated/envoy/config/bootstrap/v3/Bootstrap.js';
import { parseJson } from '../protobuf/json.js';
import { DecodeError, type Schema } from '../protobuf/schema.js';
import { validate } from '../protobuf/validate.js';
import { readAccessLogs, targetOf } from '../xds/resources/access-log.js';
import { readAddress } from '../xds/resources/address.js';
import { readLocality } from '../xds/resources/endpoint.js';
import { newFindings } from '../xds/resources/findings.js';
import { readDuration } from '../xds/resources/read-duration.js';
import {
  adminSupport,
  bootstrapSupport,
  layeredRuntimeSupport,
  nodeSupport,
  regexEngineSupport,
  staticResourcesSupport,
} from '../xds/resources/support/bootstrap.js';
import { checkFields, extensionRule, report } from '../xds/resources/support/check.js';
import { type Context, extensionType } from '../xds/resources/translate.js';
import { checkStaticSources, readControlPlanes } from './control-planes.js';
import { readDynamicResources, readLoadReporting } from './dynamic-resources.js';
import { readStaticResources, secretsByName } from './static-resources.js';
import { maxBytes, parseYaml } from './yaml.js';

const typeName = 'envoy.config.bootstrap.v3.Bootstrap';

const defaultStatsFlushIntervalMs = 5_000;

/** A problem and the file that has it (`--config-yaml` for that flag's text). */
export interface BootstrapProblem extends Problem {
  readonly file: string;
}

export type LoadedBootstrap =
  | { readonly ok: true; readonly bootstrap: Bootstrap }
  | { readonly ok: false; readonly problems: readonly BootstrapProblem[] };

export interface LoadOptions {
  readonly schema: Schema;
  /** `--config-path`: YAML or JSON. */
  readonly file?: string | undefined;
  /** `--config-yaml`: merged over the file. */
  readonly yamlText?: string | undefined;
  /** `--service-node`, `--service-cluster`, `--service-zone`: win over the file. */
  readonly overrides?: {
    readonly serviceNode?: string | undefined;
    readonly serviceCluster?: string | undefined;
    readonly serviceZone?: string | undefined;
  };
}

type Source =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly problems: readonly BootstrapProblem[] };

function failed(
  file: string,
  problems: readonly Problem[],
): { readonly ok: false; readonly problems: readonly BootstrapProblem[] } {
  return {
    ok: false,
    problems: problems.map(({ path, message }) => ({ file, path, message })),
  };
}

function readSource(schema: Schema, file: string, text: string): Source {
  const yaml = parseYaml(text);
  if (!yaml.ok) return failed(file, yaml.problems);
  const parsed = parseJson(schema, typeName, yaml.json);
  return parsed.ok ? { ok: true, bytes: parsed.bytes } : failed(file, parsed.problems);
}

function readFile(schema: Schema, file: string): Source {
  if (/\.pb(_text)?$/.test(file))
    return failed(file, [
      {
        path: '',
        message: 'protobuf files are not supported; use YAML or JSON',
      },
    ]);
  try {
    if (statSync(file).size > maxBytes)
      return failed(file, [{ path: '', message: `is larger than ${maxBytes} bytes` }]);
    return readSource(schema, file, readFileSync(file, 'utf8'));
  } catch (error) {
    return failed(file, [
      {
        path: '',
        message: `cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      },
    ]);
  }
}

function readNode(context: Context, bootstrap: Bootstrap__Output, overrides: LoadOptions['overrides']): Node {
  const { node } = bootstrap;
  if (node !== null) checkFields(nodeSupport, node, 'node', context.findings);
  const locality = readLocality(node?.locality ?? null);
  return {
    id: overrides?.serviceNode || (node?.id ?? ''),
    cluster: overrides?.serviceCluster || (node?.cluster ?? ''),
    locality: { ...locality, zone: overrides?.serviceZone || locality.zone },
    metadata: structToObject(node?.metadata),
  };
}

function readAdmin(context: Context, bootstrap: Bootstrap__Output): Bootstrap['admin'] {
  const { admin } = bootstrap;
  if (admin === null) return undefined;
  checkFields(adminSupport, admin, 'admin', context.findings);
  const accessLogs: AccessLogConfig[] = readAccessLogs(context, admin.access_log, 'admin.access_log');
  if (admin.access_log_path !== '')
    accessLogs.push({
      target: targetOf(admin.access_log_path),
      format: undefined,
    });
  if (admin.address === null) return undefined;
  const address = readAddress(context, admin.address, 'admin.address', 'ip');
  return address && { address, accessLogs };
}

function readRest(context: Context, bootstrap: Bootstrap__Output): void {
  checkFields(bootstrapSupport, bootstrap, '', context.findings);
  if (bootstrap.static_resources !== null)
    checkFields(staticResourcesSupport, bootstrap.static_resources, 'static_resources', context.findings);
  const engine = bootstrap.default_regex_engine;
  const engineType = engine && extensionType(context, engine.typed_config, 'default_regex_engine.typed_config');
  const rule = engineType ? extensionRule(regexEngineSupport, engineType) : undefined;
  if (rule) report(context.findings, rule.treatment, 'default_regex_engine', `${rule.reason} (${engineType})`);
  for (const [index, layer] of (bootstrap.layered_runtime?.layers ?? []).entries())
    checkFields(layeredRuntimeSupport, layer, `layered_runtime.layers[${index}]`, context.findings);
}

function distinct(problems: readonly Problem[]): Problem[] {
  const seen = new Map<string, Problem>();
  for (const problem of problems) seen.set(`${problem.path}\0${problem.message}`, problem);
  return [...seen.values()];
}

function judge(options: LoadOptions, file: string, bytes: Uint8Array): LoadedBootstrap {
  const { schema } = options;
  const message = schema.decode<Bootstrap__Output>(typeName, bytes);
  const context: Context = {
    schema,
    origin: 'static',
    findings: newFindings(),
  };
  context.findings.malformed.push(...validate(schema, typeName, message));
  const node = readNode(context, message, options.overrides);
  const admin = readAdmin(context, message);
  readRest(context, message);
  const resources = readStaticResources(schema, message);
  const controlPlanes = readControlPlanes(context, message, resources.clusters, secretsByName(resources.secrets));
  const dynamic = readDynamicResources(context, message, node, controlPlanes);
  const loadReporting = readLoadReporting(context, message, node, controlPlanes);
  checkStaticSources(controlPlanes, resources.clusters, resources.listeners);
  const problems = distinct([...context.findings.malformed, ...context.findings.unsupported, ...resources.problems]);
  if (problems.length > 0) return failed(file, problems);
  return {
    ok: true,
    bootstrap: {
      bytes,
      node,
      admin,
      clusters: resources.clusters,
      listeners: resources.listeners,
      secrets: resources.secrets,
      ...dynamic,
      loadReporting,
      grpcClusters: controlPlanes.usable,
      statsFlushIntervalMs: readDuration(
        context,
        message.stats_flush_interval,
        defaultStatsFlushIntervalMs,
        'stats_flush_interval',
      ),
      warnings: context.findings.warnings,
    },
  };
}

/**
 * Loads Envoy's bootstrap (envoy.config.bootstrap.v3.Bootstrap) from a file, a text, or both: then the text is merged over
 * the file as Envoy merges messages: lists grow, messages merge, other fields are replaced. All problems come back at once.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/overview/bootstrap
 */
export function loadBootstrap(options: LoadOptions): LoadedBootstrap {
  const sources: Source[] = [];
  if (options.file !== undefined) sources.push(readFile(options.schema, options.file));
  if (options.yamlText !== undefined) sources.push(readSource(options.schema, '--config-yaml', options.yamlText));
  if (sources.length === 0)
    return failed('', [
      {
        path: '',
        message: 'there is no configuration; use --config-path FILE or --config-yaml TEXT',
      },
    ]);
  const problems = sources.flatMap((source) => (source.ok ? [] : source.problems));
  if (problems.length > 0) return { ok: false, problems };
  // Bytes one after the other are a merged message: https://protobuf.dev/programming-guides/encoding/#last-one-wins
  const bytes = Buffer.concat(sources.map((source) => (source.ok ? source.bytes : new Uint8Array())));
  const file = [options.file, options.yamlText === undefined ? undefined : '--config-yaml']
    .filter(Boolean)
    .join(' with ');
  try {
    return judge(options, file, bytes);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    return failed(file, [{ path: '', message: error.message }]);
  }
}
