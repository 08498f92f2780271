import { describe, expect, it } from 'vitest'
import { AssertionError } from '../../src/base/assert.ts'
import type { ErrorName } from '../../src/model/error-codes.ts'
import {
  type FetchResponse,
  PartitionFollower,
  type PartitionFollowerOptions,
} from '../../src/replication/partition-follower.ts'
import { MemoryLog } from './memory-log.ts'

/** A log of so many records of epoch 2, all flushed. */
function logOf(records: number): MemoryLog {
  const log = new MemoryLog()
  log.append(Array.from({ length: records }, (_, i) => ({ epoch: 2, value: `r${i}` })))
  log.flush()
  return log
}

function followerOf(log: MemoryLog, options: Partial<PartitionFollowerOptions> = {}): PartitionFollower {
  return new PartitionFollower({
    leaderId: 1,
    leaderEpoch: 4,
    logStartOffset: log.logStartOffset,
    logEndOffset: log.logEndOffset,
    flushedOffset: log.flushedOffset,
    highWatermark: 0,
    epochs: log.epochs,
    ...options,
  })
}

const records = (highWatermark: number, count: number, logStartOffset = 0): FetchResponse<string> => ({
  kind: 'records',
  batches: Array.from({ length: count }, () => 'batch'),
  highWatermark,
  logStartOffset,
})

/** Delivers an answer to the fetch that the follower would send now. */
function deliver(follower: PartitionFollower, response: FetchResponse<string>) {
  return follower.onFetchResponse(follower.nextFetch()!, response)
}

describe('high watermark', () => {
  it("the leader's, as far as the own log reaches", () => {
    const follower = followerOf(logOf(5))
    expect(deliver(follower, records(3, 0))).toEqual({
      kind: 'idle',
      highWatermark: 3,
      highWatermarkAdvanced: true,
      logStartOffset: 0,
    })
    expect(deliver(follower, records(9, 0))).toMatchObject({ highWatermark: 5 })
    expect(deliver(follower, records(9, 2)).kind).toBe('append')
    expect(follower.highWatermark).toBe(5)
    expect(follower.appended(7)).toMatchObject({ highWatermark: 7, highWatermarkAdvanced: true })
    expect(deliver(follower, records(6, 0))).toMatchObject({ highWatermark: 7, highWatermarkAdvanced: false })
  })

  it('a note before the leader found the logs equal -> waits: it could commit what is truncated next', () => {
    const follower = followerOf(logOf(5))
    const note = { leaderEpoch: 4, highWatermark: 5 }
    expect(follower.highWatermarkNoted(note)).toMatchObject({
      highWatermark: 0,
      highWatermarkAdvanced: false,
    })
    const diverging = { kind: 'diverging', epoch: 2, endOffset: 3, logStartOffset: 0 } as const
    expect(deliver(follower, diverging)).toMatchObject({ kind: 'truncate', offset: 3 })
    follower.truncated(3)
    expect(follower.highWatermarkNoted(note)).toMatchObject({ highWatermark: 0 })
    expect(deliver(follower, records(5, 2)).kind).toBe('append')
    expect(follower.appended(4)).toMatchObject({ highWatermark: 4 })
  })

  it('a note that is heard before an answer that was sent before it -> counts with that answer', () => {
    const follower = followerOf(logOf(5))
    follower.highWatermarkNoted({ leaderEpoch: 4, highWatermark: 4 })
    expect(deliver(follower, records(1, 0))).toMatchObject({ highWatermark: 4, highWatermarkAdvanced: true })
  })

  it('a note of another epoch, or a lower one -> ignored', () => {
    const follower = followerOf(logOf(5))
    follower.highWatermarkNoted({ leaderEpoch: 3, highWatermark: 4 })
    expect(deliver(follower, records(1, 0))).toMatchObject({ highWatermark: 1 })
    expect(follower.highWatermarkNoted({ leaderEpoch: 3, highWatermark: 4 })).toMatchObject({
      highWatermark: 1,
    })
    const note = { leaderEpoch: 4, highWatermark: 5 }
    expect(follower.highWatermarkNoted(note)).toMatchObject({ highWatermark: 5, highWatermarkAdvanced: true })
    expect(follower.highWatermarkNoted({ ...note, highWatermark: 2 })).toMatchObject({ highWatermark: 5 })
  })

  it('checkpointed beyond the log end -> moved to it', () => {
    expect(followerOf(logOf(5), { highWatermark: 9 }).highWatermark).toBe(5)
  })

  it('truncated below it -> says so and follows the log end', () => {
    const follower = followerOf(logOf(5), { highWatermark: 4 })
    const diverging = { kind: 'diverging', epoch: 2, endOffset: 3, logStartOffset: 0 } as const
    expect(deliver(follower, diverging)).toEqual({ kind: 'truncate', offset: 3, belowHighWatermark: true })
    follower.truncated(3)
    expect(follower).toMatchObject({ highWatermark: 3, logEndOffset: 3 })
  })
})

describe('flush notes', () => {
  it('before the logs agree -> none; then the offset; after a truncation -> none again', () => {
    const log = logOf(5)
    const follower = followerOf(log, { flushedOffset: 3 })
    expect(follower.flushed(4)).toBeNull()
    deliver(follower, records(0, 1))
    follower.appended(6)
    expect(follower.flushed(6)).toBe(6)
    expect(follower.nextFetch()).toMatchObject({ fetchOffset: 6, flushedOffset: 6 })
    log.truncate(5)
    const diverging = { kind: 'diverging', epoch: 2, endOffset: 4, logStartOffset: 0 } as const
    expect(deliver(follower, diverging).kind).toBe('truncate')
    log.truncate(4)
    follower.truncated(4)
    expect(follower.nextFetch()).toMatchObject({ fetchOffset: 4, flushedOffset: 4 })
    expect(follower.flushed(4)).toBeNull()
  })
})

describe('steps', () => {
  it('REP-03: a truncation that ends inside of a batch -> the log end of the log counts', () => {
    const log = logOf(6)
    const follower = followerOf(log)
    const diverging = { kind: 'diverging', epoch: 2, endOffset: 5, logStartOffset: 0 } as const
    expect(deliver(follower, diverging)).toMatchObject({ kind: 'truncate', offset: 5 })
    expect(follower.nextFetch()).toBeNull()
    log.truncate(3)
    follower.truncated(3)
    expect(follower.nextFetch()).toEqual({
      fetchOffset: 3,
      flushedOffset: 3,
      lastFetchedEpoch: 2,
      currentLeaderEpoch: 4,
    })
  })

  it('an append that is refused -> the same fetch again', () => {
    const follower = followerOf(logOf(5))
    const before = follower.nextFetch()
    deliver(follower, records(9, 1))
    follower.appendRefused()
    expect(follower.nextFetch()).toEqual(before)
    expect(follower.highWatermark).toBe(0)
  })

  it('the log start of the leader moved -> told with the high watermark', () => {
    const follower = followerOf(logOf(5))
    expect(deliver(follower, records(4, 0, 3))).toMatchObject({ highWatermark: 4, logStartOffset: 3 })
    expect(deliver(follower, records(4, 0, 2))).toMatchObject({ logStartOffset: 3 })
    expect(follower.logStartOffset).toBe(3)
  })

  it.each([
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_LEADER_EPOCH',
    'NOT_LEADER_OR_FOLLOWER',
    'STALE_BROKER_EPOCH',
    'STORAGE_ERROR',
  ] satisfies ErrorName[])('error %s -> retry later, nothing changed', (code) => {
    const follower = followerOf(logOf(5))
    const before = follower.nextFetch()
    const step = deliver(follower, { kind: 'error', code, logStartOffset: null })
    expect(step).toEqual({ kind: 'retry-later', code, reason: `leader 1 answered ${code}` })
    expect(follower.nextFetch()).toEqual(before)
  })

  it.each([
    { logStartOffset: null, expected: { kind: 'retry-later' }, what: 'without a log start' },
    { logStartOffset: 3, expected: { kind: 'retry-later' }, what: 'inside of our log' },
    { logStartOffset: 5, expected: { kind: 'retry-later' }, what: 'at our log end' },
    { logStartOffset: 6, expected: { kind: 'restart-at', offset: 6 }, what: 'beyond our log end' },
  ])('out of range, log start of the leader $what -> $expected.kind', ({ logStartOffset, expected }) => {
    const follower = followerOf(logOf(5))
    const response = { kind: 'error', code: 'OFFSET_OUT_OF_RANGE', logStartOffset } as const
    expect(deliver(follower, response)).toMatchObject(expected)
  })

  it('a divergence that changes nothing -> retry later, not round and round', () => {
    const follower = followerOf(logOf(5))
    const diverging = { kind: 'diverging', epoch: 2, endOffset: 5, logStartOffset: 0 } as const
    expect(deliver(follower, diverging)).toMatchObject({ kind: 'retry-later', code: 'PROTOCOL_VIOLATION' })
    expect(follower.nextFetch()).not.toBeNull()
  })

  it('a divergence below our log start -> a whole copy from the log start of the leader', () => {
    const log = logOf(9)
    log.deleteBefore(6)
    const follower = followerOf(log, { highWatermark: 8 })
    const diverging = { kind: 'diverging', epoch: 1, endOffset: 4, logStartOffset: 2 } as const
    expect(deliver(follower, diverging)).toEqual({ kind: 'restart-at', offset: 2, belowHighWatermark: true })
    expect(follower.nextFetch()).toBeNull()
    log.restartAt(2)
    follower.restarted()
    expect(follower.nextFetch()).toMatchObject({ fetchOffset: 2, flushedOffset: 2, lastFetchedEpoch: -1 })
    expect(follower.highWatermark).toBe(2)
  })
})

describe('contract with the shell', () => {
  it('the end of a step that was not given -> assertion', () => {
    const follower = followerOf(logOf(5))
    expect(() => follower.appended(6)).toThrow(AssertionError)
    expect(() => follower.appendRefused()).toThrow(AssertionError)
    expect(() => follower.truncated(3)).toThrow(AssertionError)
    expect(() => follower.restarted()).toThrow(AssertionError)
    deliver(follower, records(0, 1))
    expect(() => follower.truncated(3)).toThrow(AssertionError)
  })

  it('steps that contradict the log -> assertion', () => {
    const follower = followerOf(logOf(5), { highWatermark: 2 })
    expect(() => follower.flushed(6)).toThrow(AssertionError)
    expect(() => follower.logStartMoved(3)).toThrow(AssertionError)
    follower.logStartMoved(2)
    expect(follower.logStartOffset).toBe(2)
    deliver(follower, records(0, 1))
    expect(() => follower.appended(5)).toThrow(AssertionError)
  })

  it.each([
    { options: { flushedOffset: 6 }, what: 'flushed more than it wrote' },
    { options: { leaderEpoch: 1 }, what: 'has records of a later leader epoch' },
  ])('constructor: follower that $what -> assertion', ({ options }) => {
    expect(() => followerOf(logOf(5), options)).toThrow(AssertionError)
  })
})
