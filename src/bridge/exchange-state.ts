import type { Acquisition } from '../upstream/cluster-manager.js';
import type { PoolFailure, UpstreamConnection } from '../upstream/connection.js';
import type { OpenState } from './open-state.js';

/**
 * Where an exchange is.
 * - connecting: the pool was asked for a connection; the request's body waits, or all that the bridge made of the request.
 * - open: a bridge and a connection work on it.
 * - ended: nothing is left; late events are ignored.
 */
export type ExchangeState =
  | {
      readonly name: 'connecting';
      readonly acquisition: Acquisition;
      /** The whole request is here, and waits for a connection of its own to be written to. */
      readonly moving: OpenState | undefined;
    }
  | OpenState
  | { readonly name: 'ended' };

/** streaming: each piece goes to the plugin; gathering: the whole goes at the end; sent: the server has it all. */
export type RequestPhase = 'streaming' | 'gathering' | 'sent';

export type ExchangeEvent =
  | {
      readonly kind: 'connection_ready';
      readonly connection: UpstreamConnection;
    }
  | { readonly kind: 'pool_failure'; readonly failure: PoolFailure }
  | {
      readonly kind: 'request_data';
      readonly data: Buffer;
      readonly endStream: boolean;
    }
  | { readonly kind: 'upstream_data'; readonly data: Buffer }
  | { readonly kind: 'upstream_end' }
  | { readonly kind: 'upstream_close'; readonly reason: string; readonly protocolError: boolean }
  | { readonly kind: 'upstream_writable' }
  /** All of a one-way request is with the kernel. */
  | { readonly kind: 'request_written' }
  | { readonly kind: 'downstream_writable' }
  | { readonly kind: 'cancel' }
  | { readonly kind: 'drain_timeout' };

/** What one of the plugin's calls came to. `local_reply` and `plugin_error` win over the status that it returned. */
export type Answer = 'continue' | 'stop_and_buffer' | 'end_stream' | 'local_reply' | 'plugin_error';

/** What follows from an answer to `encodeHeaders` or `encodeData`. */
export type RequestStep =
  /** The buffer goes to the server. */
  | { readonly do: 'write'; readonly next: RequestPhase }
  /** The buffer stays, and what comes is added to it. */
  | { readonly do: 'keep' }
  /** The buffer is the answer, or its end. */
  | { readonly do: 'answer_with_buffer' }
  | { readonly do: 'local_reply' }
  /** `misuse`: what the plugin did wrong, when it wasn't an exception. */
  | { readonly do: 'plugin_error'; readonly misuse?: string };

/** What follows from an answer to `onUpstreamData`. */
export type ResponseStep =
  | { readonly do: 'send'; readonly end: boolean }
  | { readonly do: 'keep' }
  /** The server closed, and the plugin still waits for more. */
  | { readonly do: 'cut_short' }
  | { readonly do: 'local_reply' }
  | { readonly do: 'plugin_error' };

const writeAndStream = { do: 'write', next: 'streaming' } as const;
const writeAndGather = { do: 'write', next: 'gathering' } as const;
const writeLast = { do: 'write', next: 'sent' } as const;
const keep = { do: 'keep' } as const;
const answerWithBuffer = { do: 'answer_with_buffer' } as const;
const localReply = { do: 'local_reply' } as const;
const pluginError = { do: 'plugin_error' } as const;
const keptAtTheEnd: RequestStep = {
  do: 'plugin_error',
  misuse: 'encodeData answered StopAndBuffer at the end of the request',
};
const send: ResponseStep = { do: 'send', end: false };
const sendLast: ResponseStep = { do: 'send', end: true };
const cutShort: ResponseStep = { do: 'cut_short' };

export function afterEncodeHeaders(answer: Answer, endOfStream: boolean): Exclude<RequestStep, { do: 'keep' }> {
  switch (answer) {
    case 'continue':
      return endOfStream ? writeLast : writeAndStream;
    case 'stop_and_buffer':
      return endOfStream ? writeLast : writeAndGather;
    case 'end_stream':
      return answerWithBuffer;
    case 'local_reply':
      return localReply;
    case 'plugin_error':
      return pluginError;
  }
}

export function afterEncodeData(answer: Answer, endOfStream: boolean): RequestStep {
  switch (answer) {
    case 'continue':
      return endOfStream ? writeLast : writeAndStream;
    case 'stop_and_buffer':
      return endOfStream ? keptAtTheEnd : keep;
    case 'end_stream':
      return answerWithBuffer;
    case 'local_reply':
      return localReply;
    case 'plugin_error':
      return pluginError;
  }
}

export function afterUpstreamData(answer: Answer, endOfStream: boolean): ResponseStep {
  switch (answer) {
    case 'continue':
      return endOfStream ? sendLast : send;
    case 'stop_and_buffer':
      return endOfStream ? cutShort : keep;
    case 'end_stream':
      return sendLast;
    case 'local_reply':
      return localReply;
    case 'plugin_error':
      return pluginError;
  }
}
