/** What bench/soak.ts tells the process of its clients and servers, and what it hears from there. */
export interface RunCommand {
  readonly host: string;
  readonly port: number;
  readonly exchanges: number;
  readonly seed: number;
}

export type PeersMessage =
  | { readonly kind: 'servers'; readonly steady: readonly number[]; readonly flaky: readonly number[] }
  | { readonly kind: 'progress'; readonly exchanges: number }
  | {
      readonly kind: 'done';
      /** How exchanges ended, by what the client or the server did. */
      readonly outcomes: Readonly<Record<string, number>>;
      readonly violations: readonly string[];
    };

/** What a request's payload asks the TCP server to do. It is the first line of the payload; the rest is padding. */
export interface Instruction {
  readonly act:
    | 'answer'
    | 'early'
    | 'trailing-bytes'
    | 'close-after'
    | 'fin'
    | 'reset'
    | 'cut-header'
    | 'cut-fin'
    | 'cut-reset';
  /** Seed of the answer's bytes. */
  readonly id: number;
  /** Bytes of the answer. */
  readonly size: number;
  /** Milliseconds before and within the answer. */
  readonly delay: number;
  readonly pieces: number;
}

/** The bytes of an answer: what comes back can be checked without being remembered. */
export function answerOf({ id, size }: Pick<Instruction, 'id' | 'size'>): Buffer {
  return Buffer.alloc(size, `${id};`);
}
