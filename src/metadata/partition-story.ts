// Tells what became of one partition: the records of the metadata log that concern it, each as a plain sentence with the
// cause that the record carries. The log is walked from its first record on; what was before has to be given.
import type { LeaderEpoch, MetadataOffset, NodeId, TopicPartition } from '../model/ids.ts'
import type { Reassignment } from './cluster-image.ts'
import type { Cause, MetadataRecord, MetadataRecordOf } from './metadata-records.ts'
import { sameMembers } from './partition-change.ts'

export interface StoryEvent {
  readonly metadataOffset: MetadataOffset
  /** Wall clock of who saw the cause, in milliseconds since 1970; null for a record without a cause. */
  readonly observedAtMs: number | null
  /** The node that saw it; null for a record without a cause. */
  readonly observerId: NodeId | null
  /** The kind of the cause; null for a record without one. */
  readonly cause: Cause['kind'] | null
  /** What changed, in plain sentences. */
  readonly what: string
  /** The evidence, in words; empty where there is none. */
  readonly why: string
  readonly record: MetadataRecord
}

interface PartitionState {
  readonly isr: readonly NodeId[]
  readonly elr: readonly NodeId[]
  readonly leader: NodeId | null
  readonly leaderEpoch: LeaderEpoch
  readonly synced: boolean
  readonly observers: readonly NodeId[]
  readonly reassignment: Reassignment | null
}

/** What is known of a partition before the first record that is walked. */
export interface PartitionBefore {
  readonly topicName: string
  readonly replicas: readonly NodeId[]
}

export class PartitionStory {
  readonly #target: TopicPartition
  readonly #events: StoryEvent[] = []
  #topicName: string
  #replicas: readonly NodeId[]
  /** null until the first record tells it. */
  #state: PartitionState | null = null

  /** @param before null where the partition does not exist yet. */
  constructor(target: TopicPartition, before: PartitionBefore | null) {
    this.#target = target
    this.#topicName = before?.topicName ?? target.topicId
    this.#replicas = before?.replicas ?? []
  }

  get events(): readonly StoryEvent[] {
    return this.#events
  }

  /** To be called for every batch of the log in its order. */
  batch(metadataOffset: MetadataOffset, records: readonly MetadataRecord[]): void {
    for (const record of records) {
      const what = this.#sentences(record)
      if (what.length === 0) continue
      const cause = 'cause' in record ? record.cause : null
      this.#events.push({
        metadataOffset,
        observedAtMs: cause?.observedAtMs ?? null,
        observerId: cause?.observerId ?? null,
        cause: cause?.kind ?? null,
        what: what.join(' '),
        why: cause?.detail ?? '',
        record,
      })
    }
  }

  #sentences(record: MetadataRecord): readonly string[] {
    switch (record.type) {
      case 'topic-created':
        if (record.topicId === this.#target.topicId) this.#topicName = record.name
        return []
      case 'topic-deleted':
        return record.topicId === this.#target.topicId ? [`Topic ${this.#topicName} was deleted.`] : []
      case 'topic-configs-changed':
        return record.topicId === this.#target.topicId
          ? [`The settings of topic ${this.#topicName} changed.`]
          : []
      case 'broker-configs-changed':
        return []
      case 'partition-created':
        return this.#isTarget(record) ? this.#created(record) : []
      case 'partition-changed':
        return this.#isTarget(record) ? this.#changed(record) : []
      case 'broker-registered':
        return this.#isReplica(record.brokerId)
          ? [`Broker ${record.brokerId} registered a new run, at ${record.url}.`]
          : []
      case 'broker-fencing-changed':
        return this.#isReplica(record.brokerId) ? [fencing(record)] : []
      default:
        return []
    }
  }

  #isTarget({ topicId, partition }: TopicPartition): boolean {
    return topicId === this.#target.topicId && partition === this.#target.partition
  }

  #isReplica(brokerId: NodeId): boolean {
    return this.#replicas.includes(brokerId)
  }

  #created(record: MetadataRecordOf<'partition-created'>): readonly string[] {
    const { replicas, isr, leader, synced, observers } = record
    this.#replicas = replicas
    this.#state = { isr, elr: [], leader, leaderEpoch: 0, synced, observers, reassignment: null }
    return [
      `${this.#topicName}/${record.partition} was created with replicas ${listOf(replicas)}.`,
      leader === null ? 'Nobody leads.' : `Broker ${leader} leads in leader epoch 0.`,
    ]
  }

  #changed(record: MetadataRecordOf<'partition-changed'>): readonly string[] {
    const before = this.#state
    const replicas = this.#replicas
    this.#state = record
    this.#replicas = record.replicas ?? replicas
    if (before === null) return firstSentences(record)
    const sentences = [
      ...replicaSentences(replicas, this.#replicas),
      ...moveSentences(before.reassignment, record.reassignment),
      ...roleSentences(before.observers, record.observers, this.#replicas),
      ...leaderSentences(before, record),
      ...isrSentences(before.isr, record.isr),
      ...elrSentences(before.elr, record.elr),
      ...syncSentences(before.synced, record.synced),
    ]
    return sentences.length > 0
      ? sentences
      : [`Nothing changed but the partition epoch, which is ${record.partitionEpoch} now.`]
  }
}

/** Where the log does not tell what was before. */
function firstSentences({
  leader,
  leaderEpoch,
  isr,
}: MetadataRecordOf<'partition-changed'>): readonly string[] {
  return [
    leader === null ? 'Nobody leads.' : `Broker ${leader} leads in leader epoch ${leaderEpoch}.`,
    `The in-sync set is ${isr.length === 0 ? 'empty' : listOf(isr)}.`,
  ]
}

function elrSentences(before: readonly NodeId[], after: readonly NodeId[]): readonly string[] {
  if (sameMembers(before, after)) return []
  return after.length === 0
    ? ['Nobody else is eligible any more.']
    : [`Outside of the in-sync set ${brokers(after)} may be elected as well.`]
}

function replicaSentences(before: readonly NodeId[], after: readonly NodeId[]): readonly string[] {
  if (before === after) return []
  const added = after.filter((id) => !before.includes(id))
  const removed = before.filter((id) => !after.includes(id))
  const changes = [
    ...(added.length === 0 ? [] : [`${brokers(added)} joined the replicas`]),
    ...(removed.length === 0 ? [] : [`${brokers(removed)} left the replicas`]),
  ]
  return changes.length === 0
    ? [`The order of the replicas is ${listOf(after)} now.`]
    : [`${capital(changes.join(' and '))}, which are ${listOf(after)} now.`]
}

function moveSentences(before: Reassignment | null, after: Reassignment | null): readonly string[] {
  if (after === null) return before === null ? [] : ['The move of the replicas ended.']
  if (before !== null) return []
  return [`The replicas move from ${listOf(after.original)} to ${listOf(after.target)}.`]
}

function roleSentences(
  before: readonly NodeId[],
  after: readonly NodeId[],
  replicas: readonly NodeId[],
): readonly string[] {
  const promoted = before.filter((id) => !after.includes(id) && replicas.includes(id))
  return [
    ...after.filter((id) => !before.includes(id)).map((id) => `Broker ${id} is an observer now.`),
    ...promoted.map((id) => `Broker ${id} is a voter now.`),
  ]
}

function syncSentences(before: boolean, after: boolean): readonly string[] {
  if (before === after) return []
  return after
    ? ['Every record that counts is fsynced where it counts.']
    : ['Records may count that are only written.']
}

function leaderSentences(
  before: PartitionState,
  { leader, leaderEpoch, isr, elr }: MetadataRecordOf<'partition-changed'>,
): readonly string[] {
  if (leader === before.leader) {
    if (leaderEpoch === before.leaderEpoch) return []
    return [`Broker ${leader ?? '-'} leads on, in leader epoch ${leaderEpoch}.`]
  }
  if (leader === null) {
    return [
      `Broker ${before.leader ?? '-'} leads no more, and nobody does: the partition waits for ${listOf([...isr, ...elr]) || 'an order by an operator'}.`,
    ]
  }
  const instead = before.leader === null ? '; nobody led before' : `, in place of broker ${before.leader}`
  return [`Broker ${leader} leads in leader epoch ${leaderEpoch}${instead}.`]
}

function isrSentences(before: readonly NodeId[], after: readonly NodeId[]): readonly string[] {
  const joined = after.filter((id) => !before.includes(id))
  const left = before.filter((id) => !after.includes(id))
  if (joined.length === 0 && left.length === 0) return []
  const changes = [
    ...(left.length === 0 ? [] : [`${brokers(left)} left the in-sync set`]),
    ...(joined.length === 0 ? [] : [`${brokers(joined)} joined the in-sync set`]),
  ]
  return [`${capital(changes.join(' and '))}, which is ${after.length === 0 ? 'empty' : listOf(after)} now.`]
}

function fencing({ brokerId, fenced, shuttingDown }: MetadataRecordOf<'broker-fencing-changed'>): string {
  if (fenced) return `Broker ${brokerId} was fenced.`
  return shuttingDown ? `Broker ${brokerId} asked for leave to stop.` : `Broker ${brokerId} was unfenced.`
}

function brokers(ids: readonly NodeId[]): string {
  return `${ids.length === 1 ? 'broker' : 'brokers'} ${listOf(ids)}`
}

function listOf(ids: readonly NodeId[]): string {
  return ids.join(', ')
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
