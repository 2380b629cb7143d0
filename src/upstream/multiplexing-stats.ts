import type { StatsStore } from '../stats/store.js';

/** What is counted of a cluster whose exchanges share connections. */
export type MultiplexingStats = ReturnType<typeof createMultiplexingStats>;

export function createMultiplexingStats(stats: StatsStore) {
  return {
    /** Requests whose exchange ended before their answer came: its place is kept until it does. */
    abandoned: stats.gauge('multiplexing.abandoned'),
    /** Answers that came after their exchange had ended, and were dropped. */
    lateAnswers: stats.counter('multiplexing.late_answers'),
    /** Frames of servers that answer nobody. */
    strayFrames: stats.counter('multiplexing.stray_frames'),
    /** Connections that were closed because their next answer did not come. */
    answerTimeouts: stats.counter('multiplexing.answer_timeouts'),
    /** Exchanges that were ended because their clients read too slowly for the others. */
    slowReaders: stats.counter('multiplexing.slow_readers'),
  };
}
