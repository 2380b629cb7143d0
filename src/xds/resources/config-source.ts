import type { ConfigSource } from '../../model/config-source.js';
import type { ConfigSource__Output } from '../../protobuf/generated/envoy/config/core/v3/ConfigSource.js';
import { join } from './findings.js';
import { readDuration } from './read-duration.js';
import { checkFields } from './support/check.js';
import { configSourceSupport } from './support/common.js';
import type { Context } from './translate.js';

/** As Envoy's: how long a resource may be absent before it counts as missing. */
export const defaultInitialFetchTimeoutMs = 15_000;

/** Only the aggregated stream is a source: `ads: {}`, or `self: {}` in what that stream delivered. */
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
  if (source.ads || (source.self && context.origin === 'dynamic')) return { kind: 'ads', initialFetchTimeoutMs };
  if (source.self)
    findings.unsupported.push({
      path: join(path, 'self'),
      message: 'not supported: a static resource has no stream; use ads: {}',
    });
  return undefined;
}
