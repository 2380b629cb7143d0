import type { Observed, ObservedRequest } from './observed.js';

/**
 * What we accept, Node accepts and reads the same: method, target, headers in order, body, trailers, and where the next request begins.
 * We may refuse more, and stop earlier. Returns what is wrong, or undefined.
 */
export function findDifference(ours: Observed, nodes: Observed): string | undefined {
  for (const [i, our] of ours.requests.entries()) {
    const their = nodes.requests[i];
    if (their === undefined) return `request ${i + 1}: we accept it, Node doesn't (${nodes.reason})`;
    const difference = compareRequests(our, their);
    if (difference !== undefined) return `request ${i + 1}: ${difference}; Node: ${nodes.reason}`;
  }
  if (ours.end === 'tunnel' && ours.tunnel !== nodes.tunnel) {
    return `the tunnel begins with ${JSON.stringify(ours.tunnel)}, in Node ${JSON.stringify(nodes.tunnel)}`;
  }
  if (ours.end === 'input' && nodes.requests.length > ours.requests.length) {
    return `Node has read a request ${ours.requests.length + 1}, we wait for more of it`;
  }
  return undefined;
}

function compareRequests(our: ObservedRequest, their: ObservedRequest): string | undefined {
  for (const field of ['method', 'target', 'protocol'] as const) {
    if (our[field] !== their[field]) return `${field} is ${our[field]}, in Node ${their[field]}`;
  }
  if (!equal(our.headers, their.headers)) return `headers are ${show(our.headers)}, in Node ${show(their.headers)}`;
  if (our.complete && !their.complete) return 'it is complete, in Node it is not';
  if (our.complete && our.body !== their.body) return `body is ${show(our.body)}, in Node ${show(their.body)}`;
  if (!their.body.startsWith(our.body)) return `body begins with ${show(our.body)}, in Node it is ${show(their.body)}`;
  if (our.complete && !equal(our.trailers, their.trailers)) {
    return `trailers are ${show(our.trailers)}, in Node ${show(their.trailers)}`;
  }
  return undefined;
}

/** Two readings by the same parser. */
export function sameReading(a: Observed, b: Observed): boolean {
  if (a.end !== b.end || a.reason !== b.reason || a.tunnel !== b.tunnel) return false;
  if (a.requests.length !== b.requests.length) return false;
  return a.requests.every((one, i) => {
    const other = b.requests[i] as ObservedRequest;
    return one.complete === other.complete && one.body === other.body && compareRequests(one, other) === undefined;
  });
}

const equal = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((text, i) => text === b[i]);

const show = (value: unknown): string => JSON.stringify(value);
