import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** A certificate authority or what it signed, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Authority extends Certificate {
  /** Signs a certificate for names: DNS names, IPv4 addresses, or URIs. */
  issue(names: readonly string[], options?: { readonly validForMs?: number }): Certificate;
  /** A list of revoked certificates, in PEM. */
  revoke(certificates: readonly Certificate[]): string;
}

// X.509 in DER (RFC 5280), as little of it as TLS needs.
const tlv = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const length =
    body.length < 128
      ? Buffer.from([body.length])
      : body.length < 256
        ? Buffer.from([0x81, body.length])
        : Buffer.from([0x82, body.length >> 8, body.length & 255]);
  return Buffer.concat([Buffer.from([tag]), length, body]);
};
const sequence = (...parts: readonly Uint8Array[]) => tlv(0x30, ...parts);
const oid = (hex: string) => tlv(0x06, Buffer.from(hex, 'hex'));
const integer = (bytes: Uint8Array) => tlv(0x02, bytes);
const boolean = (value: boolean) => tlv(0x01, Buffer.from([value ? 0xff : 0]));
const octets = (bytes: Uint8Array) => tlv(0x04, bytes);
const bits = (bytes: Uint8Array) => tlv(0x03, Buffer.from([0]), bytes);
const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'));

const nameOf = (commonName: string) => sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from(commonName)))));

function time(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return tlv(0x18, Buffer.from(`${text}Z`));
}

function generalName(name: string): Buffer {
  if (isIPv4(name)) return tlv(0x87, Buffer.from(name.split('.').map(Number)));
  return name.includes('://') ? tlv(0x86, Buffer.from(name)) : tlv(0x82, Buffer.from(name));
}

function make(options: {
  readonly subject: string;
  readonly issuer: string;
  readonly publicKey: KeyObject;
  readonly signer: KeyObject;
  readonly extensions: readonly Buffer[];
  readonly validForMs: number;
}): string {
  const { subject, issuer, publicKey, signer, extensions, validForMs } = options;
  const now = Date.now();
  const serial = randomBytes(8);
  serial[0] = 1;
  const certificate = sequence(
    tlv(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    nameOf(issuer),
    sequence(time(new Date(now - 60_000)), time(new Date(now + validForMs))),
    nameOf(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  );
  return signed('CERTIFICATE', certificate, signer);
}

function signed(label: string, content: Buffer, signer: KeyObject): string {
  const der = sequence(content, ecdsaWithSha256, bits(sign('sha256', content, signer)));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** RFC 5280 section 5.1. */
function revocations(certificates: readonly Certificate[], issuer: string, signer: KeyObject): string {
  const now = Date.now();
  const entries = certificates.map(({ cert }) => {
    const serial = Buffer.from(new X509Certificate(cert).serialNumber, 'hex');
    return sequence(integer(serial), time(new Date(now - 30_000)));
  });
  const list = sequence(
    integer(Buffer.from([1])),
    ecdsaWithSha256,
    nameOf(issuer),
    time(new Date(now - 60_000)),
    time(new Date(now + dayMs)),
    ...(entries.length > 0 ? [sequence(...entries)] : []),
  );
  return signed('X509 CRL', list, signer);
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const pem = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const dayMs = 86_400_000;

/** A new certificate authority of its own. */
export function createAuthority(commonName = 'test CA'): Authority {
  const key = newKey();
  const basicConstraints = sequence(oid('551d13'), boolean(true), octets(sequence(boolean(true))));
  const cert = make({
    subject: commonName,
    issuer: commonName,
    publicKey: createPublicKey(key),
    signer: key,
    extensions: [basicConstraints],
    validForMs: dayMs,
  });
  return {
    cert,
    key: pem(key),
    issue(names, { validForMs = dayMs } = {}) {
      const own = newKey();
      const alternativeNames = sequence(oid('551d11'), octets(sequence(...names.map(generalName))));
      const made = make({
        subject: names[0] ?? 'nobody',
        issuer: commonName,
        publicKey: createPublicKey(own),
        signer: key,
        extensions: [alternativeNames],
        validForMs,
      });
      return { cert: made, key: pem(own) };
    },
    revoke: (certificates) => revocations(certificates, commonName, key),
  };
}
