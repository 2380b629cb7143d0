import type { ConfigReader } from './config-reader.js';

/** Statuses of Dubbo's responses (org.apache.dubbo.remoting.exchange.Response), and the HTTP status that each becomes. */
const statuses: ReadonlyMap<number, readonly [name: string, httpStatus: number]> = new Map([
  [25, ['SERIALIZATION_ERROR', 502]],
  [30, ['CLIENT_TIMEOUT', 504]],
  [31, ['SERVER_TIMEOUT', 504]],
  [35, ['CHANNEL_INACTIVE', 503]],
  [40, ['BAD_REQUEST', 400]],
  [50, ['BAD_RESPONSE', 502]],
  [60, ['SERVICE_NOT_FOUND', 404]],
  [70, ['SERVICE_ERROR', 502]],
  [80, ['SERVER_ERROR', 502]],
  [90, ['CLIENT_ERROR', 502]],
  [100, ['SERVER_THREADPOOL_EXHAUSTED_ERROR', 503]],
]);
const notFound = 60;

/** How answers other than a value become HTTP. */
export interface ErrorRules {
  readonly exceptionStatus: number;
  /** Exception class → HTTP status. */
  readonly exceptions: ReadonlyMap<string, number>;
  /** Dubbo's status → HTTP status, over the table's. */
  readonly statuses: ReadonlyMap<number, number>;
  readonly stack: boolean;
}

export function parseErrorRules(reader: ConfigReader): ErrorRules {
  return {
    exceptionStatus: reader.integer('exception_status', 500, 200, 599),
    exceptions: reader.record('exceptions', httpStatus),
    statuses: new Map(
      [...reader.record('statuses', httpStatus)].map(([key, value]) => {
        const number = [...statuses].find(([code, [name]]) => String(code) === key || name === key)?.[0];
        if (number === undefined) {
          const known = [...statuses].map(([code, [name]]) => `${code} ${name}`).join(', ');
          throw new Error(`${reader.where('statuses')}.${key} is no status of Dubbo; known are ${known}`);
        }
        return [number, value];
      }),
    ),
    stack: reader.boolean('stack', false),
  };
}

function httpStatus(value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 200 && value <= 599) return value;
  throw new Error(`${path} must be an HTTP status from 200 to 599, not ${JSON.stringify(value)}`);
}

/** An answer to the client: JSON in `{"error": …}`. */
export interface ErrorReply {
  readonly status: number;
  readonly body: string;
}

/** A request that is refused before anything is sent, or a server that can't be understood. */
export function refusal(status: number, code: string, message: string): ErrorReply {
  return { status, body: `${JSON.stringify({ error: { code, message } })}\n` };
}

const maxMessage = 2048;

/** What the provider said instead of an answer. Its text is a Java stack trace with addresses in it; clients get the first words unless `stack` is on. */
export function failureReply(rules: ErrorRules, dubboStatus: number, text: string): ErrorReply {
  const code = isMissing(dubboStatus, text) ? notFound : dubboStatus;
  const [name, standard] = statuses.get(code) ?? [`STATUS_${code}`, 502];
  const summary = code === notFound ? missing : firstWords(text);
  return {
    status: rules.statuses.get(code) ?? standard,
    body: `${JSON.stringify({ error: { code: name, dubbo_status: dubboStatus, message: rules.stack ? text : summary } })}\n`,
  };
}

const missing = 'the provider has no such service or method (interface, version, group, parameter types)';

/**
 * Providers have no status of their own for a service or method that isn't there: they answer 40 or 70, and say it in words, or only that they can't read
 * the request; a generic one can always be read. Sources: PermittedSerializationKeeper, DubboProtocol.getInvoker, GenericFilter, DecodeableRpcInvocation.
 */
function isMissing(status: number, text: string): boolean {
  if (status === 40) return /^Fail to decode request due to: RpcInvocation \[methodName=\$invoke,/.test(text);
  return (
    status === 70 &&
    (/^[\w.$]*Exception: (?:Not found exported service: |No such method )/.test(text) ||
      /^[\w.$]*Exception: Failed to invoke remote proxy method [^\n]*Not found method /.test(text))
  );
}

export interface JavaException {
  readonly className: string;
  readonly message: string | null;
  readonly stack: readonly string[];
  readonly cause: JavaException | undefined;
}

/** The method threw. */
export function exceptionReply(rules: ErrorRules, exception: JavaException): ErrorReply {
  const status = rules.exceptions.get(exception.className) ?? rules.exceptionStatus;
  return { status, body: `${JSON.stringify({ error: { code: 'EXCEPTION', ...describe(exception, rules.stack) } })}\n` };
}

function describe({ className, message, stack, cause }: JavaException, withStack: boolean): object {
  if (!withStack) return { exception: className, message: message === null ? null : message.slice(0, maxMessage) };
  const inner = cause === undefined ? {} : { cause: describe(cause, true) };
  return { exception: className, message, stack, ...inner };
}

/** Without the addresses of provider and consumer. */
function firstWords(text: string): string {
  const [line = ''] = text.split('\n', 1);
  const [words = ''] = line.split(', channel: ', 1);
  return words
    .replace(/\b\w+:\/\/\S+/g, '…')
    .trim()
    .slice(0, maxMessage);
}
