import { bootstrapMessages, regexEngineSupport } from './bootstrap.js';
import { categorySupport } from './categories.js';
import { clusterMessages } from './cluster.js';
import { clusterExtensions } from './cluster-extensions.js';
import { commonMessages } from './common.js';
import { controlPlaneMessages } from './control-plane.js';
import { endpointMessages } from './endpoint.js';
import { listenerExtensions, listenerMessages } from './listener.js';
import { clusterFilterSupport, transportSocketSupport } from './network-filters.js';
import { retryOnSupport } from './retry.js';
import { routeExtensions, routeMessages } from './route.js';
import type { CategorySupport, ExtensionSupport, MessageSupport } from './rules.js';
import { tlsMessages } from './tls.js';

export interface SupportSection {
  readonly title: string;
  readonly about: string;
  readonly messages: readonly MessageSupport[];
  readonly extensions: readonly ExtensionSupport[];
}

const words = (list: readonly string[]): string => list.map((word) => `\`${word}\``).join(', ');

/** The whole table: what verdicts are made of, and what docs/support.md is generated from. */
export const supportSections: readonly SupportSection[] = [
  {
    title: 'Clusters (CDS)',
    about:
      'A cluster is ours when its `upstream_config` is the HTTP-TCP bridge; the rules are for those. Any other well-formed ' +
      'cluster is parked, whatever else it has set; a static one can still be the address of the control plane. ' +
      '`type` is STATIC, STRICT_DNS, LOGICAL_DNS or EDS.',
    messages: clusterMessages,
    extensions: [...clusterExtensions, transportSocketSupport, clusterFilterSupport],
  },
  {
    title: 'Endpoints (EDS)',
    about: '',
    messages: endpointMessages,
    extensions: [],
  },
  {
    title: 'Listeners (LDS)',
    about:
      'A listener is ours when each of its filter chains takes connections, in plain text or TLS, to an HTTP connection manager ' +
      'with the router. Any other well-formed listener is parked: accepted, and never bound.',
    messages: listenerMessages,
    extensions: listenerExtensions,
  },
  {
    title: 'Routes (RDS, and `route_config`)',
    about:
      'Regular expressions are compiled when a resource arrives; one that RE2 does not take rejects it. ' +
      `In \`retry_on\` these words count: ${words(retryOnSupport.implemented)}; others are left out with a warning, ` +
      `also ${words(Object.keys(retryOnSupport.without))}, which do not happen with servers that speak TCP.`,
    messages: routeMessages,
    extensions: routeExtensions,
  },
  {
    title: 'TLS, and its secrets (SDS)',
    about:
      'A listener whose TLS has a rejected field is parked. An entry of `transport_socket_matches` with one is left out, and so are the hosts ' +
      'that it fits. Session ticket keys and generic secrets are parked: nothing uses them.',
    messages: tlsMessages,
    extensions: [],
  },
  {
    title: 'Bootstrap',
    about: 'A rejected field fails the file, and so does an unknown one.',
    messages: bootstrapMessages,
    extensions: [regexEngineSupport],
  },
  {
    title: 'Control planes (`ads_config`, `api_config_source`)',
    about:
      'A control plane is a static cluster of the bootstrap (`envoy_grpc`), in plain text or with TLS, or an address (`google_grpc`). ' +
      '`api_type` is GRPC or DELTA_GRPC, `transport_api_version` is V3; others are refused.',
    messages: controlPlaneMessages,
    extensions: [],
  },
  {
    title: 'In several of them',
    about: 'A listener whose address is rejected is parked.',
    messages: commonMessages,
    extensions: [],
  },
];

/** Extensions that stand in what has one treatment whatever it holds. */
export const supportCategories: readonly CategorySupport[] = categorySupport;
