// The settings of one log, with Kafka's names where Kafka has them.

export interface LogSettings {
  /** `segment.bytes`: a log begins a new segment before one would exceed it. 1 to 2^31-1, default 1 GiB. */
  readonly segmentBytes: number
  /** `index.interval.bytes`: bytes of batches between two entries of an index. 0 or more, default 4,096. */
  readonly indexIntervalBytes: number
  /** `flush.messages`: records written since the last fsync that start another one. 1 or more, default 1. */
  readonly flushMessages: number
  /**
   * Bytes of appends that may wait for the disk; more are refused with SERVER_BUSY. 1 or more, default 32 MiB; one
   * append that is larger is taken when nothing else waits.
   */
  readonly appendQueueBytes: number
  /** `flush.ms`: the longest time a written record waits for an fsync when `flushMessages` is above 1. 1 or more. */
  readonly flushMs: number
  /** `segment.ms`: age of its first record at which the active segment is rolled. 1 or more, default 7 days. */
  readonly segmentMs: number
  /** `cleanup.policy` names `delete`: retention by time and size applies. */
  readonly cleanupDeletes: boolean
  /** `cleanup.policy` names `compact`. */
  readonly cleanupCompacts: boolean
  /** `retention.ms`; null: no limit. Default 7 days. */
  readonly retentionMs: number | null
  /** `retention.bytes`; null, the default: no limit. */
  readonly retentionBytes: number | null
  /** `file.delete.delay.ms`: how long the files of a removed segment stay. 0 or more, default 60 s. */
  readonly fileDeleteDelayMs: number
  /** `min.cleanable.dirty.ratio`, 0 to 1, default 0.5. */
  readonly minCleanableDirtyRatio: number
  /** `min.compaction.lag.ms`, 0 or more, default 0. */
  readonly minCompactionLagMs: number
  /** `max.compaction.lag.ms`, 1 or more; no limit by default. */
  readonly maxCompactionLagMs: number
  /** `delete.retention.ms`, 0 or more, default 1 day. */
  readonly deleteRetentionMs: number
}

const DAY_MS = 86_400_000

export const LOG_SETTINGS_DEFAULT: LogSettings = {
  segmentBytes: 1024 * 1024 * 1024,
  indexIntervalBytes: 4096,
  flushMessages: 1,
  appendQueueBytes: 32 * 1024 * 1024,
  flushMs: Number.MAX_SAFE_INTEGER,
  segmentMs: 7 * DAY_MS,
  cleanupDeletes: true,
  cleanupCompacts: false,
  retentionMs: 7 * DAY_MS,
  retentionBytes: null,
  fileDeleteDelayMs: 60_000,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Number.MAX_SAFE_INTEGER,
  deleteRetentionMs: DAY_MS,
}
