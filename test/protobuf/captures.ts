import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The fixtures stay in the source tree; tests run from dist/test/protobuf. */
const folder = fileURLToPath(new URL('../../../test/fixtures/captures/', import.meta.url));

export interface Capture {
  readonly name: string;
  /** The message that it is. */
  readonly type: 'envoy.service.discovery.v3.DeltaDiscoveryResponse' | 'envoy.service.discovery.v3.DiscoveryResponse';
  readonly bytes: Buffer;
}

/** Every recorded response. */
export function captures(): Capture[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.pb'))
    .sort()
    .map((name) => ({
      name,
      type: `envoy.service.discovery.v3.${name.includes('-sotw-') ? '' : 'Delta'}DiscoveryResponse`,
      bytes: readFileSync(folder + name),
    }));
}
