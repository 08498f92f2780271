// One partition of a broker with a real log and real cores, without the broker around it.
import { silentLog } from '../../src/base/log.ts'
import type { BrokerEnvironment, BrokerSettings } from '../../src/broker/broker-environment.ts'
import { Partition } from '../../src/broker/partition.ts'
import type { PartitionRegistry } from '../../src/broker/partition-registry.ts'
import type { PartitionImage } from '../../src/metadata/cluster-image.ts'
import type { NodeId, Offset } from '../../src/model/ids.ts'
import { MemoryFileSystem } from '../../src/storage/memory-file-system.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { batchOf, cpu, openTestLog, type TestLogOptions, TOPIC_ID } from '../storage/fixtures.ts'

const REPLICAS = [1, 2]

const FIRST_IMAGE: Omit<PartitionImage, 'isr' | 'leader'> = {
  partition: 0,
  replicas: REPLICAS,
  leaderEpoch: 3,
  partitionEpoch: 4,
  elr: [],
  lastKnownElr: [],
  synced: true,
  droppedTails: [],
  observers: [],
  reassignment: null,
}

export interface HostedPartition {
  readonly partition: Partition
  readonly clock: ManualClock
  readonly environment: BrokerEnvironment
  /** Knows this partition alone. */
  readonly registry: PartitionRegistry
  /** Metadata says something else of the partition from now on. */
  readonly update: (change: Partial<PartitionImage>) => Promise<void>
  /** The other replica says that it has fsynced everything below the offset. */
  followerReaches(offset: Offset): void
  /** Whether something happened since this was asked last that makes it be looked at. */
  unsettled(): boolean
}

/**
 * Broker 1 hosts the partition with 5 records of epoch 2, of which it knows 2 to be committed. Record n has the time
 * 1,000 + 10 n. In epoch 3 it leads, or follows broker 2.
 */
export async function hostedPartition(
  leader: NodeId,
  { isr = REPLICAS, ...options }: TestLogOptions & { readonly isr?: readonly NodeId[] } = {},
): Promise<HostedPartition> {
  const { log } = await openTestLog(new MemoryFileSystem(), options)
  for (let offset = 0; offset < 5; offset++) {
    await log.appendAsLeader(batchOf({ text: `${offset}`, timestampMs: 1_000 + 10 * offset }), 2).written
  }
  await log.flush()
  const clock = new ManualClock()
  const environment = { clock, cpu, log: silentLog } as unknown as BrokerEnvironment
  let isUnsettled = false
  const partition = new Partition({
    topicId: TOPIC_ID,
    partition: 0,
    log,
    highWatermark: 2,
    nodeId: 1,
    environment,
    settings: { replicaLagTimeMaxMs: 30_000 } as unknown as BrokerSettings,
    proposeIsr: () => {},
    followLeader: () => {},
    unfollowLeader: () => {},
    reportFlush: () => {},
    logTouched: () => {},
    unsettled: () => {
      isUnsettled = true
    },
  })
  const states = REPLICAS.map(
    (id) => [id, { brokerEpoch: 10 + id, fenced: false, shuttingDown: false }] as const,
  )
  let image: PartitionImage = { ...FIRST_IMAGE, isr, leader }
  const update = (change: Partial<PartitionImage>): Promise<void> => {
    image = { ...image, ...change }
    return partition.update({
      image,
      brokerEpoch: 11,
      brokers: new Map(states),
      limits: { minInsyncReplicas: 2, maxMessageBytes: 1_000_000, flushMessages: 1, cleanupCompacts: false },
    })
  }
  await update({})
  return {
    update,
    partition,
    clock,
    environment,
    registry: { require: () => partition, find: () => partition } as unknown as PartitionRegistry,
    followerReaches(offset) {
      partition.requireLeader().followerFetched({
        replicaId: 2,
        brokerEpoch: 12,
        currentLeaderEpoch: 3,
        fetchOffset: offset,
        flushedOffset: offset,
        lastFetchedEpoch: 2,
      })
    },
    unsettled() {
      const was = isUnsettled
      isUnsettled = false
      return was
    },
  }
}
