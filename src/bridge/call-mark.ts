import type { CallMark } from './prepared-bridge.js';

/** Marks for a process that nobody watches from outside: numbers that go up, in a cell of its own. */
export function createLocalMarks(): () => CallMark {
  const cell = new Uint32Array(1);
  let last = 0;
  return () => {
    last += 1;
    return { cell, number: last };
  };
}

/** Calls `work`, which runs a plugin's code, under its mark. With what `work` takes beside it, a call for every frame needs no closure. */
export function marked<T>(mark: CallMark, work: () => T): T;
export function marked<T, A>(mark: CallMark, work: (a: A) => T, a: A): T;
export function marked<T, A, B>(mark: CallMark, work: (a: A, b: B) => T, a: A, b: B): T;
export function marked<T, A, B>({ cell, number }: CallMark, work: (a?: A, b?: B) => T, a?: A, b?: B): T {
  cell[0] = number;
  try {
    return work(a, b);
  } finally {
    cell[0] = 0;
  }
}
