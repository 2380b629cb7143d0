import type { HeaderMap } from '../bridge/header-map.js';
import type { ForwardClientCert } from '../model/listener.js';
import type { CertificateInfo, TlsInfo } from '../tls/tls-info.js';

const header = 'x-forwarded-client-cert';

const quoted = (value: string): string => (/[,;"]/.test(value) ? `"${value.replaceAll('"', '\\"')}"` : value);

/** Names may hold whatever the authority has signed: as bytes, and nothing that could end the header. */
function headerText(text: string): string {
  return Buffer.from(text.replace(/\p{Cc}/gu, '')).toString('latin1');
}

type Detail = ForwardClientCert['details'][number];

const details: Readonly<Record<Detail, (peer: CertificateInfo, tls: TlsInfo) => readonly string[]>> = {
  cert: ({ encodedPem }) => [`Cert="${encodedPem}"`],
  chain: (_peer, { peerChain }) => [`Chain="${peerChain.map(({ encodedPem }) => encodedPem).join('')}"`],
  // Its quotes are escaped by the rules of RFC 2253 already.
  subject: ({ subject }) => [`Subject="${subject}"`],
  uri: ({ uriSans }) => (uriSans.length > 0 ? uriSans : ['']).map((uri) => `URI=${quoted(uri)}`),
  dns: ({ dnsSans }) => dnsSans.map((name) => `DNS=${quoted(name)}`),
};

/**
 * What becomes of x-forwarded-client-cert: only a client that has shown a certificate may say who else has, if it is configured so.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert
 *
 * @param tls undefined: plain text
 */
export function forwardClientCert(headers: HeaderMap, config: ForwardClientCert, tls: TlsInfo | undefined): void {
  const { mode } = config;
  if (mode === 'ALWAYS_FORWARD_ONLY') return;
  if (mode === 'SANITIZE' || tls?.peer === undefined) {
    headers.delete(header);
    return;
  }
  if (mode === 'FORWARD_ONLY') return;
  const { peer, local } = tls;
  const parts = [
    ...(local?.uriSans ?? []).map((uri) => `By=${quoted(uri)}`),
    `Hash=${peer.sha256}`,
    ...config.details.flatMap((detail) => details[detail](peer, tls)),
  ];
  const element = headerText(parts.join(';'));
  const before = mode === 'APPEND_FORWARD' ? headers.get(header) : undefined;
  headers.set(header, before === undefined || before === '' ? element : `${before},${element}`);
}
