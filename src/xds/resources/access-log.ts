import { checkFormat } from '../../access-log/format.js';
import type { AccessLogConfig } from '../../model/listener.js';
import { structToObject } from '../../protobuf/any.js';
import type { AccessLog__Output } from '../../protobuf/generated/envoy/config/accesslog/v3/AccessLog.js';
import type { SubstitutionFormatString__Output } from '../../protobuf/generated/envoy/config/core/v3/SubstitutionFormatString.js';
import type { FileAccessLog__Output } from '../../protobuf/generated/envoy/extensions/access_loggers/file/v3/FileAccessLog.js';
import type { StdoutAccessLog__Output } from '../../protobuf/generated/envoy/extensions/access_loggers/stream/v3/StdoutAccessLog.js';
import { readDataSource } from './data-source.js';
import { join } from './findings.js';
import { checkFields, extensionRule, report } from './support/check.js';
import { accessLoggerSupport, accessLogSupport, formatStringSupport } from './support/listener.js';
import { type Context, extensionType, readExtension } from './translate.js';

type Format = AccessLogConfig['format'];
type Target = AccessLogConfig['target'];

const maxFormatBytes = 64 * 1024;

function readFormatString(context: Context, format: SubstitutionFormatString__Output, path: string): Format {
  checkFields(formatStringSupport, format, path, context.findings);
  if (format.json_format) return { kind: 'json', json: structToObject(format.json_format) };
  if (format.text_format_source) {
    const text = readDataSource(context, format.text_format_source, join(path, 'text_format_source'), maxFormatBytes);
    return text && { kind: 'text', text: Buffer.from(text).toString() };
  }
  return { kind: 'text', text: format.text_format ?? '' };
}

function readFileFormat(context: Context, log: FileAccessLog__Output, path: string): Format {
  if (log.log_format) return readFormatString(context, log.log_format, join(path, 'log_format'));
  const json = log.json_format ?? log.typed_json_format;
  if (json) return { kind: 'json', json: structToObject(json) };
  return log.format ? { kind: 'text', text: log.format } : undefined;
}

/** The process's own streams keep their names: they are written by the log, never opened. */
export function targetOf(path: string): Target {
  if (path === '/dev/stdout') return { kind: 'stdout' };
  if (path === '/dev/stderr') return { kind: 'stderr' };
  return { kind: 'file', path };
}

function readLogger(context: Context, log: AccessLog__Output, path: string): AccessLogConfig | undefined {
  checkFields(accessLogSupport, log, path, context.findings);
  const at = join(path, 'typed_config');
  const any = log.typed_config ?? null;
  const type = extensionType(context, any, at);
  if (type === undefined || any === null) return undefined;
  const rule = extensionRule(accessLoggerSupport, type);
  if (rule !== undefined) {
    report(context.findings, rule.treatment, at, `access loggers of type ${type} do not log; ${rule.reason}`);
    return undefined;
  }
  if (type.endsWith('.FileAccessLog')) {
    const file = readExtension<FileAccessLog__Output>(context, any, at);
    return (
      file && {
        target: targetOf(file.path),
        format: readFileFormat(context, file, at),
      }
    );
  }
  const stream = readExtension<StdoutAccessLog__Output>(context, any, at);
  if (stream === undefined) return undefined;
  const format = stream.log_format ? readFormatString(context, stream.log_format, join(at, 'log_format')) : undefined;
  return {
    target: { kind: type.endsWith('.StderrAccessLog') ? 'stderr' : 'stdout' },
    format,
  };
}

/** https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage */
export function readAccessLogs(context: Context, logs: readonly AccessLog__Output[], path: string): AccessLogConfig[] {
  const configs: AccessLogConfig[] = [];
  for (const [index, log] of logs.entries()) {
    const at = `${path}[${index}]`;
    const config = readLogger(context, log, at);
    if (config === undefined) continue;
    for (const problem of checkFormat(config.format))
      context.findings.unsupported.push({
        path: join(`${at}.typed_config.log_format`, problem.path),
        message: problem.message,
      });
    configs.push(config);
  }
  return configs;
}
