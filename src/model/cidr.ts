import { isIP } from 'node:net';

/** An IP address as a number of 32 or 128 bits. */
export interface AddressBits {
  readonly bits: 32 | 128;
  readonly value: bigint;
}

/** @returns undefined for what is no IP address */
export function addressBits(address: string): AddressBits | undefined {
  switch (isIP(address)) {
    case 4:
      return { bits: 32, value: address.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n) };
    case 6:
      return { bits: 128, value: ipv6Value(address) };
    default:
      return undefined;
  }
}

function ipv6Value(address: string): bigint {
  // The URL parser knows every way to write one, without a zone (RFC 4291 section 2.2).
  const plain = new URL(`http://[${address.split('%', 1)[0]}]/`).hostname.slice(1, -1);
  const [head = '', tail] = plain.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

/** Addresses whose first `length` bits are those of `value`. */
export interface Cidr extends AddressBits {
  readonly length: number;
}

/** @returns undefined for what is no IP address. A length over that of the address means all of it, as in Envoy. */
export function cidrOf(address: string, length: number): Cidr | undefined {
  const whole = addressBits(address);
  if (whole === undefined) return undefined;
  const used = Math.min(length, whole.bits);
  const shift = BigInt(whole.bits - used);
  return { bits: whole.bits, value: (whole.value >> shift) << shift, length: used };
}

export const cidrContains = ({ bits, value, length }: Cidr, address: AddressBits): boolean =>
  bits === address.bits && address.value >> BigInt(bits - length) === value >> BigInt(bits - length);
