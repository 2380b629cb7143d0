import { DeltaState } from '../../control-plane-sample/delta.js';
import type {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
  DiscoveryResponse,
  ErrorDetail,
} from '../../control-plane-sample/discovery.js';
import { kinds, type ResourceKind } from '../../control-plane-sample/resource-kind.js';
import {
  createSnapshot,
  hash,
  type Reference,
  type Resource,
  type Snapshot,
} from '../../control-plane-sample/snapshot.js';
import { SotwState } from '../../control-plane-sample/sotw.js';

/** A resource whose bytes are just text. */
export function resource(
  kind: ResourceKind,
  name: string,
  content = '1',
  references: readonly Reference[] = [],
): Resource {
  const bytes = Buffer.from(`${name} ${content}`);
  return { kind, name, version: hash([bytes]), bytes, source: `${name}.yaml`, references };
}

/** Clusters of one version: `a`, `a@2`. */
export function clusters(...words: string[]): Resource[] {
  return words.map((word) => resource(kinds.cluster, ...split(word)));
}

export function assignments(...words: string[]): Resource[] {
  return words.map((word) => resource(kinds.endpoints, ...split(word)));
}

function split(word: string): [string, string] {
  const [name = '', content = '1'] = word.split('@');
  return [name, content];
}

/** `a@2` for a resource made by the helpers above. */
export function label(sent: Resource): string {
  const [name, content] = Buffer.from(sent.bytes).toString().split(' ');
  return content === '1' ? `${name}` : `${name}@${content}`;
}

export function snapshot(...groups: readonly Resource[][]): Snapshot {
  return createSnapshot(groups.flat());
}

export const nackError: ErrorDetail = { code: 13, message: 'no good' };

const baseRequest = { node: undefined, versionInfo: '', responseNonce: '', errorDetail: undefined };

export function sotwRequest(typeUrl: string, fields: Partial<DiscoveryRequest> = {}): DiscoveryRequest {
  return { ...baseRequest, typeUrl, resourceNames: [], ...fields };
}

export function deltaRequest(typeUrl: string, fields: Partial<DeltaDiscoveryRequest> = {}): DeltaDiscoveryRequest {
  return { ...baseRequest, typeUrl, subscribe: [], unsubscribe: [], initialResourceVersions: new Map(), ...fields };
}

/** One client of one type that speaks either variant, so that tests can be written once for both. */
export interface Client {
  /** Says what is wanted, as the whole list of names. */
  want(names: readonly string[]): void;
  ack(): void;
  nack(): void;
  /** What the server sends now to bring the client to a snapshot. */
  next(target: Snapshot, step?: Snapshot): DiscoveryResponse | undefined;
}

export function sotwClient(kind: ResourceKind): Client {
  const state = new SotwState(kind.typeUrl);
  let served = createSnapshot([]);
  let names: readonly string[] = [];
  let nonces = 0;
  let last: DiscoveryResponse | undefined;
  const type = (at: Snapshot) => at.types.get(kind.typeUrl) ?? { version: '', resources: new Map() };
  const send = (fields: Partial<DiscoveryRequest>) =>
    state.receive(
      sotwRequest(kind.typeUrl, { resourceNames: names, responseNonce: last?.nonce ?? '', ...fields }),
      type(served),
    );
  return {
    want(next) {
      names = next;
      send({});
    },
    ack: () => void send({ versionInfo: last?.version ?? '' }),
    nack: () => void send({ errorDetail: nackError }),
    next(target, step = target) {
      served = target;
      const response = state.next(type(target), type(step), String(++nonces));
      if (response) last = response;
      return response;
    },
  };
}

export function deltaClient(kind: ResourceKind): Client {
  const state = new DeltaState(kind.typeUrl);
  let names: readonly string[] = [];
  let nonces = 0;
  let last: DiscoveryResponse | undefined;
  const type = (at: Snapshot) => at.types.get(kind.typeUrl) ?? { version: '', resources: new Map() };
  const send = (fields: Partial<DeltaDiscoveryRequest>) => state.receive(deltaRequest(kind.typeUrl, fields));
  return {
    want(next) {
      const subscribe = next.filter((name) => !names.includes(name));
      const unsubscribe = names.filter((name) => !next.includes(name));
      names = next;
      send({ subscribe, unsubscribe });
    },
    ack: () => void send({ responseNonce: last?.nonce ?? '' }),
    nack: () => void send({ responseNonce: last?.nonce ?? '', errorDetail: nackError }),
    next(target, step = target) {
      const response = state.next(type(target), type(step), String(++nonces));
      if (response) last = response;
      return response;
    },
  };
}

export const variants = [
  { variant: 'sotw', client: sotwClient },
  { variant: 'delta', client: deltaClient },
] as const;
