// What a broker decides about a request before it touches the log: is the sender of the same leader epoch, and do its
// log and ours agree up to where it wants to read. Pure decisions, so that one table tests them all (REP-07, REP-14).
import type { EpochView } from '../log/epoch-history.ts'
import type { LeaderEpoch, Offset } from '../model/ids.ts'

export type LeaderEpochError = 'FENCED_LEADER_EPOCH' | 'UNKNOWN_LEADER_EPOCH'

/** The bounds and epochs of a log at one moment. */
export interface LogBounds {
  readonly logStartOffset: Offset
  /** Exclusive. */
  readonly logEndOffset: Offset
  readonly epochs: EpochView
}

export interface FetchPosition {
  readonly fetchOffset: Offset
  /** The leader epoch of the last record below `fetchOffset`; -1 where the reader has none. */
  readonly lastFetchedEpoch: LeaderEpoch
}

/**
 * The reader's log parted from ours: it truncates to the end of this epoch and asks again. Always both numbers (REP-05),
 * and never together with records.
 */
export interface Diverging {
  readonly kind: 'diverging'
  readonly epoch: LeaderEpoch
  readonly endOffset: Offset
}

export type FetchCheck =
  | { readonly kind: 'valid' }
  | Diverging
  | { readonly kind: 'error'; readonly code: 'OFFSET_OUT_OF_RANGE' }

const VALID: FetchCheck = { kind: 'valid' }
const OUT_OF_RANGE: FetchCheck = { kind: 'error', code: 'OFFSET_OUT_OF_RANGE' }

/**
 * Fences a request by leader epoch: the sender of an older epoch must learn of its replacement, the sender of a newer
 * one must wait until we have learned of ours.
 * @param current the epoch in which the sender acts.
 * @param local the epoch of this replica.
 */
export function checkLeaderEpoch(current: LeaderEpoch, local: LeaderEpoch): LeaderEpochError | null {
  if (current < local) return 'FENCED_LEADER_EPOCH'
  if (current > local) return 'UNKNOWN_LEADER_EPOCH'
  return null
}

/**
 * Compares where a reader stands with our log. The range is judged before the epochs: below the log start the epochs
 * are gone, and their end would send the reader to the wrong place.
 */
export function checkFetchPosition(position: FetchPosition, log: LogBounds): FetchCheck {
  const { fetchOffset, lastFetchedEpoch } = position
  if (fetchOffset < log.logStartOffset) return OUT_OF_RANGE
  // A reader without records cannot diverge.
  if (lastFetchedEpoch < 0) return fetchOffset > log.logEndOffset ? OUT_OF_RANGE : VALID
  const end = log.epochs.endOffsetFor(lastFetchedEpoch, log.logEndOffset)
  if (end === null) return OUT_OF_RANGE
  if (end.epoch < lastFetchedEpoch || end.endOffset < fetchOffset) {
    return { kind: 'diverging', epoch: end.epoch, endOffset: end.endOffset }
  }
  return VALID
}

export type ReadError = 'OFFSET_OUT_OF_RANGE' | 'OFFSET_NOT_AVAILABLE' | 'UNKNOWN_LEADER_EPOCH'

/**
 * Whether a consumer may read on from where it stands. Records of an epoch above ours prove that we were replaced, so
 * that our end says nothing. A log that holds all that was read up to the epoch of the reader, as the log of every leader
 * does that was elected cleanly, diverges from no reader (REP-13); so what diverges is told before what is not available.
 * @returns null where it may.
 */
export function checkReadPosition(
  position: FetchPosition,
  log: LogBounds & { readonly highWatermark: Offset; readonly leaderEpoch: LeaderEpoch },
): ReadError | Diverging | null {
  const { fetchOffset, lastFetchedEpoch } = position
  if (lastFetchedEpoch > log.leaderEpoch) return 'UNKNOWN_LEADER_EPOCH'
  const check = lastFetchedEpoch < 0 ? VALID : checkFetchPosition(position, log)
  if (check.kind === 'diverging') return check
  return checkReadOffset(fetchOffset, log)
}

/**
 * The same at a follower, which may know less than its leader. What it lacks it cannot judge: only up to its high watermark
 * is its log known to be the one of the leader, so beyond that nothing is out of range and nothing diverges (REP-34).
 * @returns null where the consumer may read on.
 */
export function checkReplicaReadPosition(
  position: FetchPosition,
  log: LogBounds & { readonly highWatermark: Offset; readonly leaderEpoch: LeaderEpoch },
): ReadError | Diverging | null {
  const { fetchOffset, lastFetchedEpoch } = position
  if (lastFetchedEpoch > log.leaderEpoch) return 'UNKNOWN_LEADER_EPOCH'
  if (fetchOffset < log.logStartOffset) return 'OFFSET_OUT_OF_RANGE'
  if (fetchOffset > log.highWatermark) return 'OFFSET_NOT_AVAILABLE'
  const check = lastFetchedEpoch < 0 ? VALID : checkFetchPosition(position, log)
  if (check.kind !== 'diverging') return null
  // The epoch may be the one of the record at the offset, which has yet to come.
  return fetchOffset === log.highWatermark && check.epoch < lastFetchedEpoch ? 'OFFSET_NOT_AVAILABLE' : check
}

/**
 * Whether a consumer may read from an offset. Between the high watermark and the log end the answer is retriable: a new
 * leader may not know yet that the offset is committed, and "out of range" would make the consumer reset its position
 * and skip or repeat records (REP-33).
 */
export function checkReadOffset(
  offset: Offset,
  log: { readonly logStartOffset: Offset; readonly highWatermark: Offset; readonly logEndOffset: Offset },
): 'OFFSET_OUT_OF_RANGE' | 'OFFSET_NOT_AVAILABLE' | null {
  if (offset < log.logStartOffset || offset > log.logEndOffset) return 'OFFSET_OUT_OF_RANGE'
  return offset > log.highWatermark ? 'OFFSET_NOT_AVAILABLE' : null
}
