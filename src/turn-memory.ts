interface Marked {
  /** Set on memory that is used again when the turn of the event loop in which it was filled is over, its tick queue included. By a plain name: the engine is quick to see that others have none. */
  endsWithTurn?: true;
}

/** Says of all buffers over this memory, now and later, that their bytes are only there until the end of the turn. */
export function markTurnMemory(memory: ArrayBufferLike): void {
  (memory as ArrayBufferLike & Marked).endsWithTurn = true;
}

/** Whether the bytes are gone at the end of the turn. */
export function endsWithTurn(data: Buffer): boolean {
  return (data.buffer as ArrayBufferLike & Marked).endsWithTurn === true;
}

/** The same bytes, to be kept for longer than this turn of the event loop: a copy where they would be gone by then. */
export function kept(data: Buffer): Buffer {
  return endsWithTurn(data) ? Buffer.from(data) : data;
}
