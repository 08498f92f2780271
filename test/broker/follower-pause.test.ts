// How long a follower waits before it asks again a leader that refused.
import { describe, expect, it } from 'vitest'
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
})
