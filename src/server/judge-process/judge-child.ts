import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import { programFile } from '../../own-files.js';
import type { Answer, FromJudge, JudgeSettings, Question, ToJudge } from './messages.js';

/** A question, and who waits for its answer. */
export interface Asked {
  readonly question: Question;
  answer(answer: Answer): void;
  /** There is none: `how` the judge's process ended of it. */
  ended(how: string): void;
  /** There is none: why it could not be asked. */
  unavailable(why: string): void;
}

export interface JudgeChildOptions {
  readonly settings: JudgeSettings;
  /** Without an answer for so long, while there are questions, the process is ended, ms. */
  readonly silenceMs: number;
  /** A plugin's code threw where nobody catches. */
  onUncaught(what: string): void;
  /** Some were answered. */
  onAnswers(): void;
  /** Once. `left`: what it had not answered. `started`: it had come as far as to take questions. */
  onEnd(end: { readonly left: readonly Asked[]; readonly how: string; readonly started: boolean }): void;
}

const program = programFile('server/judge-process/program.js');
/** How long it may take until it takes questions. */
const startMs = 30_000;
/** Characters of stderr that are kept, and those that are told. */
const mostErrorText = 16_384;
const mostToldText = 600;
/** What holds the process's pipes open is a process of a library's own: it is not waited for, ms. */
const pipesMs = 1_000;

/** One process of the judge's program. */
export class JudgeChild {
  readonly #options: JudgeChildOptions;
  readonly #process: ChildProcess;
  readonly #inFlight = new Map<number, Asked>();
  #asked = 0;
  /** Those of one turn go together. */
  #batch: (Question & { readonly id: number })[] = [];
  #started = false;
  #ended = false;
  /** Why it was killed from here. */
  #killed: string | undefined;
  #errorText = '';
  #silence: NodeJS.Timeout | undefined;

  /** What goes wrong comes with `onEnd`; only what the system refuses at once is thrown, as an Error. */
  constructor(options: JudgeChildOptions) {
    this.#options = options;
    const child = fork(program, [], {
      execArgv: [],
      serialization: 'advanced',
      // What plugins print while they are judged, they print again where they serve.
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.#process = child;
    child.stderr?.on('data', (data: Buffer) => {
      this.#errorText = (this.#errorText + data.toString()).slice(-mostErrorText);
    });
    child.on('message', (message) => {
      if (isFromJudge(message)) this.#onMessage(message);
    });
    child.on('error', (error) => {
      if (child.pid === undefined) this.#end(`could not be started: ${error.message}`);
    });
    child.once('close', (code, signal) => this.#onClose(code, signal));
    child.once('exit', (code, signal) => setTimeout(() => this.#onClose(code, signal), pipesMs).unref());
    this.#send({ kind: 'settings', settings: options.settings });
    this.#watchSilence();
  }

  /** Questions without an answer. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Questions that it ever got. */
  get asked(): number {
    return this.#asked;
  }

  ask(asked: Asked): void {
    const id = ++this.#asked;
    this.#inFlight.set(id, asked);
    if (this.#batch.length === 0) setImmediate(() => this.#flush());
    this.#batch.push({ ...asked.question, id });
    if (this.#inFlight.size === 1) this.#watchSilence();
  }

  /** Ends the process. `onEnd` comes when it has gone. */
  kill(why: string): void {
    this.#killed ??= why;
    this.#hold(true);
    this.#process.kill('SIGKILL');
  }

  #onMessage(message: FromJudge): void {
    switch (message.kind) {
      case 'ready':
        this.#started = true;
        this.#flush();
        this.#watchSilence();
        return;
      case 'uncaught':
        this.#options.onUncaught(message.what);
        return;
      case 'answers':
        for (const { id, answer } of message.answers) {
          const asked = this.#inFlight.get(id);
          this.#inFlight.delete(id);
          asked?.answer(answer);
        }
        this.#watchSilence();
        this.#options.onAnswers();
    }
  }

  #flush(): void {
    if (!this.#started || this.#batch.length === 0) return;
    this.#send({ kind: 'questions', questions: this.#batch });
    this.#batch = [];
  }

  #send(message: ToJudge): void {
    // When that fails the process is ending, and its end says more.
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  /** Begins anew with each sign of life. A process that has nothing to do keeps nobody alive. */
  #watchSilence(): void {
    clearTimeout(this.#silence);
    if (this.#ended) return;
    const limit = this.#started ? this.#options.silenceMs : startMs;
    if (this.#inFlight.size === 0 && this.#started) {
      this.#hold(false);
      return;
    }
    this.#hold(true);
    this.#silence = setTimeout(() => this.kill(`was still busy after ${limit / 1000} s`), limit);
  }

  /** Whether it keeps this process alive. */
  #hold(alive: boolean): void {
    for (const each of [this.#process, this.#process.channel, this.#process.stderr as Socket | null]) {
      if (alive) each?.ref();
      else each?.unref();
    }
  }

  #onClose(code: number | null, signal: string | null): void {
    const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
    this.#end(this.#killed ?? `${how}${lastWords(this.#errorText)}`);
  }

  #end(how: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#silence);
    const left = [...this.#inFlight.values()];
    this.#inFlight.clear();
    this.#options.onEnd({ left, how, started: this.#started });
  }
}

/** The line of stderr that says what happened, where there is one that is known to; else the last lines. */
function lastWords(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const fatal = lines.find((line) => /^(FATAL ERROR|fatal error|panic|\w*Error)\b/.test(line));
  const words = fatal ?? lines.slice(-3).join('; ');
  return words === '' ? '' : `: ${words.slice(0, mostToldText)}`;
}

/** Plugins can send messages, too: some programs tell a process manager so that they are ready. */
function isFromJudge(message: unknown): message is FromJudge {
  if (typeof message !== 'object' || message === null || !('kind' in message)) return false;
  return message.kind !== 'answers' || ('answers' in message && Array.isArray(message.answers));
}
