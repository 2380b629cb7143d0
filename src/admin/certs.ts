import { type AdminEndpoint, json } from './endpoint.js';
import type { AdminSources, ShownCertificate } from './sources.js';

const dayMs = 86_400_000;

const kinds: Readonly<Record<string, string>> = { DNS: 'dns', URI: 'uri', 'IP Address': 'ip_address' };

/** Envoy's `SubjectAlternateName`s; other kinds of names are left out. */
function names(text: string | undefined): Record<string, string>[] {
  return [...(text ?? '').matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)].flatMap(
    ([, kind = '', value = '']) => (kinds[kind] ? [{ [kinds[kind]]: value }] : []),
  );
}

/** envoy.admin.v3.CertificateDetails */
function details({ path, certificate }: ShownCertificate): Record<string, unknown> {
  const { serialNumber, subjectAltName, validFrom, validTo } = certificate;
  const expires = new Date(validTo);
  const days = Math.max(0, Math.floor((expires.getTime() - Date.now()) / dayMs));
  return {
    path: path === '' ? '<inline>' : path,
    serial_number: serialNumber.toLowerCase(),
    subject_alt_names: names(subjectAltName),
    days_until_expiration: String(days),
    valid_from: new Date(validFrom).toISOString(),
    expiration_time: expires.toISOString(),
  };
}

/** GET /certs */
export function certsEndpoint(sources: AdminSources): AdminEndpoint {
  return {
    path: '/certs',
    method: 'GET',
    help: 'print certs on machine',
    handle: () =>
      json({
        certificates: sources.certificates().map(({ caCertificates, chain }) => ({
          ca_cert: caCertificates.map(details),
          cert_chain: chain.map(details),
        })),
      }),
  };
}
