import { once } from 'node:events';
import { Agent, request } from 'node:https';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { Authority, Certificate } from './certificates.js';

/** Parts of TLS configurations in Envoy's JSON names, for bootstraps and control planes of tests. */

export const inline = (text: string) => ({ inline_string: text });

export const tlsCertificate = ({ cert, key }: Certificate) => ({
  certificate_chain: inline(cert),
  private_key: inline(key),
});

export const trusting = ({ cert }: Pick<Authority, 'cert'>, more: object = {}) => ({
  trusted_ca: inline(cert),
  ...more,
});

export const sanOf = (san_type: string, matcher: object) => ({
  match_typed_subject_alt_names: [{ san_type, matcher }],
});

const typeUrl = (name: string) => `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${name}`;

export const downstreamTls = (common: object, more: object = {}) => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: { '@type': typeUrl('DownstreamTlsContext'), common_tls_context: common, ...more },
});

export const upstreamTls = (common: object, more: object = {}) => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: { '@type': typeUrl('UpstreamTlsContext'), common_tls_context: common, ...more },
});

export const secretResource = (name: string, content: object) => ({ name, ...content });

export const adsSecret = (name: string, more: object = {}) => ({
  name,
  sds_config: { ads: {}, resource_api_version: 'V3', ...more },
});

/** A listener that was made by `httpListener` or `listenerResource`, with TLS. */
export function withTransportSocket<T extends object>(listener: T, socket: object, more: object = {}): T {
  const { filter_chains: [chain] = [] } = listener as { filter_chains?: object[] };
  return { ...listener, filter_chains: [{ ...chain, transport_socket: socket, ...more }] };
}

export interface TlsAnswer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** One request over TLS on a connection of its own, or on the agent's. Rejects when the connection fails. */
export function tlsRequest(
  port: number,
  options: ConnectionOptions & {
    readonly headers?: Record<string, string>;
    readonly body?: string;
    readonly agent?: Agent;
  },
): Promise<TlsAnswer> {
  const { headers = {}, body = '', agent, ...tls } = options;
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        method: 'POST',
        agent: agent ?? new Agent({ keepAlive: false }),
        headers,
        checkServerIdentity: () => undefined,
        ...tls,
      },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            body: Buffer.concat(pieces).toString(),
            headers: response.headers,
          }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}

/** A TLS connection after its handshake; rejects with what was wrong with it. */
export async function tlsConnection(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, checkServerIdentity: () => undefined, ...options });
  await once(socket, 'secureConnect');
  return socket;
}
