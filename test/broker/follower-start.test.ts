// A follower whose log begins anew where the leader's log starts, inside of a batch.
import { describe, expect, it } from 'vitest'
import { deferred } from '../../src/base/async/deferred.ts'
import type { FollowerRole, LeaderBatches } from '../../src/broker/follower-role.ts'
import { baseOffsetOf, nextOffsetOf } from '../../src/record/batch-format.ts'
import { emptyBatch } from '../../src/record/empty-batch.ts'
import type { FetchResponse } from '../../src/replication/partition-follower.ts'
import { posixError } from '../../src/storage/memory-file-system.ts'
import { cpu, joined, stamped, type TestLogOptions } from '../storage/fixtures.ts'
import { settled } from '../storage/gated-disk.ts'
import { type HostedPartition, hostedPartition } from './hosted-partition.ts'

const BATCH = stamped({ text: 'a', records: 4, offset: 6, leaderEpoch: 3 })

/** The leader, whose log starts at 8, inside of the batch of the offsets 6 to 9. */
async function restarted(
  options: TestLogOptions = {},
): Promise<HostedPartition & { readonly follower: FollowerRole }> {
  const hosted = await hostedPartition(2, options)
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

  it('all that it had is deleted at the leader -> its high watermark does not go back while it begins inside of the batch', async () => {
    const { partition, clock } = await hostedPartition(2)
    const follower = partition.follower!
    // The batch of the offsets 4 to 7 in the log of the leader; here the log ends at 5.
    const bytes = stamped({ text: 'a', records: 4, offset: 4, leaderEpoch: 3 })
    const records: FetchResponse<LeaderBatches> = {
      ...{ kind: 'records', highWatermark: 8, logStartOffset: 5 },
      batches: [{ bytes, compactedBelow: 0 }],
    }
    await take(follower, records)
    clock.advance(50)
    expect([partition.log.logStartOffset, partition.log.logEndOffset]).toEqual([5, 5])
    const seen = await highWatermarksDuring(partition, take(follower, records)!)
    expect(Math.min(...seen)).toBe(5)
    expect([partition.log.logStartOffset, partition.log.logEndOffset]).toEqual([5, 8])
  })

  it('the batch is refused -> the log begins where it did', async () => {
    const { partition, follower } = await restarted()
    const damaged = Uint8Array.from(BATCH)
    damaged[damaged.length - 1]! ^= 1
    const seen = await highWatermarksDuring(
      partition,
      take(follower, { ...RECORDS, batches: [{ bytes: damaged, compactedBelow: 0 }] })!,
    )
    expect([partition.log.logStartOffset, partition.log.logEndOffset]).toEqual([8, 8])
    expect(Math.min(...seen)).toBe(8)
  })

  it('STO-16: the disk is full -> tries again until it is not', async () => {
    let isFull = false
    const refused = deferred<void>()
    const { partition, follower, clock } = await restarted({
      lowerRecoveryPoint: async () => {
        if (!isFull) return
        refused.resolve()
        throw posixError('ENOSPC', '/data/recovery-points.tmp')
      },
    })
    isFull = true
    const taken = take(follower, RECORDS)
    await refused.promise
    isFull = false
    await settled()
    clock.advance(1_000)
    await taken
    expect([partition.log.logStartOffset, partition.log.logEndOffset]).toEqual([8, 10])
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
/** What the high watermark is at each moment until a step is over. */
async function highWatermarksDuring(
  partition: HostedPartition['partition'],
  step: Promise<void>,
): Promise<readonly number[]> {
  const seen = [partition.highWatermark]
  let isDone = false
  const done = step.finally(() => {
    isDone = true
  })
  while (!isDone) {
    await Promise.resolve()
    seen.push(partition.highWatermark)
  }
  await done
  return seen
}
