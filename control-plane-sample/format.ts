import type { SnapshotDescription } from './api-client.js';
import type { Change } from './cache.js';
import type { ChangeReport } from './control-plane.js';
import type { RecordedEvent } from './events.js';
import type { NodeStatus, TypeStatus } from './nodes.js';
import { kindByTypeUrl } from './resource-kind.js';

/** `version 1a2b…: changed clusters/echo`. */
export function formatReport(report: ChangeReport): string {
  return `version ${report.version}: ${formatChange(report)}`;
}

function formatChange({ added, changed, removed }: Change): string {
  const parts = Object.entries({ added, changed, removed }).filter(([, names]) => names.length > 0);
  if (parts.length === 0) return 'nothing changed';
  return parts.map(([what, names]) => `${what} ${names.join(', ')}`).join('; ');
}

/** One line per event. */
export function formatEvent(event: RecordedEvent): string {
  return `${event.time.slice(11, 23)} ${describeEvent(event)}`;
}

function describeEvent(event: RecordedEvent): string {
  switch (event.event) {
    case 'snapshot':
      return `SNAPSHOT ${event.version} (${event.source}): ${formatChange(event)}`;
    case 'refused':
      return `REFUSED ${event.source}: ${event.reasons.join('\n  ')}`;
    case 'connected':
    case 'disconnected':
      return `${event.event} ${event.node} (${event.stream.service} ${event.stream.variant}, stream ${event.stream.id})`;
    case 'sent': {
      const removed = event.removed.length > 0 ? `, removed ${event.removed.join(', ')}` : '';
      return `sent ${event.type} ${event.version} to ${event.node}: ${event.resources} resources${removed}`;
    }
    case 'ack':
      return `ACK  ${event.type} ${event.version} by ${event.node}`;
    case 'nack':
      return `NACK ${event.type} ${event.version} by ${event.node}: ${event.error}`;
  }
}

/** What is served and, below it, what each node has of it. */
export function formatNodes(
  snapshot: SnapshotDescription,
  { nodes }: { readonly nodes: readonly NodeStatus[] },
): string {
  const served = snapshot.types.map(
    ({ type_url, version, resources }) =>
      `  ${(kindByTypeUrl.get(type_url)?.shortName ?? type_url).padEnd(4)} ${version}  ${resources.map(({ name }) => name).join(', ')}`,
  );
  const seen = nodes.flatMap((node) => [
    `node ${node.id}${node.userAgent && ` (${node.userAgent})`}: ${node.connected ? 'connected' : `gone since ${node.lastSeen}`}`,
    ...Object.entries(node.types).map(([type, status]) => `  ${type.padEnd(4)} ${formatType(status)}`),
  ]);
  return [
    `serving version ${snapshot.version}`,
    ...served,
    ...(seen.length > 0 ? seen : ['no node ever connected']),
  ].join('\n');
}

function formatType({ accepted, sent, rejected, unanswered }: TypeStatus): string {
  const state = accepted === sent || !sent ? '' : ` (sent ${sent}${unanswered > 0 ? ', not answered yet' : ''})`;
  return `accepted ${accepted ?? '-'}${state}${rejected ? `  REJECTED ${rejected.version}: ${rejected.error}` : ''}`;
}
