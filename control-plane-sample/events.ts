import type { Change } from './cache.js';
import type { StreamInfo } from './nodes.js';

/** What happened, as `GET /events` and `watch` tell it. `type` is a short name (`cds`). */
export type ControlPlaneEvent =
  | ({ readonly event: 'snapshot'; readonly version: string; readonly source: string } & Change)
  | { readonly event: 'refused'; readonly source: string; readonly reasons: readonly string[] }
  | { readonly event: 'connected' | 'disconnected'; readonly node: string; readonly stream: StreamInfo }
  | {
      readonly event: 'sent';
      readonly node: string;
      readonly stream: number;
      readonly type: string;
      readonly version: string;
      readonly nonce: string;
      readonly resources: number;
      readonly removed: readonly string[];
    }
  | {
      readonly event: 'ack';
      readonly node: string;
      readonly stream: number;
      readonly type: string;
      readonly version: string;
      readonly nonce: string;
    }
  | {
      readonly event: 'nack';
      readonly node: string;
      readonly stream: number;
      readonly type: string;
      readonly version: string;
      readonly nonce: string;
      readonly error: string;
    };

export type RecordedEvent = { readonly seq: number; readonly time: string } & ControlPlaneEvent;

/** The last events, and whoever wants to hear of the next. */
export class EventLog {
  #seq = 0;
  #events: RecordedEvent[] = [];
  readonly #listeners = new Set<(event: RecordedEvent) => void>();

  constructor(
    readonly now: () => number,
    readonly capacity = 1_000,
  ) {}

  add(event: ControlPlaneEvent): void {
    this.#seq++;
    const recorded: RecordedEvent = { seq: this.#seq, time: new Date(this.now()).toISOString(), ...event };
    this.#events.push(recorded);
    if (this.#events.length > this.capacity) this.#events.shift();
    for (const listener of this.#listeners) listener(recorded);
  }

  /** Those after `seq` that are still remembered. */
  since(seq: number): RecordedEvent[] {
    return this.#events.filter((event) => event.seq > seq);
  }

  get lastSeq(): number {
    return this.#seq;
  }

  listen(listener: (event: RecordedEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
