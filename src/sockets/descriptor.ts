import type { Server, Socket } from 'node:net';

/** The file descriptor of Node's socket, connected or listening; undefined: it is closed. Node has no public name for it. */
export function descriptorOf(socket: Server | Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: unknown } | null };
  return typeof handle?.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined;
}
