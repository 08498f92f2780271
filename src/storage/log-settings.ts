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
}

export const LOG_SETTINGS_DEFAULT: LogSettings = {
  segmentBytes: 1024 * 1024 * 1024,
  indexIntervalBytes: 4096,
  flushMessages: 1,
  appendQueueBytes: 32 * 1024 * 1024,
}
