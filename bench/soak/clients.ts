import { setTimeout as sleep } from 'node:timers/promises';
import { ClientConnection, type ClientResponse } from '../../test/support/load/client-connection.js';
import { answerOf, type Instruction, type RunCommand } from './protocol.js';

/** What the client does with one exchange. */
type Manner =
  | 'plain'
  | 'slow-sender'
  | 'slow-reader'
  | 'pipelined'
  | 'abort-head'
  | 'abort-body'
  | 'abort-waiting'
  | 'abort-response'
  | 'half-close';

interface Exchange {
  readonly manner: Manner;
  /** Whether its server may do harm: then a failure is an outcome, and only a wrong answer is a violation. */
  readonly flaky: boolean;
  readonly instruction: Instruction;
  readonly request: Buffer;
}

const concurrency = 64;
/** An exchange that takes longer hangs. */
const longestMs = 30_000;

/** Runs so many exchanges, each with something that may go wrong, and judges how each ended. */
export class Clients {
  readonly outcomes: Record<string, number> = {};
  readonly violations: string[] = [];
  readonly #options: RunCommand;
  readonly #random: () => number;
  #begun = 0;
  ended = 0;

  constructor(options: RunCommand, random: () => number) {
    this.#options = options;
    this.#random = random;
  }

  async run(): Promise<void> {
    await Promise.all(Array.from({ length: concurrency }, () => this.#worker()));
  }

  async #worker(): Promise<void> {
    let last: Exchange | undefined;
    const describe = () =>
      last ? `after ${last.manner} ${JSON.stringify(last.instruction)}` : 'before the first request';
    let connection = this.#connect(describe);
    while (this.#begun < this.#options.exchanges) {
      this.#begun++;
      const exchange = this.#plan();
      last = exchange;
      const watchdog = setTimeout(() => {
        this.#violate(exchange, `hangs for ${longestMs / 1000} s`);
        connection.close();
      }, longestMs);
      const keep = await this.#perform(connection, exchange);
      clearTimeout(watchdog);
      this.ended++;
      if (keep && !connection.closing) continue;
      connection.close();
      connection = this.#connect(describe);
    }
    connection.close();
  }

  /** `describe`: what the worker did last, for the report of a connection that ended while no request ran. */
  #connect(describe: () => string): ClientConnection {
    const { host, port } = this.#options;
    // The next exchange fails on it, and is judged.
    return new ClientConnection({ host, port }, (error) => this.#violations(`${describe()}: ${error.message}`));
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pick<T>(choices: readonly (readonly [number, T])[]): T {
    let at = this.#random() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, choice] of choices) {
      at -= weight;
      if (at < 0) return choice;
    }
    throw new Error('no choice');
  }

  #plan(): Exchange {
    const manner = this.#pick<Manner>([
      [70, 'plain'],
      [3, 'slow-sender'],
      [2, 'slow-reader'],
      [5, 'pipelined'],
      [3, 'abort-head'],
      [4, 'abort-body'],
      [5, 'abort-waiting'],
      [4, 'abort-response'],
      [2, 'half-close'],
    ]);
    const flaky = this.#random() < 0.2;
    const act = flaky
      ? this.#pick<Instruction['act']>([
          [3, 'answer'],
          [1, 'early'],
          [1, 'trailing-bytes'],
          [1, 'close-after'],
          [1, 'fin'],
          [1, 'reset'],
          [1, 'cut-header'],
          [1, 'cut-fin'],
          [1, 'cut-reset'],
        ])
      : 'answer';
    const large = manner === 'slow-reader' || this.#random() < 0.01;
    const instruction: Instruction = {
      act,
      id: this.#below(1_000_000),
      size: large ? 200_000 + this.#below(2_000_000) : this.#below(4_000),
      delay: this.#random() < 0.2 ? 1 + this.#below(10) : 0,
      pieces: 1 + this.#below(large ? 20 : 3),
    };
    return { manner, flaky, instruction, request: this.#request(flaky, instruction) };
  }

  #request(flaky: boolean, instruction: Instruction): Buffer {
    const path = `/${this.#random() < 0.5 ? 'whole' : 'streamed'}/${flaky ? 'flaky' : 'steady'}`;
    const method = this.#random() < 0.5 ? 'PUT' : 'POST';
    const padding = this.#random() < 0.02 ? this.#below(500_000) : this.#below(2_000);
    const payload = Buffer.from(`${JSON.stringify(instruction)}\n${'p'.repeat(padding)}`);
    const head = `${method} ${path} HTTP/1.1\r\nhost: soak\r\n`;
    if (this.#random() < 0.7)
      return Buffer.concat([Buffer.from(`${head}content-length: ${payload.length}\r\n\r\n`), payload]);
    return Buffer.concat([
      Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n${payload.length.toString(16)}\r\n`),
      payload,
      Buffer.from('\r\n0\r\n\r\n'),
    ]);
  }

  /** Whether the connection can be used again. */
  async #perform(connection: ClientConnection, exchange: Exchange): Promise<boolean> {
    try {
      switch (exchange.manner) {
        case 'plain':
          return this.#judge(exchange, await connection.exchange([exchange.request]));
        case 'slow-sender':
          return this.#judge(exchange, await this.#sendSlowly(connection, exchange.request));
        case 'slow-reader':
          return this.#judge(exchange, await this.#readSlowly(connection, exchange.request));
        case 'pipelined':
          return await this.#pipeline(connection, exchange);
        default:
          await this.#abort(connection, exchange);
          return false;
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (exchange.flaky) this.#count(exchange, 'cut');
      else this.#violate(exchange, message);
      return false;
    }
  }

  #sendSlowly(connection: ClientConnection, request: Buffer): Promise<ClientResponse> {
    const size = Math.ceil(request.length / 4);
    const pieces = [0, 1, 2, 3].map((index) => request.subarray(index * size, (index + 1) * size));
    return connection.exchange(pieces, () => sleep(this.#below(15)));
  }

  async #readSlowly(connection: ClientConnection, request: Buffer): Promise<ClientResponse> {
    const { socket } = connection;
    const response = connection.exchange([request]);
    let pauses = 0;
    const onData = () => {
      if (pauses++ >= 5) return;
      socket.pause();
      setTimeout(() => socket.resume(), 5 + this.#below(40));
    };
    socket.on('data', onData);
    return response.finally(() => socket.off('data', onData));
  }

  /** Two requests in one write: the second one is a plain one to a steady server. */
  async #pipeline(connection: ClientConnection, exchange: Exchange): Promise<boolean> {
    const instruction: Instruction = { act: 'answer', id: this.#below(1_000_000), size: 500, delay: 0, pieces: 1 };
    const second: Exchange = {
      manner: 'pipelined',
      flaky: false,
      instruction,
      request: this.#request(false, instruction),
    };
    const [first, next] = connection.pipeline(exchange.request, second.request);
    this.#judge(exchange, await first);
    if (connection.closing) return false;
    try {
      return this.#judge(second, await next);
    } catch (error) {
      this.#violate(second, error instanceof Error ? error.message : String(error));
      return false;
    }
  }

  async #abort(connection: ClientConnection, exchange: Exchange): Promise<void> {
    const { manner, request, instruction } = exchange;
    const headEnd = request.indexOf('\r\n\r\n') + 4;
    const { socket } = connection;
    const part =
      manner === 'abort-head'
        ? request.subarray(0, 1 + this.#below(headEnd - 1))
        : manner === 'abort-body'
          ? request.subarray(0, headEnd + this.#below(request.length - headEnd))
          : request;
    const response = connection.exchange([part]).then(
      () => 'answered',
      () => 'cut',
    );
    if (manner === 'half-close') {
      connection.halfClose();
      this.#count(exchange, await response);
      return;
    }
    if (manner === 'abort-response')
      await Promise.race([response, new Promise((resolve) => socket.once('data', resolve))]);
    else if (this.#random() < 0.5) await sleep(this.#below(instruction.delay + 5));
    if (this.#random() < 0.5) socket.resetAndDestroy();
    connection.close();
    this.#count(exchange, 'aborted');
  }

  #judge(exchange: Exchange, { status, headers, body }: ClientResponse): true {
    const { flaky, instruction } = exchange;
    if (status === 200 && body.equals(answerOf(instruction))) {
      this.#count(exchange, 'answered');
      if (!flaky && headers.get('connection') === 'close') this.#violate(exchange, 'closes without a reason');
    } else if (flaky && status === 503 && headers.get('server') === 'envoy') {
      this.#count(exchange, '503');
    } else this.#violate(exchange, `${status} with ${body.length} bytes: ${body.toString('latin1', 0, 200)}`);
    return true;
  }

  #count({ manner, instruction }: Exchange, outcome: string): void {
    const key = `${manner}, server ${instruction.act}: ${outcome}`;
    this.outcomes[key] = (this.outcomes[key] ?? 0) + 1;
  }

  #violate({ manner, instruction, request }: Exchange, what: string): void {
    const line = request.toString('latin1', 0, request.indexOf('\r\n'));
    this.#violations(`${manner} ${line} ${JSON.stringify(instruction)}: ${what}`);
  }

  #violations(text: string): void {
    if (this.violations.length < 20) this.violations.push(text);
  }
}
