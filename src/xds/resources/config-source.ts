import { existsSync } from 'node:fs';
import type { ConfigSource, PathSource } from '../../model/config-source.js';
import type { ConfigSource__Output } from '../../protobuf/generated/envoy/config/core/v3/ConfigSource.js';
import { wildcardName } from '../discovery.js';
import { readApiSource } from './api-source.js';
import { join } from './findings.js';
import { readDuration } from './read-duration.js';
import { checkFields } from './support/check.js';
import { configSourceSupport } from './support/common.js';
import { pathConfigSourceSupport } from './support/control-plane.js';
import type { Context } from './translate.js';
import { readWatchedDirectory } from './watched-directory.js';

/** As Envoy's: how long a resource may be absent before it counts as missing. */
export const defaultInitialFetchTimeoutMs = 15_000;

/** The file has to be there already, as in Envoy: a wrong path would be waited for without a word. */
function readPath(context: Context, source: ConfigSource__Output, path: string): PathSource | undefined {
  const config = source.path_config_source;
  if (config) checkFields(pathConfigSourceSupport, config, join(path, 'path_config_source'), context.findings);
  const file = config?.path ?? source.path ?? '';
  const at = join(path, config ? 'path_config_source.path' : 'path');
  if (!existsSync(file)) {
    context.findings.unsupported.push({
      path: at,
      message: `there is no file ${file}; it must exist before it is used`,
    });
    return undefined;
  }
  const watchedAt = join(path, 'path_config_source.watched_directory');
  const directory = readWatchedDirectory(context, config?.watched_directory, watchedAt);
  if (directory !== undefined && !existsSync(directory)) {
    const message = `there is no folder ${directory}; it must exist before it is watched`;
    context.findings.unsupported.push({ path: join(watchedAt, 'path'), message });
    return undefined;
  }
  const pollAt = join(path, 'path_config_source.poll_interval');
  const pollIntervalMs = config?.poll_interval ? readDuration(context, config.poll_interval, 0, pollAt) : undefined;
  return { kind: 'path', path: file, watchedDirectory: directory, pollIntervalMs };
}

/**
 * The name of a resource that is to be subscribed to. `*` can't be one, because it asks for all of them:
 * https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#how-the-client-specifies-what-resources-to-return
 */
export function checkSubscribedName(context: Context, name: string, path: string): void {
  if (name === '') context.findings.malformed.push({ path, message: 'is required' });
  else if (name === wildcardName) {
    const message = "must not be '*', which asks for all resources and is the name of none";
    context.findings.malformed.push({ path, message });
  }
}

/**
 * Where resources come from: the aggregated stream, one of their own, a file, or (`self`, in what a control plane delivered) the source of
 * the resource itself.
 */
export function readConfigSource(
  context: Context,
  source: ConfigSource__Output,
  path: string,
): ConfigSource | undefined {
  const { findings } = context;
  checkFields(configSourceSupport, source, path, findings);
  const initialFetchTimeoutMs = readDuration(
    context,
    source.initial_fetch_timeout,
    defaultInitialFetchTimeoutMs,
    join(path, 'initial_fetch_timeout'),
  );
  switch (source.config_source_specifier) {
    case 'ads':
      return { kind: 'ads', initialFetchTimeoutMs };
    case 'self':
      if (context.origin === 'dynamic') return { kind: 'self', initialFetchTimeoutMs };
      findings.unsupported.push({
        path: join(path, 'self'),
        message: 'not supported: a static resource has no stream; use ads: {}',
      });
      return undefined;
    case 'api_config_source': {
      const api =
        source.api_config_source && readApiSource(context, source.api_config_source, join(path, 'api_config_source'));
      return api ? { ...api, initialFetchTimeoutMs } : undefined;
    }
    case 'path':
    case 'path_config_source': {
      const file = readPath(context, source, path);
      return file && { ...file, initialFetchTimeoutMs };
    }
    default:
      return undefined;
  }
}
