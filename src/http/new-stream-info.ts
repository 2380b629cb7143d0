import type { StreamInfo } from '../access-log/stream-info.js';
import type { StreamConnection } from './stream-connection.js';

/** A StreamInfo whose client address may turn out to be another one (x-forwarded-for). */
export type MutableStreamInfo = { -readonly [K in keyof StreamInfo]: StreamInfo[K] };

/** What is known of a request when its first byte arrives. Times as in `StreamInfo`. */
export function newStreamInfo(
  startTime: number,
  startWallTime: number,
  connection: Pick<StreamConnection, 'id' | 'addresses' | 'tls'>,
  filterChainName = '',
): MutableStreamInfo {
  return {
    startTime,
    startWallTime,
    protocol: undefined,
    downstreamRemoteAddress: connection.addresses.remote,
    downstreamDirectRemoteAddress: connection.addresses.remote,
    downstreamLocalAddress: connection.addresses.local,
    connectionId: connection.id,
    requestedServerName: connection.tls?.serverName,
    downstreamTls: connection.tls,
    filterChainName,
    requestBytes: 0,
    responseBytes: 0,
    responseCode: 0,
    responseCodeDetails: undefined,
    responseFlags: 0,
    routeName: undefined,
    virtualHost: undefined,
    upstreamCluster: undefined,
    upstreamHost: undefined,
    upstreamLocalAddress: undefined,
    upstreamTls: undefined,
    upstreamTransportFailureReason: undefined,
    upstreamAttempts: 0,
    lastDownstreamRxByte: undefined,
    firstUpstreamTxByte: undefined,
    lastUpstreamTxByte: undefined,
    firstUpstreamRxByte: undefined,
    lastUpstreamRxByte: undefined,
    firstDownstreamTxByte: undefined,
    lastDownstreamTxByte: undefined,
  };
}
