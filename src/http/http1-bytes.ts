/** Bytes and classes of bytes of HTTP/1.1 messages (RFC 9112, RFC 9110). */

export const tab = 0x09;
export const lf = 0x0a;
export const cr = 0x0d;
export const space = 0x20;
export const quote = 0x22;
export const semicolon = 0x3b;
export const equals = 0x3d;
export const colon = 0x3a;
export const backslash = 0x5c;

/** For every byte, whether it is in the class: `table[byte] === 1`. */
export type ByteClass = Uint8Array;

function byteClass(contains: (char: string, byte: number) => boolean): ByteClass {
  return Uint8Array.from({ length: 256 }, (_, byte) => (contains(String.fromCharCode(byte), byte) ? 1 : 0));
}

/** token, RFC 9110 section 5.6.2. */
export const isToken = byteClass((char) => /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(char));
/** What field values are made of: visible characters, space, tab and obs-text (RFC 9110 section 5.5). */
export const isValue = byteClass((_, byte) => byte === tab || (byte >= space && byte !== 0x7f));
/** A request target has no space, no control character and nothing beyond ASCII (RFC 9112 section 3.2). */
export const isTarget = byteClass((_, byte) => byte > space && byte < 0x7f);
/** Of all methods that are known. */
export const isMethod = byteClass((char) => /[A-Z-]/.test(char));
/** qdtext, RFC 9110 section 5.6.4. */
export const isQuotedText = byteClass(
  (_, byte) => byte === tab || (byte >= space && byte !== quote && byte !== backslash && byte !== 0x7f),
);

/** The characters of `HeaderUtility::authorityIsValid`. */
export const isAuthority = byteClass((char) => /[!$%&'()*+,\-.0-9:;=@A-Z[\]_a-z~]/.test(char));
export const isDigit = byteClass((char) => /[0-9]/.test(char));

/** Whether all characters of `text` are of the class; nothing beyond one byte is. */
export function allAre(text: string, byteClass: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (byteClass[text.charCodeAt(i)] !== 1) return false;
  return true;
}

/** ASCII letters in lower case, other bytes as they are. */
export const lowerCase = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte,
);
export const asItIs = Uint8Array.from({ length: 256 }, (_, byte) => byte);

/** The value of a hexadecimal digit; 255 for anything else. */
export const hexValue = Uint8Array.from({ length: 256 }, (_, byte) => {
  const digit = Number.parseInt(String.fromCharCode(byte), 16);
  return Number.isNaN(digit) ? 255 : digit;
});
