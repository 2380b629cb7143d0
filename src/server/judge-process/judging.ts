import type { Logger } from '../../log.js';
import type { Counter } from '../../stats/store.js';
import { type Asked, JudgeChild, type JudgeChildOptions } from './judge-child.js';
import type { Answer, Question } from './messages.js';

/** What came of a question. */
export type Outcome =
  | Answer
  /** The judge's process ended of it. */
  | { readonly kind: 'ended'; readonly how: string }
  | { readonly kind: 'unavailable'; readonly why: string };

export interface JudgingOptions extends Pick<JudgeChildOptions, 'silenceMs'> {
  /** Asked for each process. Throws an Error for people when there can't be one. */
  settings(): JudgeChildOptions['settings'];
  readonly log: Logger;
  readonly crashes: Counter;
  /** Looked at before a question is tried alone: how it would end, where that is known by now. */
  foregone(question: Question): string | undefined;
}

/** Questions to the judge's program, whose process may end, or hang, of any of them. */
export interface Judging {
  ask(question: Question): Promise<Outcome>;
  /** Resolves when no process is left. */
  close(): Promise<void>;
}

/** So many questions are with a process at the same time: enough to keep it busy, and few to try again when it ends. */
const mostInFlight = 256;

const stopping = 'this process is about to end';

/** A process, when there is something to ask, and the questions that wait for it. */
interface Lane {
  readonly window: number;
  waiting: Asked[];
  child: JudgeChild | undefined;
}

/**
 * All questions go to one process, many at a time. When it ends, each of those that it was busy with is a suspect. Suspects are tried one after the other in a process
 * of their own; one at which that ends, too, is tried as the first of a new one: only then it is the culprit, because an end may come late, from a timer
 * that another library has left behind. So a question costs at most three processes, and nobody fails for somebody else.
 */
export function createJudging(options: JudgingOptions): Judging {
  const { log, crashes, silenceMs } = options;
  const normal: Lane = { window: mostInFlight, waiting: [], child: undefined };
  const suspects: Lane = { window: 1, waiting: [], child: undefined };
  let closed = false;
  const children = new Set<JudgeChild>();
  let onGone: (() => void) | undefined;

  function pump(lane: Lane): void {
    while (lane.waiting.length > 0 && (lane.child?.inFlight ?? 0) < lane.window) {
      const asked = lane.waiting.shift() as Asked;
      const foregone = lane === suspects ? options.foregone(asked.question) : undefined;
      if (foregone !== undefined) {
        asked.ended(foregone);
        continue;
      }
      try {
        lane.child ??= start(lane);
      } catch (error) {
        asked.unavailable((error as Error).message);
        continue;
      }
      lane.child.ask(asked);
    }
    if (lane === suspects && lane.child?.inFlight === 0) {
      lane.child.kill('has no suspects left');
      lane.child = undefined;
    }
  }

  function start(lane: Lane): JudgeChild {
    const child = new JudgeChild({
      settings: options.settings(),
      silenceMs,
      onUncaught: (what) =>
        log.error({ thrown: what }, 'a plugin threw where nobody catches while libraries were judged'),
      onAnswers: () => pump(lane),
      onEnd({ left, how, started }) {
        if (lane.child === child) lane.child = undefined;
        children.delete(child);
        if (children.size === 0) onGone?.();
        if (closed) return refuse(left, stopping);
        if (!started) return refuse([...left, ...lane.waiting.splice(0)], `the process that judges libraries ${how}`);
        onEnd(lane, child.asked, left, how);
      },
    });
    children.add(child);
    return child;
  }

  function onEnd(lane: Lane, asked: number, left: readonly Asked[], how: string): void {
    if (left.length > 0 || lane === normal) {
      crashes.value += 1;
      log.warn({ busyWith: left.length }, `the process that judges plugin libraries ${how}`);
    }
    if (asked === 1) for (const each of left) each.ended(how);
    else if (lane === suspects) suspects.waiting.unshift(...left);
    else suspects.waiting.push(...left);
    pump(normal);
    pump(suspects);
  }

  return {
    ask(question) {
      return new Promise((resolve) => {
        const asked: Asked = {
          question,
          answer: resolve,
          ended: (how) => resolve({ kind: 'ended', how }),
          unavailable: (why) => resolve({ kind: 'unavailable', why }),
        };
        if (closed) return asked.unavailable(stopping);
        normal.waiting.push(asked);
        pump(normal);
      });
    },
    close() {
      closed = true;
      for (const lane of [normal, suspects]) refuse(lane.waiting.splice(0), stopping);
      for (const child of children) child.kill(stopping);
      if (children.size === 0) return Promise.resolve();
      return new Promise((resolve) => {
        onGone = resolve;
      });
    },
  };
}

function refuse(all: readonly Asked[], why: string): void {
  for (const asked of all) asked.unavailable(why);
}
