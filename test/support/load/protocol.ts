/** Key, certificate and authority of one side, in PEM. */
export interface LoadIdentity {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** What a test tells its load process, and what it hears from it. */
export type LoadCommand =
  /** More servers, which speak TLS and want a certificate of the same authority. */
  | { readonly kind: 'listenTls'; readonly count: number; readonly identity: LoadIdentity }
  | {
      readonly kind: 'start';
      readonly host: string;
      readonly port: number;
      readonly connections: number;
      /** Each connection asks for one after the other. */
      readonly paths: readonly string[];
      /** Mean pause between two requests of a connection, ms. */
      readonly pauseMs: number;
      readonly seed: number;
      /** Connections are TLS; the server's name is `serverName`. */
      readonly tls?: LoadIdentity & { readonly serverName: string };
      /** A connection is closed and made again after so many exchanges; absent: it is kept. */
      readonly exchangesPerConnection?: number;
      /** Keeps only what each connection saw last on each path: for runs so long that all of it would not fit. */
      readonly onlyLatest?: boolean;
    }
  | { readonly kind: 'report' }
  /** Lets what runs end, then reports. */
  | { readonly kind: 'stop' };

export type LoadMessage =
  /** Numbers of servers go on with each message. */
  | { readonly kind: 'servers'; readonly ports: readonly number[] }
  | { readonly kind: 'report'; readonly report: LoadReport };

/** One configuration that a connection was served by. */
export interface Sighting {
  readonly path: string;
  /** Plugin and version that the response, each piece of the request and each line of the response carry. */
  readonly stamp: string;
  /** Index of the TCP server that answered. */
  readonly server: number;
}

export interface LoadReport {
  readonly exchanges: number;
  readonly failures: number;
  /** The first of them. */
  readonly examples: readonly string[];
  /** Connections that ended after a response had announced it. */
  readonly announcedCloses: number;
  /** Whole responses, by connection. */
  readonly perConnection: readonly number[];
  /** Longest exchange, ms. */
  readonly slowestMs: number;
  /** Connections that are open now, by TCP server. */
  readonly serverConnections: readonly number[];
  /** What each connection saw, in the order of seeing, without repetitions in a row. */
  readonly sequences: readonly (readonly Sighting[])[];
  /** When each was first seen by anybody (ms since the epoch), and which runs of parseConfig served it. */
  readonly seen: readonly (Sighting & { readonly at: number; readonly parses: readonly string[] })[];
}
