import type { VltavaError } from '../model/errors.ts'
import type { NodeId, Offset, PartitionIndex } from '../model/ids.ts'
import type { SubscriptionState } from './subscription-state.ts'

export interface PartitionHealth {
  readonly partition: PartitionIndex
  /** The next offset to be handed out; null while it is not known. */
  readonly position: Offset | null
  /** As of the newest answer; null before. */
  readonly highWatermark: Offset | null
  /** Records between position and high watermark; null while either is not known. */
  readonly lagRecords: number | null
  readonly isPaused: boolean
  /** Nothing more is read until `seek`. */
  readonly hasFailed: boolean
  /** Milliseconds since the first error in a row; 0 while there is none. */
  readonly failingForMs: number
  /** The broker that is read from, or was last; null before. */
  readonly brokerId: NodeId | null
  /** The newest error, until something works again. */
  readonly lastError: VltavaError | null
}

/** How a consumer is doing, for health checks and for people who wonder why nothing comes. */
export interface ConsumerHealth {
  /** It is open, and no error has ended it. */
  readonly live: boolean
  /**
   * Live, and every partition that is not paused can be read, or has been failing for less than `problemAfterMs`. A
   * consumer without new records, or whose user takes none, is progressing: see `isWaitingForUser`.
   */
  readonly progressing: boolean
  /** Fetched records wait to be taken. */
  readonly isWaitingForUser: boolean
  /** Bytes of fetched messages that are held. */
  readonly bufferedBytes: number
  /** What ended the consumer, or the newest error of a partition that has not worked since. */
  readonly lastError: VltavaError | null
  readonly partitions: readonly PartitionHealth[]
}

export function consumerHealth(consumer: {
  readonly isOpen: boolean
  readonly fatal: VltavaError | null
  readonly subscription: SubscriptionState | null
  readonly problemAfterMs: number
  readonly nowMs: number
}): ConsumerHealth {
  const { isOpen, fatal, subscription, problemAfterMs, nowMs } = consumer
  const states = [...(subscription?.partitions() ?? [])].toSorted((a, b) => a.partition - b.partition)
  const partitions = states.map((state): PartitionHealth => {
    const { partition, highWatermark, isPaused, brokerId, lastError } = state
    const position = state.position < 0 ? null : state.position
    return {
      partition,
      position,
      highWatermark,
      lagRecords: position === null || highWatermark === null ? null : Math.max(0, highWatermark - position),
      isPaused,
      hasFailed: state.phase === 'failed',
      failingForMs: state.failingSinceMs === null ? 0 : nowMs - state.failingSinceMs,
      brokerId,
      lastError,
    }
  })
  const live = isOpen && fatal === null
  const isStuck = ({ isPaused, hasFailed, failingForMs }: PartitionHealth): boolean =>
    !isPaused && (hasFailed || failingForMs >= problemAfterMs)
  return {
    live,
    progressing: live && !partitions.some(isStuck),
    isWaitingForUser: states.some(({ batches, isPaused }) => !isPaused && batches.length > 0),
    bufferedBytes: subscription?.bufferedBytes ?? 0,
    lastError: fatal ?? partitions.findLast(({ lastError }) => lastError !== null)?.lastError ?? null,
    partitions,
  }
}
