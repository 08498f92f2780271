import { describe, expect, it } from 'vitest'
import { LowWatermark } from '../../src/broker/low-watermark.ts'
import { VltavaError } from '../../src/model/errors.ts'

function deletionAt(low: LowWatermark, offset: number): string[] {
  const outcomes: string[] = []
  low.add({ offset, settle: (error) => outcomes.push(error?.code ?? 'deleted') })
  return outcomes
}

describe('LowWatermark', () => {
  it('REP-44: all in-sync replicas start at the offset -> settled; one does not, or has not said -> waits', () => {
    const starts = new Map([[2, 5]])
    const leader = { isBelowMinIsr: false, logStartOf: (id: number) => starts.get(id) ?? -1 }
    const low = new LowWatermark(leader)
    const outcomes = deletionAt(low, 5)
    low.release(() => [2, 3])
    expect([outcomes, low.startBelow(5, [2, 3])]).toEqual([[], [3]])
    starts.set(3, 4)
    low.release(() => [2, 3])
    expect(outcomes).toEqual([])
    starts.set(3, 6)
    low.release(() => [2, 3])
    low.release(() => [2, 3])
    expect(outcomes).toEqual(['deleted'])
  })

  it('REP-44: too few in sync -> waits, for others may be elected that have not deleted it', () => {
    const leader = { isBelowMinIsr: true, logStartOf: () => 9 }
    const low = new LowWatermark(leader)
    const outcomes = deletionAt(low, 5)
    low.release(() => [])
    expect(outcomes).toEqual([])
    leader.isBelowMinIsr = false
    low.release(() => [2])
    expect(outcomes).toEqual(['deleted'])
  })

  it('the leadership ends -> every deletion that waits fails, once', () => {
    const low = new LowWatermark({ isBelowMinIsr: false, logStartOf: () => -1 })
    const outcomes = deletionAt(low, 1)
    for (let i = 0; i < 2; i++) low.failAll(new VltavaError('NOT_LEADER_OR_FOLLOWER', 'over'))
    expect(outcomes).toEqual(['NOT_LEADER_OR_FOLLOWER'])
  })
})
