import { describe, expect, it } from 'vitest'
import { silentLog } from '../../src/base/log.ts'
import type { BrokerEnvironment, BrokerSettings } from '../../src/broker/broker-environment.ts'
import { ListOffsetsFlow } from '../../src/broker/list-offsets-flow.ts'
import { Partition } from '../../src/broker/partition.ts'
import type { PartitionRegistry } from '../../src/broker/partition-registry.ts'
import type { Offset } from '../../src/model/ids.ts'
import type { RequestOf } from '../../src/protocol/api.ts'
import { errorOfWire } from '../../src/protocol/error-schema.ts'
import type { listOffsets } from '../../src/protocol/list-offsets.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { batchOf, cpu, openTestLog, TOPIC_ID } from '../storage/fixtures.ts'

type Spec = RequestOf<typeof listOffsets>['partitions'][number]['spec']

const REPLICAS = [1, 2]
const earliest: Spec = { type: 'earliest' }
const latest: Spec = { type: 'latest' }
/** Record n has the time 1,000 + 10 n. */
const timeOf = (offset: Offset): Spec => ({ type: 'timestamp', timestampMs: 1_000 + 10 * offset })

/** Broker 1 has just been elected in epoch 3, with 5 records, of which it knows 2 to be committed. */
async function newLeader() {
  const { log } = await openTestLog(new MemoryFileSystem())
  for (let offset = 0; offset < 5; offset++) {
    await log.appendAsLeader(batchOf({ text: `${offset}`, timestampMs: 1_000 + 10 * offset }), 2).written
  }
  await log.flush()
  const clock = new ManualClock()
  const partition = new Partition({
    topicId: TOPIC_ID,
    partition: 0,
    log,
    highWatermark: 2,
    nodeId: 1,
    environment: { clock, cpu, log: silentLog } as unknown as BrokerEnvironment,
    settings: { replicaLagTimeMaxMs: 30_000 } as unknown as BrokerSettings,
    proposeIsr: () => {},
    followLeader: () => {},
    unfollowLeader: () => {},
    reportFlush: () => {},
  })
  const brokers = new Map(
    REPLICAS.map((id) => [id, { brokerEpoch: 10 + id, fenced: false, shuttingDown: false }]),
  )
  await partition.update({
    image: {
      partition: 0,
      replicas: REPLICAS,
      isr: REPLICAS,
      leader: 1,
      leaderEpoch: 3,
      partitionEpoch: 4,
      elr: [],
      lastKnownElr: [],
      synced: true,
      droppedTails: [],
      observers: [],
    },
    brokerEpoch: 11,
    brokers,
    limits: { minInsyncReplicas: 2, maxMessageBytes: 1_000_000, flushMessages: 1, cleanupCompacts: false },
  })
  const flow = new ListOffsetsFlow({ registry: { require: () => partition } as unknown as PartitionRegistry })
  return {
    partition,
    async find(spec: Spec, currentLeaderEpoch = -1): Promise<Offset | null | string> {
      const { partitions } = await flow.handle({
        partitions: [{ topicId: TOPIC_ID, partition: 0, currentLeaderEpoch, spec }],
      })
      const { error, offset } = partitions[0]!
      return error === null ? offset : errorOfWire(error).code
    },
    followerReaches(offset: Offset): void {
      partition.requireLeader().followerFetched({
        replicaId: 2,
        brokerEpoch: 12,
        currentLeaderEpoch: 3,
        fetchOffset: offset,
        flushedOffset: offset,
        lastFetchedEpoch: 2,
      })
    },
  }
}

describe('ListOffsetsFlow', () => {
  it('REP-32: a new leader with high watermark 2 whose epoch begins at 5 -> "latest" waits, what is committed does not', async () => {
    const { find, followerReaches, partition } = await newLeader()
    const { core } = partition.requireLeader().options
    expect([core.highWatermark, core.leaderEpochStartOffset, core.isSettled]).toEqual([2, 5, false])

    expect(await find(latest)).toBe('OFFSET_NOT_AVAILABLE')
    expect(await find(earliest)).toBe(0)
    expect(await find(timeOf(0))).toBe(0)
    expect(await find(timeOf(1))).toBe(1)
    // There are records at and after these times, but whether they are committed is not known here.
    for (const offset of [2, 4, 5, 99]) expect(await find(timeOf(offset))).toBe('OFFSET_NOT_AVAILABLE')

    // One short of the start of the epoch is not enough, however much it moved.
    followerReaches(4)
    expect(core.highWatermark).toBe(4)
    expect(await find(latest)).toBe('OFFSET_NOT_AVAILABLE')
    expect(await find(timeOf(3))).toBe(3)
    expect(await find(timeOf(4))).toBe('OFFSET_NOT_AVAILABLE')

    followerReaches(5)
    expect(await find(latest)).toBe(5)
    expect(await find(timeOf(4))).toBe(4)
    // Now it is certain that there is none.
    expect(await find(timeOf(5))).toBe(null)
  })

  it('REP-35: records above the high watermark of a settled leader -> neither "latest" nor a time finds them', async () => {
    const { find, followerReaches, partition } = await newLeader()
    followerReaches(5)
    const appended = partition.requireLeader().append(batchOf({ text: '5', timestampMs: 1_050 }), -1)
    await appended.written
    partition.written(appended.endOffset)
    expect(partition.requireLeader().options.core.logEndOffset).toBe(6)
    expect(await find(latest)).toBe(5)
    expect(await find(timeOf(5))).toBe(null)
  })

  it.each([
    [2, 'FENCED_LEADER_EPOCH'],
    [4, 'UNKNOWN_LEADER_EPOCH'],
    [3, 'OFFSET_NOT_AVAILABLE'],
  ])('REP-14: asked in leader epoch %i of a leader in epoch 3 -> %s', async (epoch, expected) => {
    const { find } = await newLeader()
    expect(await find(latest, epoch)).toBe(expected)
  })
})
