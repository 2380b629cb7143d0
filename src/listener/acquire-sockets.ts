import { formatAddress, type SocketAddress } from '../model/endpoint.js';
import type { Listener } from '../model/listener.js';
import { type BindOptions, type BoundSocket, bindSocket } from './bound-socket.js';

/** Whether the address stands for itself: port 0 is another one each time. */
export const isFixed = (address: SocketAddress): boolean => address.kind === 'pipe' || address.port !== 0;

export interface AcquiredSockets {
  readonly sockets: readonly BoundSocket[];
  /** Those among them that the listener did not have before: to be closed when it can't go on. */
  readonly fresh: readonly BoundSocket[];
  /** Why there are not all of them. */
  readonly error?: string;
}

/**
 * The sockets of a listener's new version: its own of the same address, else spare ones (which are taken out of `spare`), else fresh ones.
 * @param before the version that `own` belongs to
 */
export async function acquireSockets(
  config: Listener,
  before: Listener | undefined,
  own: readonly BoundSocket[],
  spare: BoundSocket[],
  accepting: Pick<BindOptions, 'pauseOnConnect' | 'acceptNext'>,
): Promise<AcquiredSockets> {
  const sockets: BoundSocket[] = [];
  const fresh: BoundSocket[] = [];
  // A socket can't change what it was bound with.
  const sameOptions =
    before !== undefined && before.backlog === config.backlog && before.ipv4Compat === config.ipv4Compat;
  const left = [...own];
  for (const address of config.addresses) {
    const key = formatAddress(address);
    const matches = (socket: BoundSocket): boolean => formatAddress(socket.address) === key;
    const reused =
      (sameOptions || before === undefined ? take(left, matches) : undefined) ??
      (isFixed(address) ? take(spare, matches) : undefined);
    if (reused) {
      sockets.push(reused);
      if (!own.includes(reused)) fresh.push(reused);
      continue;
    }
    if (!sameOptions && left.some(matches) && isFixed(address)) {
      return {
        sockets,
        fresh,
        error: `the backlog and ipv4_compat of ${key} can't be changed while it is bound; remove the listener and add it again`,
      };
    }
    try {
      const bound = await bindSocket(address, { ...config, ...accepting });
      sockets.push(bound);
      fresh.push(bound);
    } catch (error) {
      return { sockets, fresh, error: error instanceof Error ? error.message : String(error) };
    }
  }
  return { sockets, fresh };
}

function take<T>(items: T[], matches: (item: T) => boolean): T | undefined {
  const index = items.findIndex(matches);
  return index < 0 ? undefined : items.splice(index, 1)[0];
}
