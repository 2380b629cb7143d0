import type { BridgeCallbacks, HttpTcpBridge } from '../../src/bridge/api.js';
import type { TestPlugin } from './harness.js';

/** Makes a bridge's calls; a plain object, or a function of the callbacks. */
export type BridgeOf = HttpTcpBridge | ((callbacks: BridgeCallbacks) => HttpTcpBridge);

/**
 * A plugin that writes down the calls that its bridges get, as `encodeData abc end`. Calls that `bridge` leaves out are left out, too (and so not written down),
 * but for `onDestroy`.
 */
export function recordingPlugin(bridge: BridgeOf, calls: string[], maxResponseBuffer?: number): TestPlugin {
  return {
    ...(maxResponseBuffer === undefined ? {} : { maxResponseBuffer }),
    createBridge(_config, callbacks) {
      const inner = typeof bridge === 'function' ? bridge(callbacks) : bridge;
      const recorded: HttpTcpBridge = {
        onDestroy() {
          calls.push('onDestroy');
          inner.onDestroy?.();
        },
      };
      const { encodeHeaders, encodeData, onUpstreamData } = inner;
      if (encodeHeaders) {
        recorded.encodeHeaders = (headers, data, end) => {
          calls.push(`encodeHeaders${end ? ' end' : ''}`);
          return encodeHeaders.call(inner, headers, data, end);
        };
      }
      if (encodeData) {
        recorded.encodeData = (buffer, end) => {
          calls.push(`encodeData ${buffer.toString()}${end ? ' end' : ''}`);
          return encodeData.call(inner, buffer, end);
        };
      }
      if (onUpstreamData) {
        recorded.onUpstreamData = (headers, buffer, end) => {
          calls.push(`onUpstreamData ${buffer.toString()}${end ? ' end' : ''}`);
          return onUpstreamData.call(inner, headers, buffer, end);
        };
      }
      return recorded;
    },
  };
}
