import { describe, expect, it } from 'vitest'
import { EpochHistory } from '../../src/log/epoch-history.ts'
import {
  checkFetchPosition,
  checkLeaderEpoch,
  checkReadOffset,
  checkReadPosition,
  checkReplicaReadPosition,
  type LogBounds,
} from '../../src/replication/fetch-check.ts'

/** The leader of Kafka's test: epoch 0 wrote 2 records, 3 six, 4 five, 7 one, 9 three; it leads in epoch 10. */
function leaderLog(logStartOffset: number): LogBounds {
  const epochs = new EpochHistory([
    { epoch: 0, startOffset: 0 },
    { epoch: 3, startOffset: 2 },
    { epoch: 4, startOffset: 8 },
    { epoch: 7, startOffset: 13 },
    { epoch: 9, startOffset: 14 },
    { epoch: 10, startOffset: 17 },
  ])
  epochs.truncateFromStart(logStartOffset)
  return { logStartOffset, logEndOffset: 17, epochs }
}

const none = { kind: 'valid' }
const outOfRange = { kind: 'error', code: 'OFFSET_OUT_OF_RANGE' }
const diverging = (epoch: number, endOffset: number) => ({ kind: 'diverging', epoch, endOffset })

describe('checkFetchPosition', () => {
  it.each([
    { start: 0, epoch: 2, offset: 5, expected: diverging(0, 2) },
    { start: 0, epoch: 0, offset: 4, expected: diverging(0, 2) },
    { start: 0, epoch: 6, offset: 6, expected: diverging(4, 13) },
    { start: 0, epoch: 5, offset: 9, expected: diverging(4, 13) },
    { start: 0, epoch: 10, offset: 18, expected: diverging(10, 17) },
    { start: 0, epoch: 0, offset: 2, expected: none },
    { start: 0, epoch: 7, offset: 14, expected: none },
    { start: 0, epoch: 9, offset: 17, expected: none },
    { start: 0, epoch: 10, offset: 17, expected: none },
    { start: 0, epoch: 11, offset: 5, expected: outOfRange },
    { start: 5, epoch: 2, offset: 8, expected: diverging(2, 5) },
    { start: 5, epoch: 0, offset: 5, expected: none },
    { start: 5, epoch: 3, offset: 5, expected: none },
    { start: 5, epoch: 0, offset: 0, expected: outOfRange },
    { start: 10, epoch: 5, offset: 6, expected: outOfRange },
    { start: 10, epoch: 3, offset: 6, expected: outOfRange },
  ])(
    'REP-07: log start $start, epoch $epoch, fetch at $offset -> $expected',
    ({ start, epoch, offset, expected }) => {
      expect(checkFetchPosition({ fetchOffset: offset, lastFetchedEpoch: epoch }, leaderLog(start))).toEqual(
        expected,
      )
    },
  )

  it.each([
    { offset: 5, expected: none },
    { offset: 17, expected: none },
    { offset: 18, expected: outOfRange },
    { offset: 4, expected: outOfRange },
  ])('checkFetchPosition: empty log at $offset -> only the range decides', ({ offset, expected }) => {
    expect(checkFetchPosition({ fetchOffset: offset, lastFetchedEpoch: -1 }, leaderLog(5))).toEqual(expected)
  })
})

describe('checkLeaderEpoch', () => {
  it.each([
    { current: 4, expected: 'FENCED_LEADER_EPOCH' },
    { current: 5, expected: null },
    { current: 6, expected: 'UNKNOWN_LEADER_EPOCH' },
  ])('REP-14: epoch $current at a replica in epoch 5 -> $expected', ({ current, expected }) => {
    expect(checkLeaderEpoch(current, 5)).toBe(expected)
  })
})

describe('checkReadOffset', () => {
  const log = { logStartOffset: 2, highWatermark: 5, logEndOffset: 10 }

  it.each([
    { offset: 1, expected: 'OFFSET_OUT_OF_RANGE' },
    { offset: 2, expected: null },
    { offset: 5, expected: null },
    { offset: 6, expected: 'OFFSET_NOT_AVAILABLE' },
    { offset: 10, expected: 'OFFSET_NOT_AVAILABLE' },
    { offset: 11, expected: 'OFFSET_OUT_OF_RANGE' },
  ])('REP-33: consumer at $offset of a log [2, 10) with high watermark 5 -> $expected', (row) => {
    expect(checkReadOffset(row.offset, log)).toBe(row.expected)
  })
})

describe('checkReadPosition', () => {
  const notAvailable = 'OFFSET_NOT_AVAILABLE'
  const unknownEpoch = 'UNKNOWN_LEADER_EPOCH'

  it.each([
    // Without an epoch only the offset counts.
    { start: 0, epoch: -1, offset: 14, expected: null },
    { start: 0, epoch: -1, offset: 16, expected: notAvailable },
    { start: 0, epoch: -1, offset: 18, expected: 'OFFSET_OUT_OF_RANGE' },
    { start: 5, epoch: -1, offset: 4, expected: 'OFFSET_OUT_OF_RANGE' },
    // What this log holds up to the epoch.
    { start: 0, epoch: 0, offset: 2, expected: null },
    { start: 0, epoch: 9, offset: 15, expected: null },
    { start: 0, epoch: 9, offset: 17, expected: notAvailable },
    { start: 0, epoch: 10, offset: 17, expected: notAvailable },
    // A receipt names the epoch of the record at its offset.
    { start: 0, epoch: 7, offset: 13, expected: null },
    // What it does not hold, also where the offset itself is there.
    { start: 0, epoch: 0, offset: 4, expected: diverging(0, 2) },
    { start: 0, epoch: 5, offset: 9, expected: diverging(4, 13) },
    { start: 0, epoch: 10, offset: 18, expected: diverging(10, 17) },
    { start: 0, epoch: 9, offset: 18, expected: diverging(9, 17) },
    // Read before the log start moved beyond the epoch.
    { start: 10, epoch: 0, offset: 10, expected: null },
    { start: 10, epoch: 3, offset: 6, expected: 'OFFSET_OUT_OF_RANGE' },
    // Somebody has replaced this leader: its end says nothing (REP-33), nor does its start.
    { start: 0, epoch: 11, offset: 14, expected: unknownEpoch },
    { start: 0, epoch: 11, offset: 18, expected: unknownEpoch },
    { start: 5, epoch: 11, offset: 4, expected: unknownEpoch },
  ])(
    'REP-13, REP-33: log [$start, 17), high watermark 15, leader epoch 10; a consumer of epoch $epoch at $offset -> $expected',
    ({ start, epoch, offset, expected }) => {
      const log = { ...leaderLog(start), highWatermark: 15, leaderEpoch: 10 }
      expect(checkReadPosition({ fetchOffset: offset, lastFetchedEpoch: epoch }, log)).toEqual(expected)
    },
  )
})

describe('checkReplicaReadPosition', () => {
  const log = { ...leaderLog(5), highWatermark: 14, leaderEpoch: 10 }

  it.each([
    { epoch: -1, offset: 4, expected: 'OFFSET_OUT_OF_RANGE' },
    { epoch: -1, offset: 5, expected: null },
    { epoch: -1, offset: 14, expected: null },
    // The log goes to 17; what the leader has beyond that is not known.
    { epoch: -1, offset: 15, expected: 'OFFSET_NOT_AVAILABLE' },
    { epoch: -1, offset: 99, expected: 'OFFSET_NOT_AVAILABLE' },
    { epoch: 7, offset: 14, expected: null },
    { epoch: 9, offset: 15, expected: 'OFFSET_NOT_AVAILABLE' },
    { epoch: 9, offset: 14, expected: null },
    { epoch: 11, offset: 6, expected: 'UNKNOWN_LEADER_EPOCH' },
    { epoch: 3, offset: 9, expected: diverging(3, 8) },
    { epoch: 6, offset: 12, expected: diverging(4, 13) },
    // The first record of epoch 8 could be the next one.
    { epoch: 8, offset: 14, expected: 'OFFSET_NOT_AVAILABLE' },
  ])(
    'REP-34: a follower with offsets 5 to 14 committed, asked for $offset after epoch $epoch -> $expected',
    ({ epoch, offset, expected }) => {
      expect(checkReplicaReadPosition({ fetchOffset: offset, lastFetchedEpoch: epoch }, log)).toEqual(
        expected,
      )
    },
  )
})
