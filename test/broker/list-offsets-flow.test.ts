import { describe, expect, it } from 'vitest'
import { ListOffsetsFlow } from '../../src/broker/list-offsets-flow.ts'
import type { Offset } from '../../src/model/ids.ts'
import type { RequestOf } from '../../src/protocol/api.ts'
import { errorOfWire } from '../../src/protocol/error-schema.ts'
import type { listOffsets } from '../../src/protocol/list-offsets.ts'
import { batchOf, TOPIC_ID } from '../storage/fixtures.ts'
import { hostedPartition } from './hosted-partition.ts'

type Spec = RequestOf<typeof listOffsets>['partitions'][number]['spec']

const earliest: Spec = { type: 'earliest' }
const latest: Spec = { type: 'latest' }
const timeOf = (offset: Offset): Spec => ({ type: 'timestamp', timestampMs: 1_000 + 10 * offset })

/** Broker 1 has just been elected. */
async function newLeader() {
  const hosted = await hostedPartition(1)
  const flow = new ListOffsetsFlow(hosted)
  return {
    ...hosted,
    find: async (spec: Spec, currentLeaderEpoch = -1): Promise<Offset | null | string> => {
      const { partitions } = await flow.handle({
        partitions: [{ topicId: TOPIC_ID, partition: 0, currentLeaderEpoch, spec }],
      })
      const { error, offset } = partitions[0]!
      return error === null ? offset : errorOfWire(error).code
    },
  }
}

describe('ListOffsetsFlow', () => {
  it('REP-32: a new leader with high watermark 2 whose epoch begins at 5 -> "latest" waits, what is committed does not', async () => {
    const leader = await newLeader()
    const { find, partition } = leader
    const { core } = partition.requireLeader().options
    expect([core.highWatermark, core.leaderEpochStartOffset, core.isSettled]).toEqual([2, 5, false])

    expect(await find(latest)).toBe('OFFSET_NOT_AVAILABLE')
    expect(await find(earliest)).toBe(0)
    expect(await find(timeOf(0))).toBe(0)
    expect(await find(timeOf(1))).toBe(1)
    // There are records at and after these times, but whether they are committed is not known here.
    for (const offset of [2, 4, 5, 99]) expect(await find(timeOf(offset))).toBe('OFFSET_NOT_AVAILABLE')

    // One short of the start of the epoch is not enough, however much it moved.
    leader.followerReaches(4)
    expect(core.highWatermark).toBe(4)
    expect(await find(latest)).toBe('OFFSET_NOT_AVAILABLE')
    expect(await find(timeOf(3))).toBe(3)
    expect(await find(timeOf(4))).toBe('OFFSET_NOT_AVAILABLE')

    leader.followerReaches(5)
    expect(await find(latest)).toBe(5)
    expect(await find(timeOf(4))).toBe(4)
    // Now it is certain that there is none.
    expect(await find(timeOf(5))).toBe(null)
  })

  it('REP-35: records above the high watermark of a settled leader -> neither "latest" nor a time finds them', async () => {
    const leader = await newLeader()
    const { find, partition } = leader
    leader.followerReaches(5)
    const appended = partition.requireLeader().append(batchOf({ text: '5', timestampMs: 1_050 }), -1)
    await appended.written
    partition.written(appended.endOffset)
    expect(partition.requireLeader().options.core.logEndOffset).toBe(6)
    expect(await find(latest)).toBe(5)
    expect(await find(timeOf(5))).toBe(null)
  })
})
