import type { SanMatch } from '../model/tls.js';
import { compileStringMatch } from '../string-match.js';

export interface San {
  readonly type: Exclude<SanMatch['type'], 'any'>;
  readonly value: string;
}

const sanTypes: Readonly<Record<string, San['type']>> = {
  DNS: 'DNS',
  URI: 'URI',
  email: 'EMAIL',
  'IP Address': 'IP_ADDRESS',
};

/** OpenSSL writes all eight parts of an IPv6 address; others expect the short form. */
function shortAddress(address: string): string {
  if (!address.includes(':')) return address;
  try {
    return new URL(`http://[${address}]/`).hostname.slice(1, -1);
  } catch {
    return address;
  }
}

/** Node's text form; values that hold separators are JSON strings: https://nodejs.org/api/crypto.html#x509subjectaltname */
export function parseSans(text: string): San[] {
  const found: San[] = [];
  for (const [, kind = '', value = ''] of text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    const type = sanTypes[kind];
    if (!type) continue;
    const plain = value.startsWith('"') ? String(JSON.parse(value)) : value;
    found.push({ type, value: type === 'IP_ADDRESS' ? shortAddress(plain) : plain });
  }
  return found;
}

/** Whether a certificate's DNS name is that name, or has a wildcard for its first label that stands for it (RFC 6125 section 6.4.3). */
export function isDnsName(pattern: string, name: string): boolean {
  const wanted = name.toLowerCase();
  const given = pattern.toLowerCase();
  if (given === wanted) return true;
  if (!given.startsWith('*.')) return false;
  const dot = wanted.indexOf('.');
  return dot > 0 && wanted.slice(dot + 1) === given.slice(2);
}

/** Whether one name of a certificate is the wanted one, as Envoy's `StringSanMatcher`. */
export function compileSanMatch({ type, matcher }: SanMatch): (san: San) => boolean {
  const matches = compileStringMatch(matcher);
  return (san) => {
    if (type !== 'any' && type !== san.type) return false;
    if (san.type === 'DNS' && matcher.kind === 'exact') return isDnsName(san.value, matcher.value);
    return matches(san.value);
  };
}
