import type { Clock } from '../clock.js';
import type { WorkerProcess } from './worker-process.js';

interface Question {
  readonly open: Set<WorkerProcess>;
  readonly answers: Map<number, unknown>;
  readonly resolve: () => void;
}

/** Questions to workers, and who has still to answer. */
export class Questions {
  readonly #clock: Clock;
  readonly #open = new Map<number, Question>();
  #number = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  ask(workers: readonly WorkerProcess[], question: unknown, timeoutMs: number): Promise<ReadonlyMap<number, unknown>> {
    const answers = new Map<number, unknown>();
    if (workers.length === 0) return Promise.resolve(answers);
    this.#number += 1;
    const number = this.#number;
    return new Promise((resolve) => {
      const asked: Question = {
        open: new Set(workers),
        answers,
        resolve: () => {
          limit.cancel();
          this.#open.delete(number);
          resolve(answers);
        },
      };
      const limit = this.#clock.setTimeout(asked.resolve, timeoutMs);
      this.#open.set(number, asked);
      for (const worker of workers) worker.send({ type: 'question', number, question });
    });
  }

  answered(worker: WorkerProcess, number: number, answer: unknown): void {
    const question = this.#open.get(number);
    if (!question?.open.has(worker)) return;
    question.answers.set(worker.number, answer);
    this.#leaveOut(question, worker);
  }

  unanswered(worker: WorkerProcess, number: number): void {
    const question = this.#open.get(number);
    if (question) this.#leaveOut(question, worker);
  }

  ended(worker: WorkerProcess): void {
    for (const question of this.#open.values()) this.#leaveOut(question, worker);
  }

  #leaveOut(question: Question, worker: WorkerProcess): void {
    if (question.open.delete(worker) && question.open.size === 0) question.resolve();
  }
}
