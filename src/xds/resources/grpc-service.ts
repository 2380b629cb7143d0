import { hostname } from 'node:os';
import type { CallCredential, ChannelSecurity, GrpcService } from '../../model/grpc-service.js';
import type { DataSource__Output } from '../../protobuf/generated/envoy/config/core/v3/DataSource.js';
import type {
  _envoy_config_core_v3_GrpcService_GoogleGrpc__Output as GoogleGrpc__Output,
  GrpcService__Output,
} from '../../protobuf/generated/envoy/config/core/v3/GrpcService.js';
import type { RetryPolicy__Output } from '../../protobuf/generated/envoy/config/core/v3/RetryPolicy.js';
import { dataSource } from './data-source.js';
import { join } from './findings.js';
import { readDuration } from './read-duration.js';
import { checkFields } from './support/check.js';
import {
  callCredentialsSupport,
  channelCredentialsSupport,
  envoyGrpcSupport,
  googleGrpcSupport,
  grpcRetrySupport,
  grpcServiceSupport,
  pluginCredentialsSupport,
  sslCredentialsSupport,
} from './support/control-plane.js';
import { type Context, extensionType, readExtension } from './translate.js';

const fileBasedMetadata = 'envoy.grpc_credentials.file_based_metadata';
const fileBasedMetadataType = 'envoy.config.grpc_credential.v3.FileBasedMetadataConfig';

/** Arguments of a gRPC channel that mean the same to the library that is used here. */
const knownArgs = new Set([
  'grpc.keepalive_time_ms',
  'grpc.keepalive_timeout_ms',
  'grpc.max_receive_message_length',
  'grpc.max_metadata_size',
  'grpc.default_authority',
  'grpc.ssl_target_name_override',
  'grpc.primary_user_agent',
  'grpc.secondary_user_agent',
]);

/**
 * The value of a header that is configured, with Envoy's command operators as far as they mean something where there is no request:
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#custom-request-response-headers
 */
function readHeaderValue(context: Context, text: string, path: string): string {
  return text.replace(/%(?:%|([A-Z_]+)(?:\(([^)]*)\))?(?::(\d+))?%)/g, (all, command, parameter, length) => {
    if (all === '%%') return '%';
    const value =
      command === 'ENVIRONMENT'
        ? (process.env[parameter ?? ''] ?? '-')
        : command === 'HOSTNAME'
          ? hostname()
          : undefined;
    if (value !== undefined) return length === undefined ? value : value.slice(0, Number(length));
    context.findings.unsupported.push({
      path,
      message: `not supported: %${command}% has no meaning in a stream to a control plane; allowed are ENVIRONMENT, HOSTNAME and %%`,
    });
    return '';
  });
}

function readInitialMetadata(
  context: Context,
  service: GrpcService__Output,
  path: string,
): GrpcService['initialMetadata'] {
  return service.initial_metadata.flatMap(({ key, value, raw_value }, index) => {
    const at = join(path, `initial_metadata[${index}]`);
    if (!/^[0-9a-z_.-]+$/i.test(key)) {
      context.findings.unsupported.push({
        path: join(at, 'key'),
        message: `'${key}' is not the name of gRPC metadata`,
      });
      return [];
    }
    const text = value === '' ? raw_value.toString('latin1') : readHeaderValue(context, value, join(at, 'value'));
    // gRPC's own encoding of binary metadata: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
    return [{ key, value: key.toLowerCase().endsWith('-bin') ? Buffer.from(text, 'base64') : text }];
  });
}

function readRetry(context: Context, policy: RetryPolicy__Output | null, path: string): GrpcService['retry'] {
  if (policy) checkFields(grpcRetrySupport, policy, join(path, 'retry_policy'), context.findings);
  const backOff = policy?.retry_back_off;
  if (!backOff) return undefined;
  const at = join(path, 'retry_policy.retry_back_off');
  const firstMs = readDuration(context, backOff.base_interval, 500, join(at, 'base_interval'));
  const longestMs = readDuration(context, backOff.max_interval, firstMs * 10, join(at, 'max_interval'));
  if (firstMs > 0 && longestMs >= firstMs) return { firstMs, longestMs };
  context.findings.malformed.push({ path: at, message: 'base_interval must be above 0 and not above max_interval' });
  return undefined;
}

function readSecurity(context: Context, google: GoogleGrpc__Output, path: string): ChannelSecurity {
  const credentials = google.channel_credentials;
  if (credentials === null) return { kind: 'plain' };
  const at = join(path, 'channel_credentials');
  checkFields(channelCredentialsSupport, credentials, at, context.findings);
  const ssl = credentials.ssl_credentials;
  if (!ssl) return { kind: 'plain' };
  checkFields(sslCredentialsSupport, ssl, join(at, 'ssl_credentials'), context.findings);
  const source = (field: 'root_certs' | 'private_key' | 'cert_chain') => {
    const from = ssl[field];
    return from === null ? undefined : dataSource(context, from, join(at, `ssl_credentials.${field}`));
  };
  const [privateKey, certChain] = [source('private_key'), source('cert_chain')];
  if ((privateKey === undefined) !== (certChain === undefined))
    context.findings.malformed.push({
      path: join(at, 'ssl_credentials'),
      message: 'private_key and cert_chain belong together',
    });
  return { kind: 'tls', rootCerts: source('root_certs'), privateKey, certChain };
}

function readCallCredentials(context: Context, google: GoogleGrpc__Output, path: string): CallCredential[] {
  const { findings } = context;
  return google.call_credentials.flatMap((credentials, index): CallCredential[] => {
    const at = join(path, `call_credentials[${index}]`);
    checkFields(callCredentialsSupport, credentials, at, findings);
    if (credentials.credential_specifier === 'access_token') {
      const bytes = Buffer.from(credentials.access_token ?? '');
      return [{ header: 'authorization', prefix: 'Bearer ', secret: { kind: 'inline', bytes } }];
    }
    const plugin = credentials.from_plugin;
    if (!plugin) return [];
    checkFields(pluginCredentialsSupport, plugin, join(at, 'from_plugin'), findings);
    const configPath = join(at, 'from_plugin.typed_config');
    const type = extensionType(context, plugin.typed_config, configPath);
    if (type === undefined || !plugin.typed_config) return [];
    if (type !== fileBasedMetadataType) {
      const message = `not supported: ${plugin.name} (${type}) is not loaded; use ${fileBasedMetadata}`;
      findings.unsupported.push({ path: configPath, message });
      return [];
    }
    const config = readExtension<{
      readonly secret_data: DataSource__Output | null;
      readonly header_key: string;
      readonly header_prefix: string;
    }>(context, plugin.typed_config, configPath);
    if (!config?.secret_data) return [];
    const header = config.header_key || 'authorization';
    const secret = dataSource(context, config.secret_data, join(configPath, 'secret_data'));
    return [{ header, prefix: config.header_prefix, secret }];
  });
}

function readArgs(context: Context, google: GoogleGrpc__Output, path: string): Record<string, string | number> {
  const args: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(google.channel_args?.args ?? {})) {
    const at = join(path, `channel_args.args[${JSON.stringify(name)}]`);
    if (!knownArgs.has(name)) context.findings.warnings.push({ path: at, message: 'ignored: it has no meaning here' });
    else args[name] = value.string_value ?? Number(value.int_value ?? 0);
  }
  return args;
}

function readGoogleGrpc(context: Context, google: GoogleGrpc__Output, path: string): GrpcService['target'] {
  const { findings } = context;
  checkFields(googleGrpcSupport, google, path, findings);
  const factory = google.credentials_factory_name;
  if (factory !== '' && factory !== fileBasedMetadata && factory !== 'envoy.grpc_credentials.default')
    findings.unsupported.push({
      path: join(path, 'credentials_factory_name'),
      message: `not supported: ${factory} is not loaded; allowed is ${fileBasedMetadata}`,
    });
  const security = readSecurity(context, google, path);
  const credentials = readCallCredentials(context, google, path);
  if (credentials.length > 0 && security.kind === 'plain' && google.channel_credentials?.local_credentials == null)
    findings.unsupported.push({
      path: join(path, 'call_credentials'),
      message: 'would be sent in plain text; set channel_credentials to ssl_credentials',
    });
  return { kind: 'address', uri: google.target_uri, security, credentials, args: readArgs(context, google, path) };
}

/** https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/grpc_service.proto */
export function readGrpcService(context: Context, service: GrpcService__Output, path: string): GrpcService | undefined {
  checkFields(grpcServiceSupport, service, path, context.findings);
  const initialMetadata = readInitialMetadata(context, service, path);
  const retry = readRetry(context, service.retry_policy, path);
  const { envoy_grpc: envoy, google_grpc: google } = service;
  if (envoy) {
    const at = join(path, 'envoy_grpc');
    checkFields(envoyGrpcSupport, envoy, at, context.findings);
    const own = readRetry(context, envoy.retry_policy, at);
    return {
      target: { kind: 'cluster', clusterName: envoy.cluster_name, authority: envoy.authority || undefined },
      initialMetadata,
      maxReceiveMessageLength: envoy.max_receive_message_length?.value || undefined,
      retry: own ?? retry,
    };
  }
  if (!google) return undefined;
  return {
    target: readGoogleGrpc(context, google, join(path, 'google_grpc')),
    initialMetadata,
    maxReceiveMessageLength: undefined,
    retry,
  };
}
