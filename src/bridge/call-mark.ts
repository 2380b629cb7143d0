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

/** Calls `work`, which runs a plugin's code, under its mark. */
export function marked<T>({ cell, number }: CallMark, work: () => T): T {
  cell[0] = number;
  try {
    return work();
  } finally {
    cell[0] = 0;
  }
}
