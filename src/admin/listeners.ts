import { formatAddress } from '../model/endpoint.js';
import { addressJson } from './clusters.js';
import { type AdminEndpoint, json, text } from './endpoint.js';
import type { AdminSources } from './sources.js';

/** GET /listeners */
export function listenersEndpoint(sources: AdminSources): AdminEndpoint {
  return {
    path: '/listeners',
    method: 'GET',
    help: 'print listener info',
    parameters: { format: 'json or text' },
    handle({ query }) {
      const listeners = sources.listeners();
      if (query.get('format') !== 'json') {
        return text(
          listeners
            .flatMap(({ name, addresses }) => addresses.map((address) => `${name}::${formatAddress(address)}\n`))
            .join(''),
        );
      }
      return json({
        listener_statuses: listeners.map(({ name, addresses: [first, ...more] }) => ({
          name,
          ...(first && { local_address: addressJson(first) }),
          ...(more.length > 0 && {
            additional_local_addresses: more.map(addressJson),
          }),
        })),
      });
    },
  };
}
