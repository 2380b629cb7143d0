import type { X509Certificate } from 'node:crypto';
import type { Bootstrap } from '../model/bootstrap.js';
import type { SocketAddress } from '../model/endpoint.js';
import type { ClusterStatus } from '../upstream/cluster-manager.js';

export type ServerState = 'LIVE' | 'DRAINING' | 'PRE_INITIALIZING' | 'INITIALIZING';

/** One version of a resource, as /config_dump shows it. `bytes` is the serialized message. */
export interface DumpedVersion {
  readonly version: string;
  readonly bytes: Uint8Array;
  readonly lastUpdated: Date;
}

/** What became of a resource. At least one of the versions, `error` or `missing` is there. */
export interface DumpedResource {
  readonly name: string;
  readonly origin: 'static' | 'dynamic';
  readonly active?: DumpedVersion;
  readonly warming?: DumpedVersion & { readonly waitingFor: readonly string[] };
  readonly draining?: DumpedVersion;
  /** Accepted, but not ours to run. */
  readonly parked?: { readonly reason: string };
  readonly warnings?: readonly string[];
  /** It is what an earlier process knew, and no control plane has spoken of it since. */
  readonly stale?: boolean;
  /** Nothing is there: asked for and not answered yet, known not to exist, or not told of in time. */
  readonly missing?: {
    readonly status: 'requested' | 'does_not_exist' | 'timed_out';
    readonly since: Date | undefined;
  };
  /** The last version that was refused. */
  readonly error?: {
    readonly version: string;
    readonly details: string;
    readonly lastAttempt: Date;
    readonly bytes: Uint8Array;
  };
}

export interface ListenerAddress {
  readonly name: string;
  readonly addresses: readonly SocketAddress[];
}

export type DumpedKind = 'clusters' | 'listeners' | 'routes' | 'endpoints' | 'secrets';

/** The certificates of one secret that is used. */
export interface ShownCertificates {
  readonly caCertificates: readonly ShownCertificate[];
  readonly chain: readonly ShownCertificate[];
}

export interface ShownCertificate {
  /** The file that has it; '' for others. */
  readonly path: string;
  readonly certificate: X509Certificate;
}

/** All that the admin endpoints read; the composition root puts it together. Called per request. */
export interface AdminSources {
  readonly bootstrap: Bootstrap;
  readonly startTime: Date;
  readonly version: string;
  readonly commandLine: Readonly<Record<string, unknown>>;
  state(): ServerState;
  /** One after the other, each as it is when its turn comes. */
  clusters(): Iterable<ClusterStatus>;
  /** Bound listeners with the addresses that they really have. */
  listeners(): readonly ListenerAddress[];
  certificates(): readonly ShownCertificates[];
  /** The last version of a whole state-of-the-world response, '' where there is none. */
  versionInfo(kind: DumpedKind): string;
  /** One after the other, each as it is when its turn comes; undefined is none, but a place for a pause. */
  dump(kind: DumpedKind): Iterable<DumpedResource | undefined>;
  /** What the server waits for, as in `cluster echo: endpoints (EDS echo)`. */
  waitingFor(): readonly string[];
}
