import type {
  BridgeCallbacks,
  BridgePlugin,
  BufferInstance,
  HttpTcpBridge,
  HttpTcpBridgeStatus,
} from '../../src/bridge/api.js';

/** `scripted` of test/peers/go-bridges/conformance in TypeScript: the request's headers say what to answer. */
export function scripted(callbacks: BridgeCallbacks): HttpTcpBridge {
  const answers: Record<string, string[]> = {};
  const next = (call: string, buffer: BufferInstance, endOfStream: boolean): HttpTcpBridgeStatus => {
    const list = answers[call] ?? [''];
    const answer = list.length > 1 ? list.shift() : list[0];
    buffer.append(`[${call} ${buffer.len()} ${endOfStream}]`);
    if (answer === 'panic') throw new Error('as told');
    return answer === 'keep' ? 1 : answer === 'end' ? 2 : 0;
  };
  return {
    encodeHeaders(headers, data, endOfStream) {
      for (const call of ['headers', 'data', 'upstream']) answers[call] = (headers.get(`x-${call}`) ?? '').split(',');
      if (headers.get('x-half-close') === '1') callbacks.setSelfHalfCloseForUpstreamConn(true);
      return next('headers', data, endOfStream);
    },
    encodeData: (data, endOfStream) => next('data', data, endOfStream),
    onUpstreamData: (_headers, data, endOfStream) => next('upstream', data, endOfStream),
  };
}

/** As a library, for processes that load it from a file. */
export const bridges: Record<string, BridgePlugin<unknown>> = {
  scripted: { createBridge: (_config, callbacks) => scripted(callbacks) },
};
