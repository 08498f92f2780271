import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import type { Offset, PartitionIndex, TopicId } from '../model/ids.ts'
import type { CompactionState } from './compaction-state.ts'
import type { DelayedRemovals } from './delayed-removals.ts'
import type { RecordRoom } from './disk-room.ts'
import type { TailBudget } from './hot-tail.ts'
import type { LeaderEpochsFile } from './leader-epochs-file.ts'
import type { LogHealthOptions } from './log-health.ts'
import type { LogObserver } from './log-observer.ts'
import type { LogSettings } from './log-settings.ts'
import type { LogStartCheckpoint } from './log-trim.ts'
import type { SegmentContext } from './segment.ts'
import type { SegmentList } from './segment-list.ts'
import type { DroppedTail } from './segment-recovery.ts'
import type { StorageFailure } from './storage-failure.ts'

/** What `openLog` makes a log of. */
export interface PartitionLogOptions {
  readonly topicId: TopicId
  readonly partition: PartitionIndex
  readonly segments: SegmentList
  readonly segmentContext: SegmentContext
  readonly epochs: LeaderEpochsFile
  readonly compaction: CompactionState
  readonly failure: StorageFailure
  readonly budget: TailBudget
  readonly room: RecordRoom
  readonly settings: LogSettings
  readonly clock: Clock
  readonly log: Log
  readonly droppedTail: DroppedTail | null
  readonly lowerRecoveryPoint: (offset: Offset) => Promise<void>
  readonly observer: LogObserver
  readonly health: Pick<LogHealthOptions, 'cpu' | 'file' | 'ranges' | 'endLost' | 'tailDropped'>
  /** Where the log was found to start. */
  readonly startOffset: Offset
  readonly checkpoint: LogStartCheckpoint
  readonly removals: DelayedRemovals
}
