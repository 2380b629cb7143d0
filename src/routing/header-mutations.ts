import type { HeaderMap } from '../bridge/header-map.js';
import type { HeaderMutations } from '../model/route.js';
import { canonicalHeaderName } from './matchers.js';

/** Changes headers in place. */
export type HeaderMutator = (headers: HeaderMap) => void;

/**
 * Joins the mutations of one request or response. The most specific level comes first and the later one wins, so route, virtual host, route
 * configuration. undefined: nothing to change.
 * https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#custom-request-response-headers
 */
export function compileHeaderMutations(levels: readonly HeaderMutations[]): HeaderMutator | undefined {
  const mutators = levels.filter(({ add, remove }) => add.length > 0 || remove.length > 0).map(compileLevel);
  if (mutators.length === 0) return undefined;
  return (headers) => {
    for (const mutate of mutators) mutate(headers);
  };
}

/** Removes first; then decides what to add by what is left; then overwrites; then appends. */
function compileLevel(mutations: HeaderMutations): HeaderMutator {
  const removed = mutations.remove.map(canonicalHeaderName);
  const added = mutations.add.map(({ name, value, action }) => ({ name: canonicalHeaderName(name), value, action }));
  return (headers) => {
    for (const name of removed) headers.delete(name);
    const chosen = added.filter(({ name, action }) => {
      if (action === 'add_if_absent') return !headers.has(name);
      return action !== 'overwrite_if_exists' || headers.has(name);
    });
    for (const { name, value, action } of chosen) if (action.startsWith('overwrite')) headers.set(name, value);
    for (const { name, value, action } of chosen) if (!action.startsWith('overwrite')) headers.add(name, value);
  };
}
