import type { Clock, Timer } from '../clock.js';

/** An accepted resource that outlives its stream, and its process where somebody keeps it. */
export interface KeptResource {
  readonly typeUrl: string;
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
  readonly acceptedAt: Date;
}

/** What is accepted of one type. It only refers to it. */
export interface KeepableType {
  readonly typeUrl: string;
  readonly resources: readonly (Pick<KeptResource, 'name' | 'version' | 'bytes'> & { readonly lastUpdated: Date })[];
}

/** What a source said to an earlier process, for when it says nothing to this one. */
export interface LastKnownOptions {
  /** All of it: what is not in there did not exist. Asked once, and not held for longer than it is needed. */
  readonly resources: () => readonly KeptResource[];
  /** How long the source may be silent. */
  readonly waitMs: number;
  /** It was silent for that long. */
  readonly onSilence: () => void;
}

/** The part of a type that takes part in it. */
interface Recipient {
  readonly typeUrl: string;
  /** Whether the source itself said something of this type. */
  readonly heard: boolean;
  /** Takes what it lacks. */
  takeKept(resources: readonly KeptResource[]): void;
}

/**
 * Hands out what is known from before to the types that lack something, once their source was silent for too long. It ends when the server
 * is up and the source spoke of everything that is wanted: what is asked for later is not looked up in the past.
 */
export class LastKnown {
  readonly #options: LastKnownOptions;
  readonly #clock: Clock;
  readonly #recipients: () => readonly Recipient[];
  #resources: ReadonlyMap<string, readonly KeptResource[]> | undefined;
  #silence: Timer | undefined;
  #silent = false;
  #serverIsUp = false;

  constructor(options: LastKnownOptions, clock: Clock, recipients: () => readonly Recipient[]) {
    this.#options = options;
    this.#clock = clock;
    this.#recipients = recipients;
    this.#resources = groupByType(options.resources());
  }

  start(): void {
    this.#listen();
  }

  /** The source said something. */
  heard(): void {
    this.#silent = false;
    this.#listen();
    this.#endIfDone();
  }

  /** Something may be wanted that was not wanted before. */
  asked(): void {
    if (this.#silent) this.#handOut();
  }

  serverIsUp(): void {
    this.#serverIsUp = true;
    this.#endIfDone();
  }

  close(): void {
    this.#silence?.cancel();
    this.#resources = undefined;
  }

  #listen(): void {
    this.#silence?.cancel();
    if (!this.#resources) return;
    this.#silence = this.#clock.setTimeout(() => {
      this.#endIfDone();
      if (!this.#resources) return;
      this.#silent = true;
      this.#options.onSilence();
      this.#handOut();
    }, this.#options.waitMs);
  }

  #handOut(): void {
    if (!this.#resources) return;
    for (const recipient of this.#recipients()) recipient.takeKept(this.#resources.get(recipient.typeUrl) ?? []);
  }

  #endIfDone(): void {
    if (this.#serverIsUp && this.#recipients().every(({ heard }) => heard)) this.close();
  }
}

function groupByType(resources: readonly KeptResource[]): Map<string, KeptResource[]> {
  const byType = new Map<string, KeptResource[]>();
  for (const resource of resources) {
    const list = byType.get(resource.typeUrl);
    if (list) list.push(resource);
    else byType.set(resource.typeUrl, [resource]);
  }
  return byType;
}
