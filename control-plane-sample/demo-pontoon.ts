import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface DemoPontoonOptions {
  /** The project's folder: where the paths of libraries begin. */
  readonly root: string;
  readonly bootstrap: string;
  readonly adminAddressPath: string;
  readonly logPath: string;
  /** It ended without being asked to; the reason is for people. */
  readonly onExit: (reason: string) => void;
}

export interface DemoPontoon {
  /** Resolves with `host:port` of both when requests are served. */
  ready(ended: AbortSignal): Promise<{ readonly admin: string; readonly listener: string }>;
  stop(): Promise<void>;
}

/** How long it may take to end before it is killed, milliseconds. */
const killAfter = 5_000;

/** Starts Pontoon as a process of its own. What it writes to stderr is shown; its log goes to a file. */
export function startDemoPontoon(options: DemoPontoonOptions): DemoPontoon {
  const { root, bootstrap, adminAddressPath, logPath, onExit } = options;
  rmSync(logPath, { force: true });
  const flags = [
    '-c',
    bootstrap,
    '--admin-address-path',
    adminAddressPath,
    '--log-path',
    logPath,
    '--drain-time-s',
    '1',
    // What is tried here may be a library that crashes.
    '--isolate',
  ];
  // In a checkout, folders may be writable for a group.
  for (const folder of ['plugins', 'control-plane-sample/plugins']) flags.push('--plugin-root', folder);
  const child = spawn(process.execPath, ['--enable-source-maps', join(root, 'dist', 'src', 'cli.js'), ...flags], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const exited = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      onExit(`Pontoon could not be started: ${error.message}`);
      resolve();
    });
    child.once('exit', (code, signal) => {
      onExit(`Pontoon has ended (${signal ?? `exit code ${code}`}); its log is ${logPath}`);
      resolve();
    });
  });
  return {
    async ready(ended) {
      for (;;) {
        ended.throwIfAborted();
        const found = await probe(adminAddressPath);
        if (found) return found;
        await sleep(20);
      }
    },
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), killAfter);
      await exited;
      clearTimeout(timer);
    },
  };
}

async function probe(adminAddressPath: string): Promise<{ admin: string; listener: string } | undefined> {
  try {
    const admin = readFileSync(adminAddressPath, 'utf8').trim();
    const { ok } = await fetch(`http://${admin}/ready`);
    const listeners = await (await fetch(`http://${admin}/listeners`)).text();
    const listener = /^http::(\S+)$/m.exec(listeners)?.[1];
    return ok && listener !== undefined ? { admin, listener } : undefined;
  } catch {
    // Not there yet; whether it ends meanwhile is seen elsewhere.
    return undefined;
  }
}
