import { defineStats, type StatsOf } from '../stats/group.js';

/** What is counted of a cluster whose exchanges share connections. */
export const multiplexingStats = defineStats({
  counters: {
    /** Answers that came after their exchange had ended, and were dropped. */
    lateAnswers: 'multiplexing.late_answers',
    /** Frames of servers that answer nobody. */
    strayFrames: 'multiplexing.stray_frames',
    /** Connections that were closed because their next answer did not come. */
    answerTimeouts: 'multiplexing.answer_timeouts',
    /** Exchanges that were ended because their clients read too slowly for the others. */
    slowReaders: 'multiplexing.slow_readers',
  },
  gauges: {
    /** Requests whose exchange ended before their answer came: its place is kept until it does. */
    abandoned: 'multiplexing.abandoned',
  },
});

export type MultiplexingStats = StatsOf<typeof multiplexingStats>;
