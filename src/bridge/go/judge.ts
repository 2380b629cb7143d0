import { type ChildProcess, fork } from 'node:child_process';
import { programFile } from '../../own-files.js';
import type { JudgeAnswer, JudgeConfig, JudgeOpen } from './judge-child.js';
import { type LibraryFile, withCopy } from './library-file.js';

/** What was wrong, and where: when the library was opened, or in its Parse. */
export interface Verdict {
  readonly during: 'load' | 'config';
  /** For people: the library's words, or how its process ended. */
  readonly problem: string;
}

/** Tries libraries in a process of their own, because what they do wrong ends it. */
export interface Judge {
  /** undefined: it may serve. `read` gives the file when there is no process for it yet. */
  judge(hash: string, read: () => Promise<LibraryFile>, config: JudgeConfig): Promise<Verdict | undefined>;
  /** Ends all processes. */
  close(): void;
}

const childPath = programFile('bridge/go/judge-child.js');
/** Processes that have something to do. */
const mostBusy = 16;
/** How long a process is kept for the next configuration. */
const idleMs = 2_000;
/** With more libraries than this those that have nothing to do are ended at once. */
const mostIdle = 4;
const mostErrorText = 65_536;

/** `copies`: gives the folder that libraries are opened from. */
export function createJudge(timeLimitMs: number, copies: () => string): Judge {
  const trials = new Map<string, Trial>();
  const waiting: (() => void)[] = [];
  let busy = 0;

  function trialOf(hash: string, read: () => Promise<LibraryFile>): Trial {
    let trial = trials.get(hash);
    if (trial === undefined || trial.ended) {
      const idle = [...trials.values()].filter((each) => each.idle);
      for (const each of idle.slice(mostIdle - 1)) each.end();
      trial = new Trial(read, timeLimitMs, copies());
      trials.set(hash, trial);
      const begun = trial;
      trial.onEnd = () => {
        if (trials.get(hash) === begun) trials.delete(hash);
      };
    }
    return trial;
  }

  return {
    async judge(hash, read, config) {
      if (busy >= mostBusy) await new Promise<void>((resolve) => waiting.push(resolve));
      busy++;
      try {
        for (;;) {
          const verdict = await trialOf(hash, read).judge(config);
          // Else the process was ended by a configuration before this one: each time there is one fewer of those.
          if (verdict !== 'not_tried') return verdict;
        }
      } finally {
        busy--;
        waiting.shift()?.();
      }
    },
    close() {
      for (const trial of trials.values()) trial.end();
    },
  };
}

/** One library's process. Configurations are tried one after the other, so that it is clear which one ended it. */
class Trial {
  readonly #timeLimitMs: number;
  readonly #copies: string;
  readonly #started: Promise<Verdict | undefined>;
  #last: Promise<unknown>;
  #waiting = 0;
  #child: ChildProcess | undefined;
  #idle: NodeJS.Timeout | undefined;
  #errorText = '';
  ended = false;
  onEnd: () => void = () => undefined;

  constructor(read: () => Promise<LibraryFile>, timeLimitMs: number, copies: string) {
    this.#timeLimitMs = timeLimitMs;
    this.#copies = copies;
    this.#started = this.#start(read);
    this.#last = this.#started.catch(() => undefined);
  }

  get idle(): boolean {
    return this.#waiting === 0;
  }

  async judge(config: JudgeConfig): Promise<Verdict | 'not_tried' | undefined> {
    this.#waiting += 1;
    clearTimeout(this.#idle);
    this.#child?.ref();
    const turn = this.#last.then(() => this.#try(config));
    this.#last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#rest();
    }
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    clearTimeout(this.#idle);
    this.#child?.kill('SIGKILL');
    this.onEnd();
  }

  async #start(read: () => Promise<LibraryFile>): Promise<Verdict | undefined> {
    try {
      return await this.#open(await read());
    } catch (error) {
      this.end();
      throw error;
    }
  }

  #open(file: LibraryFile): Promise<Verdict | undefined> {
    return withCopy(file, this.#copies, async (open) => {
      const child = fork(childPath, [], {
        execArgv: [],
        serialization: 'advanced',
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      });
      this.#child = child;
      child.stderr?.on('data', (data: Buffer) => {
        if (this.#errorText.length < mostErrorText) this.#errorText += data.toString();
      });
      // Also what a configuration sets free that was judged good: nobody hears it, and the next one gets a new process.
      child.once('close', () => this.end());
      child.once('error', () => this.end());
      const problem = await this.#ask(child, { open });
      return problem === undefined ? undefined : { during: 'load', problem };
    });
  }

  async #try(config: JudgeConfig): Promise<Verdict | 'not_tried' | undefined> {
    const refused = await this.#started;
    if (refused !== undefined) {
      this.end();
      return refused;
    }
    if (this.ended || this.#child === undefined) return 'not_tried';
    const problem = await this.#ask(this.#child, config);
    return problem === undefined ? undefined : { during: 'config', problem };
  }

  #ask(child: ChildProcess, message: JudgeOpen | JudgeConfig): Promise<string | undefined> {
    return new Promise((resolve) => {
      const settle = (problem: string | undefined): void => {
        clearTimeout(limit);
        child.off('message', onMessage);
        child.off('close', onClose);
        child.off('error', onError);
        resolve(problem);
      };
      const onMessage = ({ problem }: JudgeAnswer): void => settle(problem);
      const onClose = (code: number | null, signal: string | null): void =>
        settle(describeEnd(this.#errorText, code, signal));
      const onError = (error: Error): void => settle(`its process could not be started: ${error.message}`);
      const limit = setTimeout(() => {
        settle(`it was still busy after ${this.#timeLimitMs / 1000} s`);
        this.end();
      }, this.#timeLimitMs);
      child.on('message', onMessage);
      child.on('close', onClose);
      child.on('error', onError);
      // When that fails the process is ending, and its end says more.
      child.send(message, () => undefined);
    });
  }

  #rest(): void {
    if (this.ended) return;
    this.#child?.unref();
    this.#child?.channel?.unref();
    (this.#child?.stderr as { unref?(): void } | null | undefined)?.unref?.();
    this.#idle = setTimeout(() => this.end(), idleMs).unref();
  }
}

/** What Go says when it ends a process (a panic, a fatal error), without the stacks; else how it ended. */
function describeEnd(errorText: string, code: number | null, signal: string | null): string {
  const lines = errorText.split('\n');
  const first = lines.findIndex((line) => /^(panic|fatal error|runtime): /.test(line));
  if (first >= 0) {
    const end = lines.findIndex((line, i) => i > first && (line === '' || line.startsWith('goroutine ')));
    const words = lines.slice(first, end < 0 ? first + 4 : Math.min(end, first + 4));
    return `it ended the process: ${words.join('; ').slice(0, 1000)}`;
  }
  return signal === null ? `it ended the process with exit code ${code}` : `it ended the process by signal ${signal}`;
}
