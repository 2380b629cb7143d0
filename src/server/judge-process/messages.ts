import type { StoredLibrary } from '../../bridge/prepared-bridge.js';
import type { BridgeConfig } from '../../model/cluster.js';
import type { Problem } from '../../model/verdict.js';

/** What the judge's program is started with: its first message. */
export interface JudgeSettings {
  readonly pluginRoots: readonly string[];
  /** Where it leaves the copies of libraries. */
  readonly storeFolder: string;
}

/** May this run, or: what is the content hash of its library now? */
export interface Question {
  readonly kind: 'verdict' | 'hash';
  readonly config: BridgeConfig;
}

/** What is known of a bridge that was found good. */
export interface Judged {
  readonly id: string;
  readonly libraryHash: string;
  readonly library: StoredLibrary;
}

export type Answer =
  | { readonly kind: 'accepted'; readonly judged: Judged }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] }
  | { readonly kind: 'hash'; readonly hash: string | undefined };

export type ToJudge =
  | { readonly kind: 'settings'; readonly settings: JudgeSettings }
  | { readonly kind: 'questions'; readonly questions: readonly (Question & { readonly id: number })[] };

export type FromJudge =
  /** It has its settings and waits for questions. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'answers'; readonly answers: readonly { readonly id: number; readonly answer: Answer }[] }
  /** A plugin threw where nobody catches, or left a promise that rejects: its stack. */
  | { readonly kind: 'uncaught'; readonly what: string };
