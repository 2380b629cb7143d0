import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { HeaderMap } from '../bridge/header-map.js';
import type { CertificateInfo } from '../tls/tls-info.js';
import { compileDateFormat } from './date-format.js';
import { formatLongResponseFlags, formatResponseFlags } from './response-flags.js';
import type { StreamInfo } from './stream-info.js';

/** All that a line can be made of. */
export interface LogContext {
  readonly info: StreamInfo;
  readonly requestHeaders: HeaderMap | undefined;
  readonly responseHeaders: HeaderMap | undefined;
  /** When the line is made: monotonic, and since the epoch. */
  readonly now: number;
  readonly wallNow: number;
}

/** What a command operator finds; undefined prints `-` (JSON: null). Strings hold one byte per character, see `bytesOf`. */
export type Extractor = (context: LogContext) => string | number | undefined;

/** Which parts of `%COMMAND(PARAMS):LENGTH%` an operator takes. */
interface CommandOperator {
  readonly params: 'none' | 'optional' | 'required';
  readonly length: boolean;
  /** Throws an Error that says what is wrong with `params`. */
  create(params: string, maxLength: number | undefined): Extractor;
}

/** Text as UTF-8 with one character per byte, which is how lines are built: header values are bytes that need not be UTF-8. */
export function bytesOf(text: string): string {
  return /[^\0-\x7f]/.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** Header values come one byte per character already, unless a plugin set other text. */
function headerBytes(value: string): string {
  return /[^\0-\xff]/.test(value) ? Buffer.from(value, 'utf8').toString('latin1') : value;
}

const orUndefined = (text: string | undefined): string | undefined =>
  text === undefined || text === '' ? undefined : bytesOf(text);

const command = (extract: Extractor): CommandOperator => ({ params: 'none', length: false, create: () => extract });

const text = (get: (info: StreamInfo) => string | undefined): CommandOperator =>
  command(({ info }) => orUndefined(get(info)));

const number = (get: (info: StreamInfo) => number): CommandOperator => command(({ info }) => get(info));

/** Milliseconds from the start of the request to a moment. */
const durationTo = (moment: (info: StreamInfo) => number | undefined): CommandOperator =>
  command(({ info }) => elapsed(info.startTime, moment(info)));

function elapsed(from: number | undefined, to: number | undefined): number | undefined {
  return from === undefined || to === undefined ? undefined : Math.max(0, Math.floor(to - from));
}

type AddressPart = 'whole' | 'host' | 'port';

const address = (part: AddressPart, get: (info: StreamInfo) => string | undefined): CommandOperator =>
  command(({ info }) => {
    const whole = get(info);
    if (whole === undefined || whole === '' || part === 'whole') return orUndefined(whole);
    // A Unix socket's path has no port: Envoy prints the path, or no port.
    const port = whole.startsWith('/') ? undefined : /:(\d+)$/.exec(whole);
    if (part === 'port') return port ? Number(port[1]) : undefined;
    return bytesOf(port ? whole.slice(0, port.index).replace(/^\[(.*)\]$/, '$1') : whole);
  });

/** `HEADER?ALTERNATIVE`. Names are matched in lower case; `host` is `:authority`, as everywhere in Envoy. */
function header(headersOf: (context: LogContext) => HeaderMap | undefined): CommandOperator {
  return {
    params: 'required',
    length: true,
    create(params, maxLength) {
      const names = params
        .split('?')
        .map((name) => (name.toLowerCase() === 'host' ? ':authority' : name.toLowerCase()));
      if (names.length > 2) throw new Error(`has more than one alternative header in "${params}"; one "?" is allowed`);
      for (const [index, name] of names.entries()) {
        if (index === 1 && name === '') continue;
        if (!/^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) throw new Error(`holds an invalid header name "${name}"`);
      }
      const [main, alternative] = names as [string, string | undefined];
      return (context) => {
        const headers = headersOf(context);
        const value = headers?.get(main) ?? (alternative ? headers?.get(alternative) : undefined);
        return value === undefined ? undefined : headerBytes(value).slice(0, maxLength);
      };
    },
  };
}

function time(get: (context: LogContext) => number | undefined, local: boolean): CommandOperator {
  return {
    params: 'optional',
    length: false,
    create(params) {
      if (/%[-_0^#]*[1-9]*(E|O)?n/.test(params)) throw new Error('must not hold a newline (%n) in its time format');
      const format = compileDateFormat(params, local);
      return (context) => {
        const moment = get(context);
        return moment === undefined ? undefined : bytesOf(format(moment));
      };
    },
  };
}

/** `%PATH(WQ|NQ:ORIG|PATH|ORIG_OR_PATH)%`: the path with or without its query, before or after a rewrite. */
const path: CommandOperator = {
  params: 'optional',
  length: true,
  create(params, maxLength) {
    const [query = '', which = ''] = params.split(':');
    if (!['', 'WQ', 'NQ'].includes(query)) throw new Error(`takes WQ or NQ first, not "${query}"`);
    if (!['', 'ORIG', 'PATH', 'ORIG_OR_PATH'].includes(which)) {
      throw new Error(`takes ORIG, PATH or ORIG_OR_PATH second, not "${which}"`);
    }
    return ({ requestHeaders }) => {
      const original = which === 'PATH' ? undefined : requestHeaders?.get('x-envoy-original-path');
      const value = original || (which === 'ORIG' ? undefined : requestHeaders?.get(':path'));
      if (!value) return undefined;
      return headerBytes(query === 'NQ' ? (value.split('?', 1)[0] as string) : value).slice(0, maxLength);
    };
  },
};

const queryParameter: CommandOperator = {
  params: 'required',
  length: true,
  create:
    (name, maxLength) =>
    ({ requestHeaders }) => {
      const target = requestHeaders?.get(':path') ?? '';
      const start = target.indexOf('?');
      if (start < 0) return undefined;
      for (const pair of target.slice(start + 1).split('&')) {
        const equals = pair.indexOf('=');
        if (percentDecode(equals < 0 ? pair : pair.slice(0, equals)) !== bytesOf(name)) continue;
        return equals < 0 ? '' : percentDecode(pair.slice(equals + 1)).slice(0, maxLength);
      }
      return undefined;
    },
};

/** To bytes; what is no valid escape stays. */
function percentDecode(value: string): string {
  return value.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

const environment: CommandOperator = {
  params: 'required',
  length: true,
  create(name, maxLength) {
    const value = bytesOf(process.env[name] ?? '-').slice(0, maxLength);
    return () => value;
  },
};

/** The moments that %COMMON_DURATION(from:to:precision)% knows. */
const moments: Record<string, (info: StreamInfo) => number | undefined> = {
  DS_RX_BEG: (info) => info.startTime,
  DS_RX_END: (info) => info.lastDownstreamRxByte,
  US_CX_BEG: () => undefined,
  US_CX_END: () => undefined,
  US_HS_END: () => undefined,
  US_TX_BEG: (info) => info.firstUpstreamTxByte,
  US_TX_END: (info) => info.lastUpstreamTxByte,
  US_RX_BEG: (info) => info.firstUpstreamRxByte,
  US_RX_END: (info) => info.lastUpstreamRxByte,
  DS_TX_BEG: (info) => info.firstDownstreamTxByte,
  DS_TX_END: (info) => info.lastDownstreamTxByte,
};

const commonDuration: CommandOperator = {
  params: 'required',
  length: false,
  create(params) {
    const parts = params.split(':');
    const factor = { ms: 1, us: 1e3, ns: 1e6 }[parts[2] ?? 'ms'];
    if (parts.length < 2 || parts.length > 3)
      throw new Error(`takes START:END or START:END:PRECISION, not "${params}"`);
    if (factor === undefined) throw new Error(`takes the precision ms, us or ns, not "${parts[2]}"`);
    // Envoy looks any other name up among moments that filters set; none of ours does.
    const from = moments[parts[0] as string];
    const to = moments[parts[1] as string];
    return ({ info }) => {
      const begin = from?.(info);
      const end = to?.(info);
      return begin === undefined || end === undefined || end < begin ? undefined : Math.floor((end - begin) * factor);
    };
  },
};

const headersBytes = (headersOf: (context: LogContext) => HeaderMap | undefined): CommandOperator =>
  command((context) => {
    let size = 0;
    headersOf(context)?.forEach((name, value) => {
      size += name.length + value.length;
    });
    return size;
  });

const responseCodeDetails: CommandOperator = {
  params: 'optional',
  length: false,
  create: (params) =>
    params === 'ALLOW_WHITESPACES'
      ? ({ info }) => orUndefined(info.responseCodeDetails)
      : ({ info }) => orUndefined(info.responseCodeDetails?.replace(/\s/g, '_')),
};

/** As a hostname that can't break the line's syntax. */
function sanitizedServerName(name: string | undefined): string | undefined {
  if (!name) return undefined;
  return /[^0-9a-zA-Z._-]/.test(name) ? `invalid:${name.replace(/[^0-9a-zA-Z._-]/g, '_')}` : name;
}

const remote = (info: StreamInfo): string => info.downstreamRemoteAddress;
const directRemote = (info: StreamInfo): string => info.downstreamDirectRemoteAddress ?? info.downstreamRemoteAddress;
const local = (info: StreamInfo): string => info.downstreamLocalAddress;
const upstreamHost = (info: StreamInfo): string | undefined => info.upstreamHost;
const upstreamLocal = (info: StreamInfo): string | undefined => info.upstreamLocalAddress;
const request = ({ requestHeaders }: LogContext): HeaderMap | undefined => requestHeaders;
const response = ({ responseHeaders }: LogContext): HeaderMap | undefined => responseHeaders;
const nothing = (): undefined => undefined;
const peer = (info: StreamInfo): CertificateInfo | undefined => info.downstreamTls?.peer;
const upstreamPeer = (info: StreamInfo): CertificateInfo | undefined => info.upstreamTls?.peer;
const upstreamOwn = (info: StreamInfo): CertificateInfo | undefined => info.upstreamTls?.local;
const peerChain = (info: StreamInfo, of: (certificate: CertificateInfo) => string): string | undefined =>
  info.downstreamTls?.peerChain.map(of).join();
const host = hostname();

const operators: Record<string, CommandOperator> = {
  START_TIME: time(({ info }) => info.startWallTime, false),
  START_TIME_LOCAL: time(({ info }) => info.startWallTime, true),
  EMIT_TIME: time(({ wallNow }) => wallNow, false),
  EMIT_TIME_LOCAL: time(({ wallNow }) => wallNow, true),
  REQ: header(request),
  STREAM_INFO_REQ: header(request),
  RESP: header(response),
  TRAILER: header(nothing),
  PROTOCOL: text((info) => info.protocol),
  RESPONSE_CODE: number((info) => info.responseCode),
  RESPONSE_CODE_DETAILS: responseCodeDetails,
  RESPONSE_FLAGS: text((info) => formatResponseFlags(info.responseFlags)),
  RESPONSE_FLAGS_LONG: text((info) => formatLongResponseFlags(info.responseFlags)),
  BYTES_RECEIVED: number((info) => info.requestBytes),
  BYTES_SENT: number((info) => info.responseBytes),
  DURATION: command(({ info, now }) => elapsed(info.startTime, now)),
  REQUEST_DURATION: durationTo((info) => info.lastDownstreamRxByte),
  REQUEST_TX_DURATION: durationTo((info) => info.lastUpstreamTxByte),
  RESPONSE_DURATION: durationTo((info) => info.firstUpstreamRxByte),
  RESPONSE_TX_DURATION: command(({ info }) => elapsed(info.firstUpstreamRxByte, info.lastDownstreamTxByte)),
  COMMON_DURATION: commonDuration,
  UPSTREAM_HOST: address('whole', upstreamHost),
  UPSTREAM_HOST_NAME: address('whole', upstreamHost),
  UPSTREAM_HOST_NAME_WITHOUT_PORT: address('host', upstreamHost),
  UPSTREAM_REMOTE_ADDRESS: address('whole', upstreamHost),
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: address('host', upstreamHost),
  UPSTREAM_REMOTE_PORT: address('port', upstreamHost),
  UPSTREAM_CLUSTER: text((info) => info.upstreamCluster),
  UPSTREAM_CLUSTER_RAW: text((info) => info.upstreamCluster),
  UPSTREAM_LOCAL_ADDRESS: address('whole', upstreamLocal),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: address('host', upstreamLocal),
  UPSTREAM_LOCAL_PORT: address('port', upstreamLocal),
  UPSTREAM_TRANSPORT_FAILURE_REASON: text((info) => info.upstreamTransportFailureReason?.replace(/\s/g, '_')),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: number((info) => info.upstreamAttempts),
  DOWNSTREAM_REMOTE_ADDRESS: address('whole', remote),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: address('host', remote),
  DOWNSTREAM_REMOTE_PORT: address('port', remote),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: address('whole', directRemote),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: address('host', directRemote),
  DOWNSTREAM_DIRECT_REMOTE_PORT: address('port', directRemote),
  DOWNSTREAM_LOCAL_ADDRESS: address('whole', local),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: address('host', local),
  DOWNSTREAM_LOCAL_PORT: address('port', local),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: address('whole', local),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: address('host', local),
  DOWNSTREAM_DIRECT_LOCAL_PORT: address('port', local),
  CONNECTION_ID: number((info) => info.connectionId),
  REQUESTED_SERVER_NAME: text((info) => sanitizedServerName(info.requestedServerName)),
  DOWNSTREAM_TLS_VERSION: text((info) => info.downstreamTls?.version),
  DOWNSTREAM_TLS_CIPHER: text((info) => info.downstreamTls?.cipher),
  DOWNSTREAM_TLS_SESSION_ID: text((info) => info.downstreamTls?.sessionId),
  DOWNSTREAM_PEER_URI_SAN: text((info) => peer(info)?.uriSans.join()),
  DOWNSTREAM_PEER_DNS_SAN: text((info) => peer(info)?.dnsSans.join()),
  DOWNSTREAM_PEER_IP_SAN: text((info) => peer(info)?.ipSans.join()),
  DOWNSTREAM_PEER_EMAIL_SAN: text((info) => peer(info)?.emailSans.join()),
  DOWNSTREAM_PEER_SUBJECT: text((info) => peer(info)?.subject),
  DOWNSTREAM_PEER_ISSUER: text((info) => peer(info)?.issuer),
  DOWNSTREAM_PEER_SERIAL: text((info) => peer(info)?.serial),
  DOWNSTREAM_PEER_FINGERPRINT_1: text((info) => peer(info)?.sha1),
  DOWNSTREAM_PEER_FINGERPRINT_256: text((info) => peer(info)?.sha256),
  DOWNSTREAM_PEER_CERT: text((info) => peer(info)?.encodedPem),
  DOWNSTREAM_PEER_CERT_V_START: time(({ info }) => peer(info)?.validFrom.getTime(), false),
  DOWNSTREAM_PEER_CERT_V_END: time(({ info }) => peer(info)?.validTo.getTime(), false),
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1: text((info) => peerChain(info, ({ sha1 }) => sha1)),
  DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256: text((info) => peerChain(info, ({ sha256 }) => sha256)),
  DOWNSTREAM_PEER_CHAIN_SERIALS: text((info) => peerChain(info, ({ serial }) => serial)),
  DOWNSTREAM_LOCAL_URI_SAN: text((info) => info.downstreamTls?.local?.uriSans.join()),
  DOWNSTREAM_LOCAL_DNS_SAN: text((info) => info.downstreamTls?.local?.dnsSans.join()),
  DOWNSTREAM_LOCAL_IP_SAN: text((info) => info.downstreamTls?.local?.ipSans.join()),
  DOWNSTREAM_LOCAL_EMAIL_SAN: text((info) => info.downstreamTls?.local?.emailSans.join()),
  DOWNSTREAM_LOCAL_SUBJECT: text((info) => info.downstreamTls?.local?.subject),
  DOWNSTREAM_TLS_GROUP: text((info) => info.downstreamTls?.group),
  UPSTREAM_TLS_VERSION: text((info) => info.upstreamTls?.version),
  UPSTREAM_TLS_CIPHER: text((info) => info.upstreamTls?.cipher),
  UPSTREAM_TLS_GROUP: text((info) => info.upstreamTls?.group),
  UPSTREAM_TLS_SESSION_ID: text((info) => info.upstreamTls?.sessionId),
  UPSTREAM_PEER_URI_SAN: text((info) => upstreamPeer(info)?.uriSans.join()),
  UPSTREAM_PEER_DNS_SAN: text((info) => upstreamPeer(info)?.dnsSans.join()),
  UPSTREAM_PEER_IP_SAN: text((info) => upstreamPeer(info)?.ipSans.join()),
  UPSTREAM_PEER_SUBJECT: text((info) => upstreamPeer(info)?.subject),
  UPSTREAM_PEER_ISSUER: text((info) => upstreamPeer(info)?.issuer),
  UPSTREAM_PEER_CERT: text((info) => upstreamPeer(info)?.encodedPem),
  UPSTREAM_PEER_CERT_V_START: time(({ info }) => upstreamPeer(info)?.validFrom.getTime(), false),
  UPSTREAM_PEER_CERT_V_END: time(({ info }) => upstreamPeer(info)?.validTo.getTime(), false),
  UPSTREAM_LOCAL_URI_SAN: text((info) => upstreamOwn(info)?.uriSans.join()),
  UPSTREAM_LOCAL_DNS_SAN: text((info) => upstreamOwn(info)?.dnsSans.join()),
  UPSTREAM_LOCAL_IP_SAN: text((info) => upstreamOwn(info)?.ipSans.join()),
  FILTER_CHAIN_NAME: text((info) => info.filterChainName),
  ROUTE_NAME: text((info) => info.routeName),
  HOSTNAME: command(() => bytesOf(host)),
  ENVIRONMENT: environment,
  PATH: path,
  QUERY_PARAM: queryParameter,
  STREAM_ID: command(({ requestHeaders }) => {
    const id = requestHeaders?.get('x-request-id');
    return id === undefined ? undefined : headerBytes(id);
  }),
  UNIQUE_ID: command(() => randomUUID()),
  ACCESS_LOG_TYPE: command(() => 'DownstreamEnd'),
  LOCAL_REPLY_BODY: command(() => ''),
  REQUEST_HEADERS_BYTES: headersBytes(request),
  RESPONSE_HEADERS_BYTES: headersBytes(response),
  RESPONSE_TRAILERS_BYTES: headersBytes(nothing),
};

/** Envoy's operators for what does not exist here (yet): they are valid and print `-`. The letters: parameters are required or optional, a length may follow. */
const withoutValue: Record<string, string> = {
  CONNECTION_TERMINATION_DETAILS: '',
  CUSTOM_FLAGS: '',
  VIRTUAL_CLUSTER_NAME: '',
  TRACE_ID: '',
  UPSTREAM_PROTOCOL: '',
  UPSTREAM_CONNECTION_ID: '',
  UPSTREAM_CONNECTION_POOL_READY_DURATION: '',
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: '',
  DOWNSTREAM_HANDSHAKE_DURATION: '',
  ROUNDTRIP_DURATION: '',
  BYTES_RETRANSMITTED: '',
  PACKETS_RETRANSMITTED: '',
  GRPC_STATUS: 'o',
  GRPC_STATUS_NUMBER: '',
  DYNAMIC_METADATA: 'r',
  CLUSTER_METADATA: 'r',
  UPSTREAM_METADATA: 'r',
  FILTER_STATE: 'ol',
  UPSTREAM_FILTER_STATE: 'ol',
  TLS_JA3_FINGERPRINT: '',
  TLS_JA4_FINGERPRINT: '',
  DOWNSTREAM_PEER_OTHERNAME_SAN: '',
  DOWNSTREAM_LOCAL_OTHERNAME_SAN: '',
  // Of Envoy's formatter extensions.
  CEL: 'rl',
  TYPED_CEL: 'rl',
  METADATA: 'rl',
  XFCC_VALUE: 'rl',
  REQ_WITHOUT_QUERY: 'rl',
  FILE_CONTENT: 'rl',
  SECRET: 'rl',
};

/** A family of such operators: sizes on the wire and of headers. */
const withoutValuePattern = /^(UPSTREAM|DOWNSTREAM)_(WIRE|HEADER|DECOMPRESSED_HEADER)_BYTES_(RECEIVED|SENT)$/;

function find(name: string): CommandOperator | undefined {
  if (Object.hasOwn(operators, name)) return operators[name];
  const syntax = Object.hasOwn(withoutValue, name) ? withoutValue[name] : undefined;
  if (syntax === undefined && !withoutValuePattern.test(name)) return undefined;
  return {
    params: syntax?.includes('r') ? 'required' : syntax?.includes('o') ? 'optional' : 'none',
    length: syntax?.includes('l') ?? false,
    create: () => nothing,
  };
}

/** Makes the extractor of `%NAME(params):maxLength%`. Throws an Error that says what is wrong and what is allowed. */
export function createExtractor(name: string, params: string, maxLength: number | undefined): Extractor {
  const operator = find(name);
  if (!operator) throw new Error(`%${name}% is no command operator of Envoy's access logs`);
  if (operator.params === 'none' && params !== '')
    throw new Error(`%${name}% takes no parameters, but has (${params})`);
  if (operator.params === 'required' && params === '') throw new Error(`%${name}% needs parameters in parentheses`);
  if (!operator.length && maxLength !== undefined) throw new Error(`%${name}% takes no length, but has :${maxLength}`);
  try {
    return operator.create(params, maxLength);
  } catch (error) {
    throw new Error(`%${name}% ${error instanceof Error ? error.message : String(error)}`);
  }
}
