import type { Clock, Timer } from '../clock.js';
import type { ChannelConfig } from './channel.js';
import { openStreamCall, type StreamCall } from './stream-call.js';

const firstTryMs = 10_000;
const longestTryMs = 60_000;
/** A stream that the server leaves open for this long is taken as one that it will serve. */
const proofMs = 1_000;

/**
 * Looks from time to time whether the first control plane takes streams again, and calls `onBack` once when it does. It asks for nothing.
 * Returns how to stop.
 */
export function watchFirstServer(options: {
  readonly channel: ChannelConfig;
  readonly method: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onBack: () => void;
}): () => void {
  const { channel, method, clock, random, onBack } = options;
  let interval = firstTryMs;
  let attempts = 0;
  let attempt: StreamCall | undefined;
  let timer: Timer = schedule();

  function schedule(): Timer {
    const delay = interval / 2 + (random() * interval) / 2;
    interval = Math.min(interval * 2, longestTryMs);
    return clock.setTimeout(tryOnce, delay);
  }
  function again(): void {
    timer.cancel();
    attempt?.release();
    attempt = undefined;
    timer = schedule();
  }
  function tryOnce(): void {
    const attemptNumber = attempts++;
    const addresses = channel.addresses(attemptNumber);
    const address = addresses[attemptNumber % Math.max(addresses.length, 1)];
    if (address === undefined) {
      again();
      return;
    }
    try {
      const tried = openStreamCall(channel, address, method, []);
      attempt = tried;
      timer = clock.setTimeout(again, channel.connectTimeoutMs);
      tried.call.on('status', () => attempt === tried && again());
      tried.call.resume();
      tried.whenReady(() => {
        if (attempt !== tried) return;
        timer.cancel();
        timer = clock.setTimeout(() => {
          stop();
          onBack();
        }, proofMs);
      });
    } catch {
      again();
    }
  }
  function stop(): void {
    timer.cancel();
    const open = attempt;
    attempt = undefined;
    open?.release();
  }
  return stop;
}
