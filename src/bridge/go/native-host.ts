import type { LogLevel } from '../../log.js';
import { logLevels } from '../../log.js';
import { buildAddon, openAddon } from '../../native-addon.js';
import { markTurnMemory } from '../../turn-memory.js';

/** The functions of the add-on in native/. */
interface Addon {
  start(options: {
    frame: Uint32Array;
    arena: Uint8Array;
    headers(isRequest: boolean): string;
    text(id: number): string;
    logs(lines: (number | string)[], rogues: (number | string)[], dropped: number): void;
  }): void;
  setLogLevel(level: number): void;
  glibcVersion(): string;
  dieWithParent(): void;
  trimMemory(): void;
  mapSharedMemory(path: string, bytes: number): ArrayBuffer;
  open(path: string): number;
  initialize(library: number): void;
  configure(library: number, plugin: string, any: Uint8Array): number;
  destroyConfig(plugin: number): void;
  error(): string;
  headerChanges(): string;
  /** How many come before the input, then of each: its Buffer (undefined: the arena), begin, end. */
  chunks(): (Buffer | number | undefined)[];
  call(body: Buffer | readonly Buffer[] | undefined): number;
  destroy(request: number): boolean;
  /** How many exchanges Go knows of, and those whose memory is never used again. */
  liveRequests(): number;
  liveConfigs(): number;
}

/** What a call may ask of the exchange that it is made for. */
export interface CallContext {
  /** All names and values, joined by NUL: the request's, or the response's. */
  headersText(isRequest: boolean): string;
  routeName(): string;
  clusterName(): string;
}

/** What Go's threads have to say. */
export interface HostListener {
  /** `plugin` is '' where it is not known: on a goroutine. */
  onLog(level: LogLevel, plugin: string, text: string): void;
  /** A goroutine made calls into the host that it must not make; they did nothing. */
  onRogueCalls(plugin: string, hostFunction: string, count: number): void;
  /** Log lines that came too fast. */
  onDropped(count: number): void;
}

/** Indices and bits of the frame, as in native/addon.h. */
export const frameIndex = {
  // Results.
  flags: 0,
  drained: 1,
  frontBegin: 2,
  frontEnd: 3,
  backBegin: 4,
  backEnd: 5,
  // An argument, and the result where it was `noRequest`.
  request: 6,
  // Arguments.
  plugin: 7,
  phase: 8,
  end: 9,
  headerCount: 10,
  headerBytes: 11,
  headersOut: 12,
  length: 13,
  arenaUsed: 14,
} as const;
export const noRequest = 0xffff_ffff;
export const frameFlag = {
  bodyChanged: 1,
  bodyInList: 2,
  headerChanges: 4,
  halfCloseOn: 8,
  halfCloseOff: 16,
  unknownPlugin: 32,
  panicked: 64,
} as const;
export const phase = { encodeHeaders: 1, encodeData: 2, onUpstreamData: 3 } as const;

/** The host of Go libraries in this process. */
export interface NativeHost {
  readonly addon: Addon;
  readonly frame: Uint32Array;
  /** What plugins put into their buffers: there until the end of the turn (turn-memory.ts). */
  readonly arena: Buffer;
  /** After a call that put bytes there: when it fills up it is emptied at the end of the turn. */
  watchArena(): void;
  /** The exchange whose call is made next. */
  setContext(context: CallContext | undefined): void;
  setLogLevel(level: LogLevel): void;
  /**
   * The first bytes of a file as memory, for as long as the process lives: what is written to it is in the file at once, also when this process is killed.
   * Throws when the file is not there, or is smaller.
   */
  mapSharedMemory(path: string, bytes: number): ArrayBuffer;
  /** The latest listener gets all. */
  listen(listener: HostListener): void;
}

export type NativeHostResult =
  | { readonly available: true; readonly host: NativeHost }
  | { readonly available: false; readonly reason: string; readonly unusable: readonly string[] };

/** What plugins put into their buffers goes here, again and again; when it is full within a turn, into memory of its own. */
const arenaSize = 256 * 1024;

/** Go's levels by number (api.h of the SDK); `off` is 6. */
const goLevels: readonly LogLevel[] = logLevels;
/** The SDK says by error lines what we need to know: why a configuration was refused, that a plugin is not there, that one panicked. */
const leastTalkative = goLevels.indexOf('error');

let running: NativeHost | undefined;

/** Loads the add-on, once per process: its functions must be visible to all libraries before the first is opened. */
export function loadNativeHost(): NativeHostResult {
  if (running === undefined) {
    const opened = openAddon('pontoon_go');
    if ('reason' in opened) return { available: false, ...opened };
    running = startHost(opened.exports as Addon);
  }
  return { available: true, host: running };
}

/** Builds the add-on first where that has not been done: package managers don't run install scripts unasked. Never rejects. */
export async function ensureNativeHost(): Promise<NativeHostResult> {
  const native = loadNativeHost();
  if (native.available) return native;
  const failure = await buildAddon(native.unusable);
  const built = loadNativeHost();
  return built.available || failure === undefined ? built : { ...built, reason: failure };
}

function startHost(addon: Addon): NativeHost {
  const frame = new Uint32Array(Object.keys(frameIndex).length);
  const arena = Buffer.allocUnsafeSlow(arenaSize);
  markTurnMemory(arena.buffer);
  let emptying = false;
  function emptyArena(): void {
    emptying = false;
    frame[frameIndex.arenaUsed] = 0;
  }
  let context: CallContext | undefined;
  let listener: HostListener | undefined;
  addon.start({
    frame,
    arena,
    headers: (isRequest) => context?.headersText(isRequest) ?? '',
    text: (id) => (id === 1 ? context?.routeName() : context?.clusterName()) ?? '',
    logs(lines, rogues, dropped) {
      if (listener !== undefined) deliver(listener, lines, rogues, dropped);
    },
  });
  return {
    addon,
    frame,
    arena,
    watchArena() {
      // Not each turn: that costs more than what a turn usually puts there.
      if (emptying || (frame[frameIndex.arenaUsed] as number) < arenaSize / 2) return;
      emptying = true;
      // It runs when the turns are over in which bytes were put there.
      setImmediate(emptyArena);
    },
    setContext(next) {
      context = next;
    },
    setLogLevel: (level) => addon.setLogLevel(Math.min(goLevels.indexOf(level), leastTalkative)),
    mapSharedMemory: (path, bytes) => addon.mapSharedMemory(path, bytes),
    listen(next) {
      listener = next;
    },
  };
}

function deliver(
  listener: HostListener,
  lines: (number | string)[],
  rogues: (number | string)[],
  dropped: number,
): void {
  for (let i = 0; i < lines.length; i += 3) {
    const level = goLevels[Number(lines[i])] ?? 'error';
    listener.onLog(level, String(lines[i + 1]), String(lines[i + 2]));
  }
  for (let i = 0; i < rogues.length; i += 3)
    listener.onRogueCalls(String(rogues[i]), String(rogues[i + 1]), Number(rogues[i + 2]));
  if (dropped > 0) listener.onDropped(dropped);
}
