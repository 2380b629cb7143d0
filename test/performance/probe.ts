/**
 * Loaded into a `pontoon` before its program (`node --expose-gc --import`): counts what its own sockets read and write, and looks at its heap. Each SIGUSR2 is
 * answered by a line on stdout, a `Probed`: the first one, and each second after it, when all was collected.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics } from 'node:v8';
import { NativeSocket } from '../../src/sockets/native-socket.js';

/** Since the process began, but for `old`. */
export interface Probed {
  readonly reads: number;
  readonly writes: number;
  /** Collections of what is young, and of all. */
  readonly minor: number;
  readonly major: number;
  /** Bytes in the part of the heap where nothing is collected but by a collection of all. */
  readonly old: number;
}

const counts = { reads: 0, writes: 0, minor: 0, major: 0 };

const { write, onRead } = NativeSocket.prototype;
NativeSocket.prototype.write = function (data, start, end) {
  counts.writes++;
  write.call(this, data, start, end);
};
NativeSocket.prototype.onRead = function (data) {
  counts.reads++;
  onRead.call(this, data);
};

const observer = new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const { kind } = (entry as unknown as { readonly detail: { readonly kind: number } }).detail;
    if (kind === constants.NODE_PERFORMANCE_GC_MINOR) counts.minor++;
    if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) counts.major++;
  }
});
observer.observe({ entryTypes: ['gc'] });

const oldSpaces = ['old_space', 'large_object_space', 'trusted_space'];
let collect = true;

process.on('SIGUSR2', () => {
  if (collect) global.gc?.();
  collect = !collect;
  // The observer is told later.
  setTimeout(() => {
    const spaces = getHeapSpaceStatistics().filter(({ space_name: name }) => oldSpaces.includes(name));
    const old = spaces.reduce((sum, { space_used_size: used }) => sum + used, 0);
    process.stdout.write(`${JSON.stringify({ ...counts, old } satisfies Probed)}\n`);
  }, 50);
});
