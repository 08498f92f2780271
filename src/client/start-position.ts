// Where a consumer starts in each partition. Pure: from what the user gave to the question for the leader, and from its
// answer to the offset.
import { unreachable } from '../base/assert.ts'
import { type EpochPosition, VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, Offset, PartitionIndex } from '../model/ids.ts'
import type { offsetSpecSchema } from '../protocol/list-offsets.ts'
import type { Infer } from '../schema/schema.ts'
import { showValue } from './options.ts'

/**
 * `'beginning'`: the log start offset. `'end'`: the high watermark at the time. `last`: that many records before the high
 * watermark, or as many as there are. `timestampMs`: the first record at or after this time (milliseconds since 1970), the
 * end when there is none.
 *
 * A number: that offset. `offset` with `leaderEpoch`: that offset as well, and the leader epoch of the record before it or
 * of the one at it, as records, receipts and `checkpoint()` have them; -1 or absent where it is not known. With it, no
 * leader is asked that was replaced before the epoch began, and a log that lost what stood there is noticed
 * (LOG_TRUNCATED).
 */
export type StartPosition =
  | 'beginning'
  | 'end'
  | Offset
  | { readonly offset: Offset; readonly leaderEpoch?: LeaderEpoch | undefined }
  | { readonly last: number }
  | { readonly timestampMs: number }

/** One position for all partitions, or one for each, by partition number. */
export type StartPositions =
  | StartPosition
  | Readonly<Record<number, StartPosition>>
  | ReadonlyMap<PartitionIndex, StartPosition>

export type OffsetSpec = Infer<typeof offsetSpecSchema>

/** What a leader answered about one partition. */
export interface LogBounds {
  /** null: no committed record is at or after the time asked for. */
  readonly offset: Offset | null
  readonly logStartOffset: Offset
  readonly highWatermark: Offset
}

export const ALLOWED_START =
  '"beginning", "end", an offset, { offset: n, leaderEpoch: e }, { last: n }, { timestampMs: t }, or an object or Map with one of these for each partition'

const isNatural = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

/** Whether the value is a StartPosition. */
export function isStartPosition(value: unknown): value is StartPosition {
  if (value === 'beginning' || value === 'end' || isNatural(value)) return true
  if (typeof value !== 'object' || value === null) return false
  const keys = Object.keys(value)
  if (keys.includes('offset')) return keys.every(isPositionKey) && isEpochPosition(value)
  if (keys.length !== 1) return false
  const { last, timestampMs } = value as { readonly last?: unknown; readonly timestampMs?: unknown }
  return keys[0] === 'last' ? isNatural(last) : keys[0] === 'timestampMs' && isNatural(timestampMs)
}

const isPositionKey = (key: string): boolean => key === 'offset' || key === 'leaderEpoch'

function isEpochPosition(value: {
  readonly offset?: unknown
  readonly leaderEpoch?: unknown
}): value is { readonly offset: Offset; readonly leaderEpoch?: LeaderEpoch } {
  const { offset, leaderEpoch = -1 } = value
  return isNatural(offset) && (leaderEpoch === -1 || isNatural(leaderEpoch))
}

/** The place that a position names; null where a leader has to be asked for it. */
export function placeOf(position: StartPosition): EpochPosition | null {
  if (typeof position === 'number') return { offset: position, leaderEpoch: -1 }
  if (typeof position === 'string' || !('offset' in position)) return null
  return { offset: position.offset, leaderEpoch: position.leaderEpoch ?? -1 }
}

/** The positions given for single partitions; null when one position is for all of them. */
function perPartition(given: unknown): ReadonlyMap<unknown, unknown> | null {
  if (given instanceof Map) return given
  if (typeof given !== 'object' || given === null || isStartPosition(given)) return null
  return new Map(Object.entries(given).map(([key, position]) => [Number(key), position]))
}

/** Whether the value is a StartPositions; a map names one partition at least. */
export function isStartPositions(given: unknown): boolean {
  const map = perPartition(given)
  if (map === null) return isStartPosition(given)
  return map.size > 0 && [...map].every(([key, position]) => isNatural(key) && isStartPosition(position))
}

/**
 * Which partitions to read, and from where.
 * @param chosen the partitions to read; null: those that `from` names, or all.
 * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION for a partition the topic does not have, INVALID_ARGUMENT when `from`
 *   has no position for a chosen one.
 */
export function startingPositions(
  from: StartPositions,
  topic: {
    readonly name: string
    readonly partitionsCount: number
    readonly chosen: readonly PartitionIndex[] | null
  },
): ReadonlyMap<PartitionIndex, StartPosition> {
  const { name, partitionsCount, chosen } = topic
  const map = perPartition(from) as ReadonlyMap<PartitionIndex, StartPosition> | null
  const all = Array.from({ length: partitionsCount }, (_, i) => i)
  const partitions = chosen ?? (map === null ? all : [...map.keys()])
  const positions = new Map<PartitionIndex, StartPosition>()
  for (const partition of partitions.toSorted((a, b) => a - b)) {
    if (partition >= partitionsCount) throw noSuchPartition(name, { partition, partitionsCount })
    const position = map === null ? (from as StartPosition) : map.get(partition)
    if (position === undefined) {
      throw new VltavaError(
        'INVALID_ARGUMENT',
        `consumer: option "from" has no position for partition ${partition}, which is to be read; got ${showValue([...map!.keys()])}.`,
      )
    }
    positions.set(partition, position)
  }
  return positions
}

/** Whether all partitions of the topic are read, whatever their number, and not those that are named. */
export function readsAllPartitions(from: StartPositions, chosen: readonly PartitionIndex[] | null): boolean {
  return chosen === null && perPartition(from) === null
}

export function noSuchPartition(
  topic: string,
  which: { readonly partition: PartitionIndex; readonly partitionsCount: number },
): VltavaError {
  const { partition, partitionsCount } = which
  return new VltavaError(
    'UNKNOWN_TOPIC_OR_PARTITION',
    `Topic "${topic}" has no partition ${partition}; it has ${partitionsCount} (0 to ${partitionsCount - 1}).`,
  )
}

/** What to ask the leader to find the position; null when it is an offset already. */
export function querySpecOf(position: StartPosition): OffsetSpec | null {
  if (typeof position === 'number') return null
  if (position === 'beginning') return { type: 'earliest' }
  if (position === 'end') return { type: 'latest' }
  if ('last' in position) return { type: 'latest' }
  if ('timestampMs' in position) return { type: 'timestamp', timestampMs: position.timestampMs }
  if ('offset' in position) return null
  return unreachable(position)
}

/** The offset to start at, from the answer to `querySpecOf`. */
export function startOffsetOf(position: StartPosition, bounds: LogBounds): Offset {
  if (typeof position === 'number') return position
  if (typeof position === 'object' && 'offset' in position) return position.offset
  if (position === 'beginning') return bounds.offset ?? bounds.logStartOffset
  if (position === 'end') return bounds.offset ?? bounds.highWatermark
  if ('last' in position) return Math.max(bounds.logStartOffset, bounds.highWatermark - position.last)
  return bounds.offset ?? bounds.highWatermark
}
