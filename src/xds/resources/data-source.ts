import { readFileSync, statSync } from 'node:fs';
import type { DataSource } from '../../model/data-source.js';
import type { DataSource__Output } from '../../protobuf/generated/envoy/config/core/v3/DataSource.js';
import { join } from './findings.js';
import { checkFields } from './support/check.js';
import { dataSourceSupport } from './support/common.js';
import type { Context } from './translate.js';

function readSpecified(source: DataSource__Output, maxBytes: number): Uint8Array {
  switch (source.specifier) {
    case 'filename': {
      const filename = source.filename ?? '';
      const { size } = statSync(filename);
      return size > maxBytes ? new Uint8Array(size) : Uint8Array.from(readFileSync(filename));
    }
    case 'environment_variable': {
      const value = process.env[source.environment_variable ?? ''];
      if (value === undefined)
        throw new Error(`the environment variable ${source.environment_variable} does not exist`);
      return Buffer.from(value);
    }
    case 'inline_bytes':
      return Uint8Array.from(source.inline_bytes ?? []);
    default:
      return Buffer.from(source.inline_string ?? '');
  }
}

/**
 * The data of a DataSource, of at most `maxBytes`. A file is read once, now, as Envoy does.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/base.proto#config-core-v3-datasource
 */
export function readDataSource(
  context: Context,
  source: DataSource__Output,
  path: string,
  maxBytes: number,
): Uint8Array | undefined {
  checkFields(dataSourceSupport, source, path, context.findings);
  const at = join(path, source.specifier ?? '');
  try {
    const data = readSpecified(source, maxBytes);
    if (data.length <= maxBytes) return data;
    context.findings.malformed.push({
      path: at,
      message: `is ${data.length} bytes; the maximum is ${maxBytes}`,
    });
  } catch (error) {
    context.findings.malformed.push({
      path: at,
      message: error instanceof Error ? error.message : String(error),
    });
  }
  return undefined;
}

/** A DataSource as it is, to be read when it is needed. */
export function dataSource({ findings }: Context, source: DataSource__Output, path: string): DataSource {
  checkFields(dataSourceSupport, source, path, findings);
  switch (source.specifier) {
    case 'filename':
      return { kind: 'file', path: source.filename ?? '' };
    case 'environment_variable':
      return { kind: 'environment', variable: source.environment_variable ?? '' };
    case 'inline_bytes':
      return { kind: 'inline', bytes: Uint8Array.from(source.inline_bytes ?? []) };
    default:
      return { kind: 'inline', bytes: Buffer.from(source.inline_string ?? '') };
  }
}
