import type { BridgeJudge } from '../../bridge/prepared-bridge.js';
import type { Clock } from '../../clock.js';
import type { Logging } from '../../log.js';
import type { BridgeConfig } from '../../model/cluster.js';
import type { Problem } from '../../model/verdict.js';
import type { StatsStore } from '../../stats/store.js';
import { type AcceptedBridge, type AcceptedBridges, createAcceptedBridges } from './accepted-bridge.js';
import { createJudging, type Outcome } from './judging.js';
import { createLethalLibraries } from './lethal-libraries.js';
import { createPrivateFolder } from './private-folder.js';

export interface JudgeProcessOptions {
  readonly logging: Logging;
  readonly stats: StatsStore;
  readonly clock: Clock;
  /** `--plugin-root`, relative to the working directory. */
  readonly pluginRoots: readonly string[];
  /** `--max-go-libraries` */
  readonly maxGoLibraries: number;
  /** How long the judge may be busy without any answer; 30 s unless set. What a library may take is limited in there. */
  readonly silenceMs?: number;
  /** Where the private folder is made; the system's folder for temporary files unless set. */
  readonly folderParent?: string;
}

/** Judges libraries in a process of their own, for a main process that opens none and runs no plugin's code. */
export interface JudgeProcess
  extends BridgeJudge<AcceptedBridge>,
    Pick<AcceptedBridges, 'block' | 'isBlocked' | 'pluginOf'> {
  /**
   * A folder that only this user can look into, for what processes share; gone after `close`.
   *
   * @throws Error for people, when it can't be made
   */
  readonly folder: string;
  /** Ends the process and removes the folder with the copies: no worker may start from them any more. */
  close(): Promise<void>;
}

/** Nothing is started before the first question. */
export function createJudgeProcess(options: JudgeProcessOptions): JudgeProcess {
  const { logging, stats, clock, pluginRoots, maxGoLibraries, silenceMs = 30_000, folderParent } = options;
  const log = logging.logger('bridge');
  const accepted = createAcceptedBridges({ maxGoLibraries, onUnused });
  const folder = createPrivateFolder({ clock, log, filesInUse: accepted.filesInUse, parent: folderParent });
  const lethal = createLethalLibraries();
  const judging = createJudging({
    settings: () => ({ pluginRoots, storeFolder: folder.libraries() }),
    silenceMs,
    log,
    crashes: stats.counter('bridge.judge_crashes'),
    foregone: ({ kind, config }) => (kind === 'verdict' ? lethal.endOf(config.libraryPath) : undefined),
  });
  /** Verdicts that are under way: one of them may name a copy that nobody uses yet. */
  let underWay = 0;
  /** There may be copies that nobody uses. */
  let untidy = false;

  function tidy(): void {
    if (!untidy || underWay > 0) return;
    untidy = false;
    folder.removeUnused();
  }

  function onUnused(): void {
    untidy = true;
    tidy();
  }

  async function hashOf(config: BridgeConfig): Promise<string | undefined> {
    const outcome = await judging.ask({ kind: 'hash', config });
    return outcome.kind === 'hash' ? outcome.hash : undefined;
  }

  async function judge(config: BridgeConfig): Promise<Outcome> {
    const { libraryPath } = config;
    if (lethal.has(libraryPath)) {
      const how = lethal.endOf(libraryPath, await hashOf(config));
      if (how !== undefined) return { kind: 'ended', how };
    }
    const outcome = await judging.ask({ kind: 'verdict', config });
    if (outcome.kind === 'accepted') lethal.forget(libraryPath);
    if (outcome.kind === 'ended') {
      const hash = await hashOf(config);
      if (hash !== undefined) lethal.record(libraryPath, hash, outcome.how);
    }
    return outcome;
  }

  return {
    async prepare(config) {
      underWay += 1;
      const outcome = await judge(config);
      underWay -= 1;
      const acceptance =
        outcome.kind === 'accepted'
          ? accepted.accept(config, outcome.judged)
          : { ok: false as const, problems: problemsOf(outcome, config) };
      untidy ||= !acceptance.ok;
      tidy();
      return acceptance;
    },
    get folder() {
      return folder.path();
    },
    currentHash: hashOf,
    block: (bridgeId, why) => accepted.block(bridgeId, why),
    isBlocked: (bridgeId) => accepted.isBlocked(bridgeId),
    pluginOf: (number) => accepted.pluginOf(number),
    async close() {
      await judging.close();
      folder.close();
    },
  };
}

function problemsOf(
  outcome: Exclude<Outcome, { readonly kind: 'accepted' }>,
  { libraryPath }: BridgeConfig,
): readonly Problem[] {
  switch (outcome.kind) {
    case 'refused':
      return outcome.problems;
    case 'ended':
      return aboutLibrary(
        `${libraryPath} could not be judged: the process that tried it ${outcome.how}. A library must neither end nor block its process, neither when it is loaded nor when it parses a configuration`,
      );
    case 'unavailable':
      return aboutLibrary(`${libraryPath} could not be judged: ${outcome.why}`);
    case 'hash':
      return aboutLibrary(`${libraryPath} could not be judged: the process that tried it gave no verdict`);
  }
}

const aboutLibrary = (message: string): readonly Problem[] => [{ path: 'library_path', message }];
