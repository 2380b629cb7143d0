/** What is kept of what a worker writes to stderr. */
const mostKept = 16_384;
/** Of a crash report, from its first line on, and from its end. */
const mostOfHead = 2_048;
const mostOfTail = 2_048;
/** How the Go runtime begins to say why it ends the process; the stacks of all goroutines follow, and may be megabytes. */
const fatalStart = /^(panic: |fatal error: |runtime: |SIG[A-Z]+: |unexpected fault address )/;

/**
 * Passes on what a worker writes to stderr, line by line so that the lines of several processes don't mix, and keeps what people need
 * to understand its end.
 */
export class LastWords {
  readonly #forward: (text: string) => void;
  readonly #decoder = new TextDecoder();
  #unfinished = '';
  #tail = '';
  /** From the line on that began the last fatal message. */
  #head = '';
  #headIsOpen = false;

  constructor(forward: (text: string) => void) {
    this.#forward = forward;
  }

  write(chunk: Uint8Array): void {
    const text = this.#unfinished + this.#decoder.decode(chunk, { stream: true });
    // A line that doesn't end is passed on in pieces.
    const end = text.length > mostKept ? text.length : text.lastIndexOf('\n') + 1;
    this.#unfinished = text.slice(end);
    this.#take(text.slice(0, end));
  }

  /** The rest, when the process has ended. */
  end(): void {
    const rest = this.#unfinished + this.#decoder.decode();
    this.#unfinished = '';
    if (rest !== '') this.#take(rest.endsWith('\n') ? rest : `${rest}\n`);
  }

  /** The beginning of the last fatal message of Go's runtime and the end of all, without the lines that are log entries. */
  get summary(): string {
    const tail = this.#tail.slice(-mostOfTail).trim();
    const head = this.#head.trim();
    if (head === '') return tail;
    return head.includes(tail) ? head : `${head}\n[…]\n${tail}`;
  }

  #take(text: string): void {
    if (text === '') return;
    this.#forward(text);
    for (const line of text.split(/(?<=\n)/)) {
      if (line.startsWith('{"')) continue;
      this.#tail += line;
      if (fatalStart.test(line)) {
        // A message has several such lines, one below the other: only what comes after others begins anew.
        if (!this.#headIsOpen) this.#head = '';
        this.#headIsOpen = true;
      }
      if (this.#headIsOpen) this.#head += line;
      if (this.#head.length > mostOfHead) {
        this.#head = this.#head.slice(0, mostOfHead);
        this.#headIsOpen = false;
      }
    }
    this.#tail = this.#tail.slice(-mostKept);
  }
}
