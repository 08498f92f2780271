import { describe, expect, it } from 'vitest'
import { FollowerProgress } from '../../src/replication/follower-progress.ts'

const never = Number.NEGATIVE_INFINITY

describe('FollowerProgress', () => {
  it('countedOffset: unknown, then the lower of fetched and flushed', () => {
    const progress = new FollowerProgress(2, never)
    expect(progress.countedOffset).toBe(-1)
    progress.flushed(9, { logEndOffset: 10, nowMs: 1 })
    expect(progress.countedOffset).toBe(-1)
    progress.fetched({ fetchOffset: 8, flushedOffset: 3 }, { logEndOffset: 10, nowMs: 2 })
    expect(progress.countedOffset).toBe(3)
    progress.flushed(9, { logEndOffset: 10, nowMs: 3 })
    expect(progress.countedOffset).toBe(8)
    progress.flushed(4, { logEndOffset: 10, nowMs: 4 })
    expect(progress.countedOffset).toBe(8)
  })

  it('seenInBrokerEpoch: a newer run -> offsets unknown again; the same or an older one -> no change', () => {
    const progress = new FollowerProgress(2, never)
    progress.seenInBrokerEpoch(5)
    progress.fetched({ fetchOffset: 8, flushedOffset: 8 }, { logEndOffset: 10, nowMs: 1 })
    progress.seenInBrokerEpoch(5)
    progress.seenInBrokerEpoch(4)
    expect(progress).toMatchObject({ brokerEpoch: 5, countedOffset: 8 })
    progress.seenInBrokerEpoch(6)
    expect(progress).toMatchObject({ brokerEpoch: 6, countedOffset: -1, logEndOffset: -1, flushedOffset: -1 })
  })

  it('caughtUpAtMs: reaches the log end -> now', () => {
    const progress = new FollowerProgress(2, never)
    progress.fetched({ fetchOffset: 10, flushedOffset: 9 }, { logEndOffset: 10, nowMs: 50 })
    expect(progress.caughtUpAtMs).toBe(never)
    progress.flushed(10, { logEndOffset: 10, nowMs: 60 })
    expect(progress.caughtUpAtMs).toBe(60)
  })

  it('caughtUpAtMs: always behind by less than a moving log end -> the time of the end it reached', () => {
    const progress = new FollowerProgress(2, never)
    // An fsync takes longer than two fetches: what counts is two fetches old, and still it is caught up.
    for (let i = 0; i < 20; i++) {
      const leader = { logEndOffset: 100 + 10 * i, nowMs: 1000 + i }
      progress.fetched({ fetchOffset: 90 + 10 * i, flushedOffset: 70 + 10 * i }, leader)
    }
    expect(progress.caughtUpAtMs).toBeGreaterThanOrEqual(1012)
    expect(progress.hasBeenCaughtUp({ logEndOffset: 290, nowMs: 1019 }, 7)).toBe(true)
  })

  it('caughtUpAtMs: stands still while the log grows -> stays', () => {
    const progress = new FollowerProgress(2, 0)
    for (let nowMs = 10; nowMs <= 100; nowMs += 10) {
      progress.fetched({ fetchOffset: 5, flushedOffset: 5 }, { logEndOffset: 5 + nowMs, nowMs })
    }
    expect(progress.caughtUpAtMs).toBe(0)
    expect(progress.hasBeenCaughtUp({ logEndOffset: 105, nowMs: 100 }, 99)).toBe(false)
    expect(progress.hasBeenCaughtUp({ logEndOffset: 105, nowMs: 100 }, 100)).toBe(true)
  })

  it('leaderAppends: had all until now -> lags from now on; was behind -> no change', () => {
    const idle = new FollowerProgress(2, 0)
    idle.fetched({ fetchOffset: 5, flushedOffset: 5 }, { logEndOffset: 5, nowMs: 10 })
    idle.leaderAppends({ logEndOffset: 5, nowMs: 90_000 })
    expect(idle.caughtUpAtMs).toBe(90_000)
    const behind = new FollowerProgress(3, 0)
    behind.fetched({ fetchOffset: 4, flushedOffset: 4 }, { logEndOffset: 5, nowMs: 10 })
    behind.leaderAppends({ logEndOffset: 5, nowMs: 90_000 })
    expect(behind.caughtUpAtMs).toBe(0)
  })
})
