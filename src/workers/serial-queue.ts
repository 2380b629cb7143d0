/** How long tasks may follow each other before the event loop gets its turn, milliseconds. */
const turnMs = 5;

/** Carries out tasks one after the other, and lets other work come between them. */
export class SerialQueue {
  #tasks: (() => void | Promise<void>)[] = [];
  #running = false;

  /** The task must not reject. */
  add(task: () => void | Promise<void>): void {
    this.#tasks.push(task);
    if (!this.#running) void this.#run();
  }

  async #run(): Promise<void> {
    this.#running = true;
    let turn = performance.now();
    while (this.#tasks.length > 0) {
      const tasks = this.#tasks;
      this.#tasks = [];
      for (const task of tasks) {
        const done = task();
        if (done) await done;
        if (performance.now() - turn < turnMs) continue;
        await new Promise((resolve) => setImmediate(resolve));
        turn = performance.now();
      }
    }
    this.#running = false;
  }
}
