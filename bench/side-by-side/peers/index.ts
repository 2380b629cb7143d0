import { constant } from './constant.js';
import { envoy, envoyFiles } from './envoy.js';
import { haproxy } from './haproxy.js';
import { nginx } from './nginx.js';
import type { Peer } from './peer.js';
import { multiplexed, pontoonAds, pontoonDubbo, pontoonGo, pontoonScript, pontoonWorkers } from './pontoon.js';

/** By the names of `--peer`. */
export const peers = {
  'pontoon-script': pontoonScript('Pontoon, script'),
  'pontoon-go': pontoonGo,
  'pontoon-in-order': multiplexed.inOrder,
  'pontoon-by-id': multiplexed.byId,
  'pontoon-dubbo': pontoonDubbo('Pontoon, Dubbo, generic calls', true),
  'pontoon-dubbo-direct': pontoonDubbo('Pontoon, Dubbo, direct calls', false),
  'pontoon-two': pontoonWorkers('Pontoon, two workers', ['--concurrency', '2'], 3),
  'pontoon-isolate': pontoonWorkers('Pontoon, one worker (`--isolate`)', ['--isolate'], 2),
  'pontoon-ads': pontoonAds,
  envoy,
  'envoy-files': envoyFiles,
  nginx,
  haproxy,
  constant,
} satisfies Record<string, Peer>;

export type PeerName = keyof typeof peers;
