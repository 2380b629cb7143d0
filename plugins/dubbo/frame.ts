/**
 * Frames of the Dubbo 2 protocol: a header of 16 bytes, then the body.
 * https://dubbo.apache.org/en/overview/reference/protocols/tcp/ and ExchangeCodec in apache/dubbo.
 *
 * ```
 * 0  magic 0xdabb                     2  0x80 request, 0x40 two-way, 0x20 event, low 5 bits: serialization
 * 3  status (responses)               4  request id, 8 bytes        12  length of the body, 4 bytes
 * ```
 */
export const headerSize = 16;
const magic = 0xdabb;
const requestBit = 0x80;
const twoWayBit = 0x40;
const eventBit = 0x20;
/** Status of a response that has a result, or an exception of the method. */
export const okStatus = 20;
/** Serialization number of Hessian2. */
const hessian2 = 2;

export type FrameKind = 'request' | 'response' | 'event_request' | 'event_response';

export interface Frame {
  readonly kind: FrameKind;
  readonly twoWay: boolean;
  readonly serialization: number;
  readonly status: number;
  readonly body: Buffer;
}

/** What is on the connection is no frame, or none that is allowed. */
export class FrameError extends Error {}

/**
 * The whole length of the frame that begins `bytes`; undefined when there is less than a header.
 * Throws a FrameError when it is no frame, as soon as that can be seen, or longer than allowed.
 */
export function frameLength(bytes: Buffer, maxSize: number): number | undefined {
  if ((bytes.length > 0 && bytes[0] !== magic >> 8) || (bytes.length > 1 && bytes[1] !== (magic & 0xff))) {
    throw new FrameError(
      `the server sent ${bytes.subarray(0, 2).toString('hex')}, where a Dubbo frame begins with dabb`,
    );
  }
  if (bytes.length < headerSize) return undefined;
  const length = headerSize + bytes.readUInt32BE(12);
  if (length > maxSize) throw new FrameError(`the server announced a frame of ${length} bytes; allowed are ${maxSize}`);
  return length;
}

export function readFrame(bytes: Buffer): Frame {
  const flags = bytes[2] as number;
  const isRequest = (flags & requestBit) !== 0;
  const isEvent = (flags & eventBit) !== 0;
  return {
    kind: isRequest ? (isEvent ? 'event_request' : 'request') : isEvent ? 'event_response' : 'response',
    twoWay: (flags & twoWayBit) !== 0,
    serialization: flags & 0x1f,
    status: bytes[3] as number,
    body: bytes.subarray(headerSize),
  };
}

export const readId = (frame: Buffer): bigint => frame.readBigUInt64BE(4);

export const writeId = (frame: Buffer, id: bigint): void => void frame.writeBigUInt64BE(id, 4);

/** Completes a request whose first 16 bytes are free. */
export function writeRequestHeader(frame: Buffer, id: bigint, twoWay: boolean): void {
  frame.writeUInt16BE(magic, 0);
  frame[2] = requestBit | (twoWay ? twoWayBit : 0) | hessian2;
  frame[3] = 0;
  writeId(frame, id);
  frame.writeUInt32BE(frame.length - headerSize, 12);
}

/** The answer to a heartbeat, which is like it. Source: HeartbeatHandler. */
export function heartbeatReply(request: Buffer): Buffer {
  const reply = Buffer.from(request);
  reply[2] = (request[2] as number) & ~(requestBit | twoWayBit);
  reply[3] = okStatus;
  return reply;
}

/** Whether an event of the server says that it is about to stop: `R`, read-only. Source: HeaderExchangeHandler.handlerEvent. */
export const isReadOnly = ({ kind, body }: Frame): boolean =>
  kind === 'event_request' && body.length === 2 && body[0] === 1 && body[1] === 0x52;

export const isHessian2 = (frame: Frame): boolean => frame.serialization === hessian2;
