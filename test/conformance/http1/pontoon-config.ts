import type { HttpConnectionManager } from '../../../src/model/listener.js';
import { hcm } from '../../http/harness.js';
import type { Profile } from './cases.js';

/** The profiles of `envoy-config.ts` in the model's words. */
export const pontoonConfig: Record<Profile, HttpConnectionManager> = {
  default: hcm({ statPrefix: 'default' }),
  edge: hcm({
    statPrefix: 'edge',
    useRemoteAddress: true,
    http1: {
      acceptHttp10: true,
      defaultHostForHttp10: 'default.example',
      allowAbsoluteUrl: true,
      allowChunkedLength: true,
    },
    maxHeadersCount: 20,
    headersWithUnderscores: 'REJECT_REQUEST',
    maxRequestHeadersBytes: 8 * 1024,
    normalizePath: true,
    mergeSlashes: true,
    pathWithEscapedSlashes: 'UNESCAPE_AND_FORWARD',
    stripAnyHostPort: true,
    stripTrailingHostDot: true,
    serverName: 'edge',
    via: 'pontoon',
    alwaysSetRequestIdInResponse: true,
  }),
};
