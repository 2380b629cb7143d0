import type { ApiSource } from '../../model/config-source.js';
import type { ApiConfigSource__Output } from '../../protobuf/generated/envoy/config/core/v3/ApiConfigSource.js';
import { join } from './findings.js';
import { readGrpcService } from './grpc-service.js';
import { checkFields } from './support/check.js';
import { apiConfigSourceSupport } from './support/control-plane.js';
import type { Context } from './translate.js';

/** Envoy's, where `rate_limit_settings` is there and says nothing else. */
const defaultRateLimit = { maxTokens: 100, fillRate: 10 };

function readVariant(
  context: Context,
  config: ApiConfigSource__Output,
  path: string,
): ApiSource['variant'] | undefined {
  if (config.api_type === 'DELTA_GRPC') return 'DELTA';
  if (config.api_type === 'GRPC') return 'SOTW';
  const message = `${config.api_type} is not supported; allowed are GRPC and DELTA_GRPC`;
  context.findings.unsupported.push({ path: join(path, 'api_type'), message });
  return undefined;
}

function readRateLimit(context: Context, config: ApiConfigSource__Output, path: string): ApiSource['rateLimit'] {
  const settings = config.rate_limit_settings;
  if (settings === null) return undefined;
  const maxTokens = settings.max_tokens?.value ?? defaultRateLimit.maxTokens;
  const fillRate = settings.fill_rate?.value ?? defaultRateLimit.fillRate;
  const at = join(path, 'rate_limit_settings');
  if (!(fillRate > 0) || !Number.isFinite(fillRate))
    context.findings.malformed.push({ path: join(at, 'fill_rate'), message: 'must be a number above 0' });
  if (maxTokens < 1)
    context.findings.malformed.push({
      path: join(at, 'max_tokens'),
      message: 'must be at least 1, or nothing is sent',
    });
  return { maxTokens, fillRate };
}

/** https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/config_source.proto#config-core-v3-apiconfigsource */
export function readApiSource(context: Context, config: ApiConfigSource__Output, path: string): ApiSource | undefined {
  const { findings } = context;
  const variant = readVariant(context, config, path);
  if (variant === undefined) return undefined;
  checkFields(apiConfigSourceSupport, config, path, findings);
  if (config.transport_api_version !== 'V3')
    findings.unsupported.push({
      path: join(path, 'transport_api_version'),
      message: `${config.transport_api_version} is not supported; allowed is V3`,
    });
  const [first, ...others] = config.grpc_services.map((service, index) =>
    readGrpcService(context, service, join(path, `grpc_services[${index}]`)),
  );
  if (config.grpc_services.length === 0)
    findings.malformed.push({
      path: join(path, 'grpc_services'),
      message: 'has 0 entries; name the control plane, and after it those to ask when it is away',
    });
  const rateLimit = readRateLimit(context, config, path);
  if (first === undefined) return undefined;
  return {
    kind: 'api',
    variant,
    services: [first, ...others.filter((service) => service !== undefined)],
    setNodeOnFirstMessageOnly: config.set_node_on_first_message_only,
    rateLimit,
  };
}
