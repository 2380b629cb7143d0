/**
 * Config at scale: `npm run bench:scale [-- --clusters 10000]`. A control plane serves N bridge clusters (EDS) or N clusters that are not
 * for bridges; Pontoon starts, becomes ready, and then gets one changed cluster. Prints time to ready, memory, and what the change cost.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startControlPlane } from '../control-plane-sample/control-plane.js';
import { createLogging } from '../src/log.js';
import { type Pontoon, startPontoon } from '../test/support/pontoon.js';
import { until } from '../test/support/until.js';

const { values } = parseArgs({ options: { clusters: { type: 'string', default: '10000' } } });
const count = Number(values.clusters);

const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } });

function cluster(index: number, bridge: boolean, connectTimeout = '1s'): object {
  const name = `cluster-${index}`;
  return {
    name,
    type: 'EDS',
    connect_timeout: connectTimeout,
    eds_cluster_config: { eds_config: { ads: {}, resource_api_version: 'V3' } },
    ...(bridge && {
      upstream_config: {
        name: 'envoy.upstreams.http.tcp.golang',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.tcp.golang.v3alpha.Config',
          library_id: 'framed',
          library_path: 'plugins/length-prefixed/index.ts',
          plugin_name: 'length_prefixed',
        },
      },
    }),
  };
}

const endpoints = (index: number) => ({
  cluster_name: `cluster-${index}`,
  endpoints: [{ lb_endpoints: [{ endpoint: { address: address(10_000 + (index % 50_000)) } }] }],
});

function bootstrap(port: number, variant: string): string {
  return JSON.stringify({
    node: { id: 'scale', cluster: 'bench' },
    admin: { address: address(0) },
    dynamic_resources: {
      ads_config: {
        api_type: variant,
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
        set_node_on_first_message_only: true,
      },
      cds_config: { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' },
    },
    static_resources: {
      clusters: [
        {
          name: 'xds',
          type: 'STATIC',
          connect_timeout: '1s',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: 'xds',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
          },
        },
      ],
    },
  });
}

/** Resident memory and CPU time of a process, from /proc. */
function usage(pid: number): { readonly rssMiB: number; readonly cpuMs: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticksPerSecond = 100;
  return {
    rssMiB: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024,
    cpuMs: ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1000,
  };
}

const ready = async (pontoon: Pontoon) => ((await pontoon.get('/ready')) === 'LIVE\n' ? true : undefined);

async function measure(variant: 'GRPC' | 'DELTA_GRPC', bridge: boolean): Promise<Record<string, string | number>> {
  const clusters = Array.from({ length: count }, (_, index) => cluster(index, bridge));
  const assignments = Array.from({ length: count }, (_, index) => endpoints(index));
  const resources = { clusters, endpoints: assignments };
  const log = createLogging('error').logger('control-plane');
  const controlPlane = await startControlPlane({ resources, port: 0, httpPort: 0, log });
  const started = performance.now();
  const pontoon = await startPontoon({ bootstrap: bootstrap(controlPlane.xdsPort, variant), args: ['-l', 'error'] });
  try {
    await until('LIVE', () => ready(pontoon), 300_000);
    const readyMs = performance.now() - started;
    const pid = pontoon.child.pid as number;
    const atReady = usage(pid);
    const judgedBefore = await pontoon.stat('xds.cds.judged');
    const changed = performance.now();
    const updatedBefore = await pontoon.stat('cluster_manager.cds.update_success');
    controlPlane.setResources({ clusters: [cluster(0, bridge, '2s'), ...clusters.slice(1)], endpoints: assignments });
    await until(
      'the change',
      async () => ((await pontoon.stat('cluster_manager.cds.update_success')) > updatedBefore ? true : undefined),
      60_000,
    );
    const changeMs = performance.now() - changed;
    return {
      variant,
      clusters: bridge ? 'bridges' : 'parked',
      'ready s': (readyMs / 1000).toFixed(2),
      'CPU s': (atReady.cpuMs / 1000).toFixed(2),
      'RSS MiB': Math.round(atReady.rssMiB),
      'KiB/cluster': ((atReady.rssMiB * 1024) / count).toFixed(1),
      'judged for one change': (await pontoon.stat('xds.cds.judged')) - judgedBefore,
      'change CPU ms': Math.round(usage(pid).cpuMs - atReady.cpuMs),
      'change s': (changeMs / 1000).toFixed(2),
    };
  } finally {
    await pontoon.stop();
    await controlPlane.close();
  }
}

console.log(`${count} clusters`);
const rows = [];
for (const bridge of [true, false]) {
  for (const variant of ['GRPC', 'DELTA_GRPC'] as const) rows.push(await measure(variant, bridge));
}
console.table(rows);
