/** What a client asks for before it is encrypted. */
export interface ClientHello {
  /** In lower case; '' : none. */
  readonly serverName: string;
  /** In the client's order. */
  readonly applicationProtocols: readonly string[];
}

export type ClientHelloResult =
  | { readonly kind: 'hello'; readonly hello: ClientHello }
  /** Not all of it is there. With fewer bytes than `needed` it is no use to ask again. */
  | { readonly kind: 'incomplete'; readonly needed: number }
  /** Something else, or nothing that TLS would take. */
  | { readonly kind: 'not_tls' };

const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;
const alpnExtension = 16;
const hostName = 0;

const recordHeader = 5;
/** Clients need two where they ask for very much. More would only keep us busy. */
const mostRecords = 16;

/** Reads what is in order behind each other. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  take(length: number): Buffer {
    if (this.#bytes.length - this.#at < length) throw new RangeError('too short');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  number(bytes: number): number {
    return this.take(bytes).readUIntBE(0, bytes);
  }

  /** A vector: its length in so many bytes, then itself. */
  vector(lengthBytes: number): Buffer {
    return this.take(this.number(lengthBytes));
  }
}

/** The ClientHello in the first records (RFC 8446 section 5.1), without its header. */
function handshakeMessage(bytes: Buffer): Buffer | { readonly needed: number } | undefined {
  const fragments: Buffer[] = [];
  let at = 0;
  for (let records = 0; records < mostRecords; records++) {
    const header = bytes.subarray(at, at + recordHeader);
    if ((header[0] ?? handshakeRecord) !== handshakeRecord || (header[1] ?? 3) !== 3) return undefined;
    if (header.length < recordHeader) return { needed: at + recordHeader };
    const end = at + recordHeader + header.readUInt16BE(3);
    // RFC 8446 section 5.1: no fragment of a handshake is empty, or longer than this.
    if (end === at + recordHeader || end > at + recordHeader + 2 ** 14) return undefined;
    if ((bytes[recordHeader] ?? clientHello) !== clientHello) return undefined;
    if (bytes.length < end) return { needed: end };
    fragments.push(bytes.subarray(at + recordHeader, end));
    at = end;
    const message = Buffer.concat(fragments);
    const length = message.length < 4 ? undefined : message.readUIntBE(1, 3);
    if (length !== undefined && message.length >= 4 + length) return message.subarray(4, 4 + length);
  }
  return undefined;
}

function serverNameOf(extension: Buffer): string {
  const list = new Reader(new Reader(extension).vector(2));
  while (!list.isAtEnd) {
    const type = list.number(1);
    const name = list.vector(2);
    if (type === hostName) return name.toString('latin1').toLowerCase();
  }
  return '';
}

function protocolsOf(extension: Buffer): string[] {
  const list = new Reader(new Reader(extension).vector(2));
  const protocols: string[] = [];
  while (!list.isAtEnd) protocols.push(list.vector(1).toString('latin1'));
  return protocols;
}

/** RFC 8446 section 4.1.2. */
function readHello(message: Buffer): ClientHello {
  const reader = new Reader(message);
  reader.take(2 + 32);
  reader.vector(1);
  reader.vector(2);
  reader.vector(1);
  let serverName = '';
  let applicationProtocols: readonly string[] = [];
  const extensions = new Reader(reader.isAtEnd ? Buffer.alloc(0) : reader.vector(2));
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (type === serverNameExtension) serverName = serverNameOf(content);
    else if (type === alpnExtension) applicationProtocols = protocolsOf(content);
  }
  return { serverName, applicationProtocols };
}

/** Reads a ClientHello at the beginning of what a client has sent. Whether it can be answered is TLS's business. */
export function parseClientHello(bytes: Buffer): ClientHelloResult {
  const message = handshakeMessage(bytes);
  if (message === undefined) return { kind: 'not_tls' };
  if (!Buffer.isBuffer(message)) return { kind: 'incomplete', needed: message.needed };
  try {
    return { kind: 'hello', hello: readHello(message) };
  } catch {
    return { kind: 'not_tls' };
  }
}
