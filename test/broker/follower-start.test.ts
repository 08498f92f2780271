// A follower whose log begins anew where the leader's log starts, inside of a batch.
import { describe, expect, it } from 'vitest'
import type { FollowerRole, LeaderBatches } from '../../src/broker/follower-role.ts'
import { baseOffsetOf, nextOffsetOf } from '../../src/record/batch-format.ts'
import { emptyBatch } from '../../src/record/empty-batch.ts'
import type { FetchResponse } from '../../src/replication/partition-follower.ts'
import { cpu, joined, stamped } from '../storage/fixtures.ts'
import { type HostedPartition, hostedPartition } from './hosted-partition.ts'

const BATCH = stamped({ text: 'a', records: 4, offset: 6, leaderEpoch: 3 })

/** The leader, whose log starts at 8, inside of the batch of the offsets 6 to 9. */
async function restarted(): Promise<HostedPartition & { readonly follower: FollowerRole }> {
  const hosted = await hostedPartition(2)
  const follower = hosted.partition.follower!
  await take(follower, { kind: 'error', code: 'OFFSET_OUT_OF_RANGE', logStartOffset: 8 })
  return { ...hosted, follower }
}

function take(follower: FollowerRole, response: FetchResponse<LeaderBatches>): Promise<void> | null {
  return follower.take(follower.nextFetch()!, response)
}

const RECORDS: FetchResponse<LeaderBatches> = {
  kind: 'records',
  highWatermark: 10,
  logStartOffset: 8,
  batches: [{ bytes: BATCH, compactedBelow: 0 }],
}

describe('a log that begins inside of a batch', () => {
  it('REP-44: before the leader hears that it has the batch, the log starts where it does there', async () => {
    const { partition, follower } = await restarted()
    await take(follower, RECORDS)
    expect([partition.log.logStartOffset, partition.log.logEndOffset]).toEqual([8, 10])
  })

  it('the role ends before the batch is written -> the log begins where it did', async () => {
    const { partition, follower } = await restarted()
    const taken = take(follower, RECORDS)
    await follower.end()
    await taken
    expect([partition.log.logStartOffset, partition.log.logEndOffset]).toEqual([8, 8])
    expect(partition.highWatermark).toBeLessThanOrEqual(8)
  })
})

describe('a leader that has compacted around the end of the log', () => {
  it('STO-33: an empty batch that begins below the log end -> the part from there on is appended', async () => {
    const { partition, follower } = await restarted()
    const gone = emptyBatch({ baseOffset: 5, nextOffset: 10, leaderEpoch: 1 }, cpu)
    const bytes = joined([gone, stamped({ text: 'b', records: 1, offset: 10, leaderEpoch: 1 })])
    await take(follower, { ...RECORDS, batches: [{ bytes, compactedBelow: 11 }] })
    const { log } = partition
    expect([log.readableFrom, log.logEndOffset, log.compaction.compactedBelow]).toEqual([8, 11, 11])
    const read = await log.read({ offset: 8, endOffset: 11, maxBytes: 1_000, atLeastOneBatch: true })
    expect([baseOffsetOf(read[0]!, 0), nextOffsetOf(read[0]!, 0)]).toEqual([8, 10])
  })
})
