/**
 * The soak's script library: frames of a 4-byte length and a payload, whole or streamed as the path says. It counts its bridges for
 * bench/soak.ts, which runs in the same process.
 */
import type { BridgeCallbacks, BridgeLibrary, HttpTcpBridge } from '../../src/bridge/api.js';
import type { BridgeCounts } from './counts.js';

const headerSize = 4;

function header(length: number): Buffer {
  const bytes = Buffer.alloc(headerSize);
  bytes.writeUInt32BE(length);
  return bytes;
}

function counts(): BridgeCounts {
  const found = (globalThis as { soakCounts?: BridgeCounts }).soakCounts;
  if (found === undefined) throw new Error('this library runs only in bench/soak.js');
  return found;
}

class SoakBridge implements HttpTcpBridge {
  readonly #callbacks: BridgeCallbacks;
  readonly #counts = counts();
  #streamed = false;
  #remaining: number | undefined;
  #destroyed = false;

  constructor(callbacks: BridgeCallbacks) {
    this.#callbacks = callbacks;
    this.#counts.created++;
  }

  encodeHeaders(
    headers: Parameters<NonNullable<HttpTcpBridge['encodeHeaders']>>[0],
    dataForSet: { set(data: Buffer): void },
    endOfStream: boolean,
  ): 0 | 1 {
    const length = headers.get('content-length');
    this.#streamed = headers.path.startsWith('/streamed') && length !== undefined;
    if (endOfStream || this.#streamed) dataForSet.set(header(Number(length ?? 0)));
    return this.#streamed ? 0 : 1;
  }

  encodeData(buffer: { len(): number; prepend(data: Buffer): void }): 0 {
    if (!this.#streamed) buffer.prepend(header(buffer.len()));
    return 0;
  }

  onUpstreamData(
    headers: { set(name: string, value: string): void },
    buffer: { len(): number; bytes(): Buffer; drain(n: number): void; set(data: Buffer): void },
    endOfStream: boolean,
  ): 0 | 1 | 2 {
    if (this.#remaining === undefined) {
      if (buffer.len() < headerSize) return 1;
      const length = buffer.bytes().readUInt32BE();
      if (!this.#streamed && buffer.len() < headerSize + length) return 1;
      buffer.drain(headerSize);
      headers.set('content-length', String(length));
      this.#remaining = length;
    }
    if (buffer.len() > this.#remaining) {
      buffer.set(buffer.bytes().subarray(0, this.#remaining));
      this.#callbacks.setSelfHalfCloseForUpstreamConn(true);
    }
    this.#remaining -= buffer.len();
    if (this.#remaining === 0) return 2;
    return endOfStream ? 1 : 0;
  }

  onDestroy(): void {
    if (this.#destroyed) this.#counts.destroyedTwice++;
    else this.#counts.destroyed++;
    this.#destroyed = true;
  }
}

export const bridges = {
  soak: { createBridge: (_config, callbacks) => new SoakBridge(callbacks) },
} satisfies BridgeLibrary;
