import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** What /proc/PID/stat says (https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html), in clock ticks. */
export interface ProcessStat {
  readonly pid: number;
  readonly parent: number;
  /** Its own time in user and kernel mode, and that of its children that have ended and were waited for. */
  readonly cpuTicks: number;
}

/** The name, in parentheses, may hold anything, even parentheses and spaces. */
export function parseProcessStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [, parent, , , , , , , , , , ...times] = fields.map(Number);
  const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = times;
  return {
    pid: Number.parseInt(text, 10),
    parent: parent ?? 0,
    cpuTicks: user + system + childrenUser + childrenSystem,
  };
}

/** `root` and all its descendants among these. */
export function treeOf(root: number, all: readonly ProcessStat[]): readonly ProcessStat[] {
  const tree = all.filter(({ pid }) => pid === root);
  for (let index = 0; index < tree.length; index++) {
    tree.push(...all.filter(({ parent }) => parent === tree[index]?.pid));
  }
  return tree;
}

/** The processes of the tree, with `root` first; empty when it has ended. */
export function readTree(root: number): readonly ProcessStat[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => tryRead(`/proc/${pid}/stat`))
    .filter((text) => text !== '')
    .map(parseProcessStat);
  return treeOf(root, all);
}

/** CPU time of the whole tree since its processes began, in microseconds. Ticks are 10 ms, so a second under load is told to within 1 %. */
export function cpuTimeUs(root: number): number {
  return readTree(root).reduce((sum, { cpuTicks }) => sum + cpuTicks, 0) * tickUs;
}

/** Resident memory of a process, in MiB; 0 when it has ended. Pages that processes share count in each. */
export function residentMiB(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB/m.exec(tryRead(`/proc/${pid}/status`)) ?? [];
  return Number(kib ?? 0) / 1024;
}

export function treeResidentMiB(root: number): number {
  return readTree(root).reduce((sum, { pid }) => sum + residentMiB(pid), 0);
}

/** The file that a process runs; undefined when it has ended. */
export function executableOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}

/** Time that all CPUs of the machine spent in processes, from the first line of /proc/stat: user, nice, system; without interrupts, and without what a hypervisor took. */
export function parseMachineTicks(text: string): number {
  const [user = 0, nice = 0, system = 0] = (text.split('\n')[0] ?? '').split(/\s+/).slice(1).map(Number);
  return user + nice + system;
}

export function machineTimeUs(): number {
  return parseMachineTicks(readFileSync('/proc/stat', 'utf8')) * tickUs;
}

const tickUs = 1_000_000 / Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
