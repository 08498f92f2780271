// How long a follower waits before it asks again a leader that refused.
import { describe, expect, it } from 'vitest'
import { stamped } from '../storage/fixtures.ts'
import { hostedPartition } from './hosted-partition.ts'

describe('a follower that is refused', () => {
  it('again and again -> it waits longer, up to a bound; after an answer it begins anew', async () => {
    const { partition, clock } = await hostedPartition(2)
    const follower = partition.follower!
    const refusedFor = async (): Promise<number> => {
      const request = follower.nextFetch()!
      await follower.take(request, { kind: 'error', code: 'NOT_LEADER_OR_FOLLOWER', logStartOffset: null })
      expect(follower.nextFetch()).toBeNull()
      const { pauseMs } = follower
      clock.advance(pauseMs)
      return pauseMs
    }
    for (const pauseMs of [5, 10, 20, 40, 80, 160, 320, 400, 400]) expect(await refusedFor()).toBe(pauseMs)
    await follower.take(follower.nextFetch()!, {
      kind: 'records',
      batches: [],
      highWatermark: 2,
      logStartOffset: 0,
    })
    expect(await refusedFor()).toBe(5)
  })

  it('by its own log, again and again -> it waits longer as well; after a write it begins anew', async () => {
    const { partition, clock } = await hostedPartition(2)
    const follower = partition.follower!
    const taken = async (leaderEpoch: number, offset = 5): Promise<number> => {
      const bytes = stamped({ text: 'x', offset, leaderEpoch })
      const batches = [{ bytes, compactedBelow: 0 }]
      await follower.take(follower.nextFetch()!, {
        ...{ kind: 'records', batches, highWatermark: 2, logStartOffset: 0 },
      })
      const { pauseMs } = follower
      clock.advance(pauseMs)
      return pauseMs
    }
    // The log is in epoch 2.
    for (const pauseMs of [5, 10, 20]) expect(await taken(1)).toBe(pauseMs)
    expect(await taken(2)).toBe(0)
    partition.written(6)
    expect(await taken(1, 6)).toBe(5)
  })
})
