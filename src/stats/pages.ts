/** Numbers of many runs of one length, one run after the other. */
export interface Page {
  readonly values: Float64Array;
  /** 1: somebody touched the place. */
  readonly touched: Uint8Array;
}

/** A part of a page: as many places as each run of its `Pages` has. */
export interface Run {
  readonly page: Page;
  readonly start: number;
}

const fewestRuns = 8;
const mostRuns = 256;

class SharedPage implements Page {
  readonly values: Float64Array;
  readonly touched: Uint8Array;
  /** Starts of the runs that nobody has, the next one last. */
  readonly free: number[];
  readonly runs: number;

  constructor(length: number, runs: number) {
    this.values = new Float64Array(length * runs);
    this.touched = new Uint8Array(length * runs);
    this.free = Array.from({ length: runs }, (_, i) => (runs - 1 - i) * length);
    this.runs = runs;
  }
}

/** Where runs of one length come from: some objects for thousands of runs, instead of some for each. */
export class Pages {
  readonly #length: number;
  readonly #withRoom = new Set<SharedPage>();
  #taken = 0;

  constructor(length: number) {
    this.#length = length;
  }

  /** All zeros, and nobody's but the caller's until it gives it back. */
  take(): Run {
    let [page] = this.#withRoom;
    if (!page) {
      page = new SharedPage(this.#length, Math.min(mostRuns, Math.max(fewestRuns, this.#taken)));
      this.#withRoom.add(page);
    }
    const start = page.free.pop() as number;
    if (page.free.length === 0) this.#withRoom.delete(page);
    this.#taken++;
    return { page, start };
  }

  /** The run is another's from now on: nothing may be written to it any more. Not to be called twice for one. */
  give({ page, start }: Run): void {
    const end = start + this.#length;
    page.values.fill(0, start, end);
    page.touched.fill(0, start, end);
    const shared = page as SharedPage;
    shared.free.push(start);
    this.#taken--;
    // One page with room is kept; others go when their last run does.
    if (shared.free.length < shared.runs || this.#withRoom.size <= 1) this.#withRoom.add(shared);
    else this.#withRoom.delete(shared);
  }

  /** What the run has, in a page of its own. */
  copy({ page, start }: Run): Run {
    const end = start + this.#length;
    return { page: { values: page.values.slice(start, end), touched: page.touched.slice(start, end) }, start: 0 };
  }

  /** A run that comes from no page, and is never given back. */
  single(): Run {
    return {
      page: { values: new Float64Array(this.#length), touched: new Uint8Array(this.#length) },
      start: 0,
    };
  }
}
