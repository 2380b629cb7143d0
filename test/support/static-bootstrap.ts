import { bridgeCluster, httpListener } from './pontoon.js';

/** Where the plugins that the package ships are, from the project's folder. */
export const lengthPrefixed = { library: 'plugins/length-prefixed/index.ts', plugin: 'length_prefixed' };

/** Routes of an HttpConnectionManager: everything to one cluster. */
export function routesTo(cluster: string): string {
  return `route_config: {name: routes, virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: ${cluster}}}]}]}`;
}

/** A bootstrap with an admin interface and these resources, each as YAML in flow style. */
export function staticBootstrap(options: {
  readonly clusters?: readonly string[];
  readonly listeners?: readonly string[];
  readonly more?: string;
}): string {
  const { clusters = [], listeners = [], more = '' } = options;
  return [
    'admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}',
    'static_resources:',
    '  clusters:',
    ...clusters.map((cluster) => `  - ${cluster}`),
    '  listeners:',
    ...listeners.map((listener) => `  - ${listener}`),
    more,
  ].join('\n');
}

/** The listener `http`, whose requests all go to the bridge `bridge` with one TCP server. */
export function bridgeBootstrap(
  port: number,
  bridge: { readonly library: string; readonly plugin: string; readonly config?: string } = lengthPrefixed,
  more = '',
): string {
  return staticBootstrap({
    clusters: [bridgeCluster({ name: 'bridge', ports: [port], ...bridge })],
    listeners: [httpListener('http', 'ingress', routesTo('bridge'))],
    more,
  });
}
