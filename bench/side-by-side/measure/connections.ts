import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { readTree } from './process-tree.js';

const established = '01';

/** Inodes of the established connections whose own end has this port, from /proc/net/tcp. */
export function parseEstablished(table: string, port: number): ReadonlySet<string> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const inodes = table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(wanted) && fields[3] === established)
    .map((fields) => fields[9] ?? '');
  return new Set(inodes);
}

/** How many downstream connections each process of the tree holds; processes without any are left out. */
export function connectionsPerProcess(root: number, port: number): ReadonlyMap<number, number> {
  const inodes = parseEstablished(readFileSync('/proc/net/tcp', 'utf8'), port);
  const counts = new Map<number, number>();
  for (const { pid } of readTree(root)) {
    const count = openSockets(pid).filter((inode) => inodes.has(inode)).length;
    if (count > 0) counts.set(pid, count);
  }
  return counts;
}

function openSockets(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return readdirSync(folder).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${fd}`))?.[1] ?? [];
    } catch {
      return []; // closed meanwhile
    }
  });
}
