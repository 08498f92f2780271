// Applies committed records to an image. Every node applies the same batches and must reach the same image, so nothing
// here looks at a clock or draws a number (RAFT-33). What a correct controller can never propose is asserted: the
// controller applies a batch to its speculative image first, so a broken rule stops it before anything is proposed.
import { assert, unreachable } from '../base/assert.ts'
import type { MetadataOffset, NodeId } from '../model/ids.ts'
import { type ClusterImage, isActive, type PartitionImage, type TopicImage } from './cluster-image.ts'
import { minIsrOf } from './eligible-replicas.ts'
import { ImageDraft } from './image-draft.ts'
import type { MetadataRecord, MetadataRecordOf } from './metadata-records.ts'

/**
 * The image after one batch. The batch applies as a whole; the given image stays as it is.
 * @param records empty for the entry with which a Raft leader starts its term: only the offset moves.
 * @param metadataOffset the Raft index of the batch; the one behind the image's.
 * @throws AssertionError when a record contradicts the image
 */
export function applyBatch(
  image: ClusterImage,
  records: readonly MetadataRecord[],
  metadataOffset: MetadataOffset,
): ClusterImage {
  assert(
    metadataOffset === image.metadataOffset + 1,
    `metadata batch ${metadataOffset} does not follow ${image.metadataOffset}`,
  )
  const draft = new ImageDraft(image)
  for (const record of records) applyRecord(draft, record, metadataOffset)
  for (const { topic, partitions } of draft.touched()) {
    assert(topic.partitions.length > 0, `topic ${topic.name} has no partitions`)
    for (const partition of partitions) {
      assertMembersMayServe(draft, partition)
      assertElrIsSound(topic, partition)
    }
  }
  return draft.finish(metadataOffset)
}

/** Applies one record of a batch. What only holds at the end of the batch is checked by `applyBatch`. */
export function applyRecord(draft: ImageDraft, record: MetadataRecord, metadataOffset: MetadataOffset): void {
  switch (record.type) {
    case 'cluster-formed':
      assert(draft.clusterId === null, 'a cluster is formed once')
      draft.form({ clusterId: record.clusterId, voters: record.voters })
      return
    case 'voters-changed':
      assert(draft.clusterId !== null, 'the voters change before the cluster is formed')
      draft.setVoters(record.voters)
      return
    case 'broker-registered':
      applyRegistration(draft, record, metadataOffset)
      return
    case 'broker-fencing-changed': {
      const broker = draft.broker(record.brokerId)
      assert(broker !== undefined, `fencing of broker ${record.brokerId}, which is not registered`)
      assert(
        broker.brokerEpoch === record.brokerEpoch,
        `fencing under broker epoch ${record.brokerEpoch}, registered is ${broker.brokerEpoch}`,
      )
      const { fenced, shuttingDown } = record
      const unfencedEpoch = fenced ? broker.unfencedEpoch : broker.brokerEpoch
      draft.setBroker({ ...broker, fenced, shuttingDown, unfencedEpoch, stateOffset: metadataOffset })
      return
    }
    case 'broker-cordon-changed': {
      const broker = draft.broker(record.brokerId)
      assert(broker !== undefined, `cordon of broker ${record.brokerId}, which is not registered`)
      draft.setBroker({ ...broker, cordoned: record.cordoned })
      return
    }
    case 'broker-unregistered':
      applyUnregistration(draft, record)
      return
    case 'topic-created':
      assert(draft.topic(record.topicId) === undefined, `topic id ${record.topicId} is used twice`)
      assert(draft.topicIdOf(record.name) === undefined, `topic ${record.name} exists already`)
      draft.addTopic({
        topicId: record.topicId,
        name: record.name,
        configs: new Map(record.configs.map(({ name, value }) => [name, value])),
      })
      return
    case 'topic-configs-changed':
      draft.setConfigs(record.topicId, new Map(record.configs.map(({ name, value }) => [name, value])))
      return
    case 'topic-deleted': {
      const topic = draft.topic(record.topicId)
      assert(topic !== undefined, `deleted topic ${record.topicId} does not exist`)
      draft.removeTopic(topic, metadataOffset)
      return
    }
    case 'broker-configs-changed':
      draft.setBrokerConfigs(record.brokerId, new Map(record.configs.map(({ name, value }) => [name, value])))
      return
    case 'partition-created':
      applyPartitionCreated(draft, record)
      return
    case 'partition-changed':
      applyPartitionChanged(draft, record)
      return
    default:
      unreachable(record)
  }
}

function applyRegistration(
  draft: ImageDraft,
  record: MetadataRecordOf<'broker-registered'>,
  metadataOffset: MetadataOffset,
): void {
  assert(
    record.brokerEpoch === (metadataOffset as number),
    `broker epoch ${record.brokerEpoch} is not the metadata offset ${metadataOffset} of its registration`,
  )
  const previous = draft.broker(record.brokerId)
  assert(
    previous === undefined || previous.fenced,
    `broker ${record.brokerId} registers while an earlier run is not fenced`,
  )
  draft.setBroker({
    unfencedEpoch: previous?.unfencedEpoch ?? -1,
    brokerId: record.brokerId,
    brokerEpoch: record.brokerEpoch,
    incarnationId: record.incarnationId,
    directoryId: record.directoryId,
    url: record.url,
    fenced: true,
    shuttingDown: false,
    stateOffset: metadataOffset,
    rack: record.rack,
    cordoned: previous?.cordoned ?? false,
  })
}

function applyUnregistration(draft: ImageDraft, record: MetadataRecordOf<'broker-unregistered'>): void {
  const { brokerId, brokerEpoch } = record
  const broker = draft.broker(brokerId)
  assert(broker !== undefined, `broker ${brokerId} is taken away, which is not registered`)
  assert(
    broker.brokerEpoch === brokerEpoch && broker.fenced,
    `broker ${brokerId} is taken away under broker epoch ${brokerEpoch}, registered is ${broker.brokerEpoch}${broker.fenced ? '' : ', unfenced'}`,
  )
  for (const { name, partitions } of draft.topics()) {
    const hosted = partitions.find(({ replicas }) => replicas.includes(brokerId))
    assert(hosted === undefined, `broker ${brokerId} is taken away and hosts ${name}/${hosted?.partition}`)
  }
  draft.removeBroker(brokerId)
  // The settings of a node are those of its controller as well, which may vote on.
  if (!draft.voters.some(({ nodeId }) => nodeId === brokerId)) draft.setBrokerConfigs(brokerId, new Map())
}

function applyPartitionCreated(draft: ImageDraft, record: MetadataRecordOf<'partition-created'>): void {
  const { topicId, partition, replicas, isr, leader, synced, observers } = record
  assert(
    draft.topic(topicId)?.partitions.length === partition,
    `partition ${topicId}/${partition} leaves a gap or exists`,
  )
  assert(replicas.length > 0, `partition ${topicId}/${partition} has no replicas`)
  assert(!hasDuplicates(replicas), `partition ${topicId}/${partition} names a replica twice`)
  const none = { leaderEpoch: 0, partitionEpoch: 0, elr: [], lastKnownElr: [], droppedTails: [] }
  const created = { partition, replicas, isr, leader, synced, observers, reassignment: null, ...none }
  assertIsrIsSound(created)
  draft.setPartition(topicId, created)
}

function applyPartitionChanged(draft: ImageDraft, record: MetadataRecordOf<'partition-changed'>): void {
  const previous = draft.partition(record)
  const what = `partition ${record.topicId}/${record.partition}`
  assert(previous !== undefined, `${what} does not exist`)
  assert(
    record.partitionEpoch === previous.partitionEpoch + 1,
    `${what}: partition epoch ${record.partitionEpoch} does not follow ${previous.partitionEpoch}`,
  )
  assert(
    record.leaderEpoch === previous.leaderEpoch || record.leaderEpoch === previous.leaderEpoch + 1,
    `${what}: leader epoch ${record.leaderEpoch} does not follow ${previous.leaderEpoch}`,
  )
  assert(
    record.leader === previous.leader || record.leaderEpoch > previous.leaderEpoch,
    `${what}: the leader changes within leader epoch ${record.leaderEpoch}`,
  )
  const { isr, leader, leaderEpoch, partitionEpoch, elr, lastKnownElr, synced, droppedTails } = record
  const { observers, reassignment } = record
  const replicas = record.replicas ?? previous.replicas
  const eligible = { elr, lastKnownElr, synced, droppedTails }
  const state = { isr, leader, leaderEpoch, partitionEpoch, ...eligible }
  const changed = { ...previous, ...state, replicas, observers, reassignment }
  assert(
    leaderEpoch > previous.leaderEpoch ||
      (record.replicas === null && (reassignment !== null || previous.reassignment === null)),
    `${what}: the replicas change, or their move ends, within leader epoch ${leaderEpoch}`,
  )
  assertReplicasAreSound(changed)
  assertIsrIsSound(changed)
  draft.setPartition(record.topicId, changed)
}

function assertReplicasAreSound({ partition, replicas, reassignment }: PartitionImage): void {
  assert(replicas.length > 0, `partition ${partition} has no replicas`)
  assert(!hasDuplicates(replicas), `partition ${partition} names a replica twice`)
  if (reassignment === null) return
  const both = new Set([...reassignment.original, ...reassignment.target])
  assert(
    both.size === replicas.length && replicas.every((brokerId) => both.has(brokerId)),
    `partition ${partition} moves from ${reassignment.original.join(',')} to ${reassignment.target.join(',')} with replicas ${replicas.join(',')}`,
  )
}

function assertIsrIsSound({ partition, replicas, isr, leader }: PartitionImage): void {
  assert(!hasDuplicates(isr), `the ISR of partition ${partition} names a replica twice`)
  assert(
    isr.every((brokerId) => replicas.includes(brokerId)),
    `the ISR ${isr.join(',')} of partition ${partition} is not within its replicas ${replicas.join(',')}`,
  )
  assert(
    leader === null || isr.includes(leader),
    `the leader ${leader} of partition ${partition} is not in its ISR ${isr.join(',')}`,
  )
}

/** The ELR remembers who else may be elected; with a large enough ISR nobody else may. */
function assertElrIsSound(
  topic: TopicImage,
  { partition, replicas, isr, elr, lastKnownElr, droppedTails, observers }: PartitionImage,
): void {
  assert(
    !hasDuplicates(observers) && observers.every((brokerId) => replicas.includes(brokerId)),
    `the observers ${observers.join(',')} of partition ${partition} are not within its replicas ${replicas.join(',')}`,
  )
  assert(
    observers.length < replicas.length &&
      !observers.some((brokerId) => isr.includes(brokerId) || elr.includes(brokerId)),
    `partition ${partition}: an observer of ${observers.join(',')} is in the ISR ${isr.join(',')} or ELR ${elr.join(',')}, or there is no voter`,
  )
  const known = [...isr, ...elr, ...lastKnownElr]
  assert(
    !hasDuplicates(known) && known.every((brokerId) => replicas.includes(brokerId)),
    `partition ${partition}: ISR ${isr.join(',')}, ELR ${elr.join(',')} and last known ELR ${lastKnownElr.join(',')} overlap or leave the replicas`,
  )
  assert(
    elr.length === 0 || isr.length < minIsrOf(topic, topic.partitions[partition]!),
    `partition ${partition} has the ELR ${elr.join(',')} beside a large enough ISR ${isr.join(',')}`,
  )
  const cut = droppedTails.map(({ brokerId }) => brokerId)
  assert(
    !hasDuplicates(cut) && cut.every((brokerId) => elr.includes(brokerId)),
    `partition ${partition}: the tails of ${cut.join(',')} are not those of members of the ELR ${elr.join(',')}`,
  )
}

/**
 * A fenced broker leads nothing and is in no ISR; one that is stopping is in an ISR only as the last member. Logs from before
 * there was an ELR have a fenced last member in the ISR of a partition without a leader.
 */
function assertMembersMayServe(draft: ImageDraft, { partition, isr, elr, leader }: PartitionImage): void {
  assert(
    leader === null || draft.broker(leader)?.fenced === false,
    `the leader ${leader} of partition ${partition} is fenced or not registered`,
  )
  assert(
    isr.every((brokerId) => isActive(draft.broker(brokerId))) ||
      (isr.length === 1 && (leader !== null || elr.length === 0)),
    `the ISR ${isr.join(',')} of partition ${partition} has an inactive member that is not its last one`,
  )
}

function hasDuplicates(brokers: readonly NodeId[]): boolean {
  return brokers.some((brokerId, i) => brokers.indexOf(brokerId) !== i)
}
