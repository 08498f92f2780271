// What the client knows of the cluster. Pure: answers and hints go in, changed topics come out.
//
// Every broker answers from the metadata it has applied so far, so answers can arrive that are older than what is
// known. Each topic, and the list of brokers, keeps the metadata offset of the answer it came from and takes no older
// one. A hint tells only of some partitions and says nothing about what lies between two offsets; it is therefore
// judged by the leader epoch of each partition, and an answer never takes a partition back to a lower epoch.
import { VltavaError } from '../model/errors.ts'
import type {
  ClusterId,
  LeaderEpoch,
  MetadataOffset,
  NodeId,
  PartitionEpoch,
  PartitionIndex,
  TopicId,
} from '../model/ids.ts'
import { MAX_MESSAGE_BYTES_DEFAULT } from '../model/limits.ts'
import type { RequestOf, ResponseOf } from '../protocol/api.ts'
import type { clusterMetadata, metadataChanged } from '../protocol/cluster-metadata.ts'
import { errorOfWire } from '../protocol/error-schema.ts'

type Answer = ResponseOf<typeof clusterMetadata>
type Hint = RequestOf<typeof metadataChanged>
type TopicAnswer = Answer['topics'][number]

export interface BrokerView {
  readonly brokerId: NodeId
  readonly url: string
  readonly fenced: boolean
  readonly isController: boolean
  /** Its setting broker.rack; null: none. */
  readonly rack: string | null
  /** Whether an operator keeps new replicas from it. */
  readonly cordoned: boolean
}

export interface PartitionView {
  readonly partition: PartitionIndex
  /** null while no eligible replica is alive. */
  readonly leader: NodeId | null
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: PartitionEpoch
  readonly replicas: readonly NodeId[]
  readonly isr: readonly NodeId[]
  /** Eligible leader replicas: outside of the ISR, and they hold every acknowledged record. */
  readonly elr: readonly NodeId[]
  /** Who was in the ISR or the ELR since the ISR became too small, and may lack records since. */
  readonly lastKnownElr: readonly NodeId[]
  /** Members of the ELR whose logs were cut off at an unclean start: they lead only when all members were. */
  readonly cutOff: readonly NodeId[]
  /** Which of the replicas are observers: they get records asynchronously and are in no ISR. */
  readonly observers: readonly NodeId[]
}

/** What a partition without a leader waits for, in words. */
export function whyOffline({
  isr,
  elr,
  lastKnownElr,
  cutOff,
}: Pick<PartitionView, 'isr' | 'elr' | 'lastKnownElr' | 'cutOff'>): string {
  const eligible = [...isr, ...elr]
  const whole = eligible.filter((brokerId) => !cutOff.includes(brokerId))
  if (whole.length > 0) {
    const cut =
      cutOff.length === 0
        ? ''
        : `; the logs of [${cutOff.join(', ')}] were cut off at an unclean start, and the longest leads once all of the ELR were`
    return `offline partition: waiting for brokers [${whole.join(', ')}] (ELR)${cut}`
  }
  if (eligible.length > 0) {
    return (
      `offline partition: the logs of all brokers [${eligible.join(', ')}] (ELR) were cut off at an unclean start; waiting for the ` +
      'one with the longest log'
    )
  }
  return (
    `offline partition: no replica is known to hold all acknowledged records. Brokers [${lastKnownElr.join(', ')}] were the last ` +
    'that did; an operator can have one of the replicas elected (vltava partition elect --unclean), and what it lacks is lost'
  )
}

export interface TopicView {
  readonly name: string
  readonly topicId: TopicId
  /** The index is the partition. */
  readonly partitions: readonly PartitionView[]
  /** The partitions that have a leader, in order. */
  readonly available: readonly PartitionIndex[]
  readonly configs: ReadonlyMap<string, string>
  readonly maxMessageBytes: number
  /** The metadata offset of the answer this came from. */
  readonly metadataOffset: MetadataOffset
  readonly refreshedAtMs: number
}

/** A topic the cluster answered an error for; usually that it does not exist. */
export interface UnknownTopic {
  readonly error: VltavaError
  /** When the first answer of this kind in a row arrived. */
  readonly sinceMs: number
}

export class ClusterView {
  #clusterId: ClusterId | null = null
  #controllerId: NodeId | null = null
  #brokersOffset: MetadataOffset = -1
  readonly #brokers = new Map<NodeId, BrokerView>()
  readonly #topics = new Map<string, TopicView>()
  readonly #unknown = new Map<string, UnknownTopic>()
  readonly #namesById = new Map<TopicId, string>()

  /** null until the first answer. */
  get clusterId(): ClusterId | null {
    return this.#clusterId
  }

  get controllerId(): NodeId | null {
    return this.#controllerId
  }

  brokers(): readonly BrokerView[] {
    return [...this.#brokers.values()]
  }

  broker(brokerId: NodeId): BrokerView | null {
    return this.#brokers.get(brokerId) ?? null
  }

  topic(name: string): TopicView | null {
    return this.#topics.get(name) ?? null
  }

  unknownTopic(name: string): UnknownTopic | null {
    return this.#unknown.get(name) ?? null
  }

  /** Drops what is known of a topic nobody uses any more. */
  forget(name: string): void {
    const topic = this.#topics.get(name)
    if (topic !== undefined) this.#namesById.delete(topic.topicId)
    this.#topics.delete(name)
    this.#unknown.delete(name)
  }

  /**
   * Takes what is not older than known.
   * @param isWanted says which topics to keep; an answer about all topics may hold many that nobody uses.
   * @returns whether a wanted topic has other leaders now, or has come or gone.
   * @throws VltavaError INCONSISTENT_CLUSTER_ID when the answer is from another cluster, PROTOCOL_VIOLATION when it
   *   contradicts itself; nothing is changed then.
   */
  applyAnswer(answer: Answer, nowMs: number, isWanted: (name: string) => boolean): boolean {
    if (this.#clusterId !== null && answer.clusterId !== this.#clusterId) {
      throw new VltavaError(
        'INCONSISTENT_CLUSTER_ID',
        `The cluster ${answer.clusterId} answered, but this client was connected to ${this.#clusterId}; ` +
          'offsets mean other records there. Make a new client to use that cluster.',
      )
    }
    for (const topic of answer.topics) checkTopicAnswer(topic)
    this.#clusterId = answer.clusterId
    if (answer.metadataOffset >= this.#brokersOffset) {
      this.#brokersOffset = answer.metadataOffset
      this.#controllerId = answer.controllerId
      this.#brokers.clear()
      for (const broker of answer.brokers) this.#brokers.set(broker.brokerId, broker)
    }
    let hasChanged = false
    for (const topic of answer.topics) {
      if (!isWanted(topic.name)) continue
      const before = this.#topics.get(topic.name)
      this.#applyTopic(topic, answer.metadataOffset, nowMs)
      if (!hasSameLeaders(before, this.#topics.get(topic.name))) hasChanged = true
    }
    return hasChanged
  }

  /** @returns the names of the topics in which a partition has another leader now. */
  applyHint(hint: Hint): ReadonlySet<string> {
    const changed = new Set<string>()
    for (const { topicId, partition, leader, leaderEpoch } of hint.partitions) {
      const name = this.#namesById.get(topicId)
      const topic = name === undefined ? undefined : this.#topics.get(name)
      const known = topic?.partitions[partition]
      if (topic === undefined || known === undefined || leaderEpoch <= known.leaderEpoch) continue
      const partitions = topic.partitions.with(partition, { ...known, leader, leaderEpoch })
      this.#topics.set(topic.name, { ...topic, partitions, available: availableOf(partitions) })
      changed.add(topic.name)
    }
    return changed
  }

  /** Whether a hint tells of partitions that were added to a topic since it was looked up. */
  tellsOfMore(hint: Hint): boolean {
    return hint.partitions.some(({ topicId, partition }) => {
      const name = this.#namesById.get(topicId)
      const topic = name === undefined ? undefined : this.#topics.get(name)
      return topic !== undefined && partition >= topic.partitions.length
    })
  }

  #applyTopic(answer: TopicAnswer, metadataOffset: MetadataOffset, nowMs: number): void {
    const known = this.#topics.get(answer.name)
    if (known !== undefined && metadataOffset < known.metadataOffset) return
    if (answer.error !== null) {
      const sinceMs = this.#unknown.get(answer.name)?.sinceMs ?? nowMs
      this.forget(answer.name)
      this.#unknown.set(answer.name, { error: errorOfWire(answer.error), sinceMs })
      return
    }
    if (known !== undefined) this.#namesById.delete(known.topicId)
    const topic = topicViewOf(answer, { known, metadataOffset, nowMs })
    this.#unknown.delete(topic.name)
    this.#topics.set(topic.name, topic)
    this.#namesById.set(topic.topicId, topic.name)
  }
}

/**
 * The leader of a partition where it can be reached.
 * @returns null when there is no such partition, no leader, or the leader is not among the known brokers.
 */
export function leaderOf(view: ClusterView, topic: TopicView, partition: PartitionIndex): BrokerView | null {
  const leader = topic.partitions[partition]?.leader ?? null
  return leader === null ? null : view.broker(leader)
}

function hasSameLeaders(a: TopicView | undefined, b: TopicView | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  if (a.topicId !== b.topicId || a.partitions.length !== b.partitions.length) return false
  return a.partitions.every(
    ({ leader, leaderEpoch }, i) =>
      leader === b.partitions[i]!.leader && leaderEpoch === b.partitions[i]!.leaderEpoch,
  )
}

/** An answer whose partitions are not 0 to n-1 would be read as another partition's leader. */
function checkTopicAnswer(topic: TopicAnswer): void {
  if (topic.error !== null) return
  const numbers = new Set(topic.partitions.map(({ partition }) => partition))
  const count = topic.partitions.length
  const isComplete = numbers.size === count && topic.partitions.every(({ partition }) => partition < count)
  if (topic.topicId !== null && count > 0 && isComplete) return
  throw new VltavaError(
    'PROTOCOL_VIOLATION',
    `The metadata of topic "${topic.name}" must have a topic id and its partitions from 0 on without a gap; ` +
      `got the id ${topic.topicId} and ${count} partitions.`,
  )
}

function topicViewOf(
  answer: TopicAnswer,
  context: {
    readonly known: TopicView | undefined
    readonly metadataOffset: MetadataOffset
    readonly nowMs: number
  },
): TopicView {
  const { known, metadataOffset, nowMs } = context
  const sameTopic = known !== undefined && known.topicId === answer.topicId ? known : null
  const partitions = answer.partitions
    .toSorted((a, b) => a.partition - b.partition)
    .map((partition) => {
      const before = sameTopic?.partitions[partition.partition]
      return before !== undefined && before.leaderEpoch > partition.leaderEpoch
        ? { ...partition, leader: before.leader, leaderEpoch: before.leaderEpoch }
        : partition
    })
  const configs = new Map(answer.configs.map(({ name, value }) => [name, value]))
  return {
    name: answer.name,
    topicId: answer.topicId!,
    partitions,
    available: availableOf(partitions),
    configs,
    maxMessageBytes: maxMessageBytesOf(configs),
    metadataOffset,
    refreshedAtMs: nowMs,
  }
}

function availableOf(partitions: readonly PartitionView[]): readonly PartitionIndex[] {
  return partitions.filter(({ leader }) => leader !== null).map(({ partition }) => partition)
}

/** A broker sends only the configs that were set; a value that is no number is its error, and it will check again. */
function maxMessageBytesOf(configs: ReadonlyMap<string, string>): number {
  const value = Number(configs.get('max.message.bytes') ?? Number.NaN)
  return Number.isSafeInteger(value) && value > 0 ? value : MAX_MESSAGE_BYTES_DEFAULT
}
