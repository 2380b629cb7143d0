import type { Node } from './discovery.js';
import { kindByTypeUrl } from './resource-kind.js';

export type Variant = 'sotw' | 'delta';

/** Who is at the other end of a stream. */
export interface StreamInfo {
  readonly id: number;
  readonly variant: Variant;
  /** `ads`, or the short name of the one type that the stream carries. */
  readonly service: string;
}

/** What one node has of one type, as it told us. */
export interface TypeStatus {
  /** Everything, or how many names. */
  subscribed: '*' | number;
  /** The version sent last. */
  sent: string | undefined;
  /** The last version that it accepted, or reported when it connected. */
  accepted: string | undefined;
  /** The last version that it rejected, until it accepts another one. */
  rejected: { version: string; error: string; resources: string[]; at: string } | undefined;
  /** Responses that wait for an ACK or NACK. */
  unanswered: number;
  /** Responses sent since the stream began. */
  responses: number;
}

export interface NodeStatus {
  readonly id: string;
  cluster: string;
  userAgent: string;
  metadata: Readonly<Record<string, unknown>>;
  connected: boolean;
  lastSeen: string;
  streams: readonly StreamInfo[];
  /** By short name (`cds`), or by type URL for a type that isn't served here. */
  types: Readonly<Record<string, TypeStatus>>;
}

/** A client may have several streams for one type: Envoy opens one per EDS cluster unless it aggregates. */
interface KnownNode extends Omit<NodeStatus, 'types'> {
  types: Map<string, Map<number, TypeStatus>>;
}

const maxNodes = 1_000;
const maxTypes = 64;

/** Everyone who ever connected, with what they accepted and rejected; the longest absent are forgotten first. */
export class NodeRegistry {
  readonly #nodes = new Map<string, KnownNode>();

  constructor(readonly now: () => number) {}

  list(): NodeStatus[] {
    return [...this.#nodes.values()].map((node) => ({
      ...node,
      types: Object.fromEntries([...node.types].map(([key, streams]) => [key, combine([...streams.values()])])),
    }));
  }

  connect(node: Node, stream: StreamInfo): void {
    const known = this.#nodes.get(node.id);
    // The most recent at the end of the map.
    this.#nodes.delete(node.id);
    this.#nodes.set(node.id, {
      id: node.id,
      cluster: node.cluster,
      userAgent: [node.userAgentName, node.userAgentVersion].filter((part) => part !== '').join(' '),
      metadata: node.metadata,
      connected: true,
      lastSeen: this.#time(),
      streams: [...(known?.streams ?? []), stream],
      types: known?.types ?? new Map(),
    });
    this.#forgetSome();
  }

  disconnect(nodeId: string, streamId: number): void {
    const node = this.#nodes.get(nodeId);
    if (!node) return;
    node.streams = node.streams.filter((stream) => stream.id !== streamId);
    node.connected = node.streams.length > 0;
    node.lastSeen = this.#time();
    for (const streams of node.types.values()) {
      const last = streams.get(streamId);
      if (last) last.unanswered = 0;
      // The last one stays, to show what a client that is gone had.
      if (streams.size > 1) streams.delete(streamId);
    }
  }

  /** The state of a type on a stream, to be changed in place; undefined for a node that was forgotten. */
  type(nodeId: string, streamId: number, typeUrl: string): TypeStatus | undefined {
    const node = this.#nodes.get(nodeId);
    if (!node) return undefined;
    node.lastSeen = this.#time();
    const key = kindByTypeUrl.get(typeUrl)?.shortName ?? typeUrl;
    const streams = node.types.get(key) ?? new Map<number, TypeStatus>();
    const known = streams.get(streamId);
    if (known) return known;
    if (!node.types.has(key) && node.types.size >= maxTypes) return undefined;
    node.types.set(key, streams);
    const status = this.#inherit(node, streams);
    streams.set(streamId, status);
    return status;
  }

  /** A new stream goes on from what one that ended left behind. */
  #inherit(node: KnownNode, streams: Map<number, TypeStatus>): TypeStatus {
    const fresh = {
      subscribed: 0,
      sent: undefined,
      accepted: undefined,
      rejected: undefined,
      unanswered: 0,
      responses: 0,
    };
    for (const [id, status] of streams) {
      if (node.streams.some((stream) => stream.id === id)) continue;
      streams.delete(id);
      return { ...fresh, accepted: status.accepted, rejected: status.rejected };
    }
    return fresh;
  }

  #forgetSome(): void {
    for (const [id, node] of this.#nodes) {
      if (this.#nodes.size <= maxNodes) return;
      if (!node.connected) this.#nodes.delete(id);
    }
  }

  #time(): string {
    return new Date(this.now()).toISOString();
  }
}

/** One picture of all streams of a type: versions of the one that says most, the worst first. */
function combine(streams: readonly TypeStatus[]): TypeStatus {
  const shown =
    streams.find(({ rejected }) => rejected) ?? streams.find(({ unanswered }) => unanswered > 0) ?? streams.at(-1);
  const sum = (value: (status: TypeStatus) => number) => streams.reduce((total, status) => total + value(status), 0);
  return {
    subscribed: streams.some(({ subscribed }) => subscribed === '*')
      ? '*'
      : sum(({ subscribed }) => Number(subscribed)),
    sent: shown?.sent,
    accepted: shown?.accepted,
    rejected: shown?.rejected,
    unanswered: sum(({ unanswered }) => unanswered),
    responses: sum(({ responses }) => responses),
  };
}
