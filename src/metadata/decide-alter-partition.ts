// A leader proposes the ISR of partitions it leads. The order of the checks is Kafka's and matters: each rejection
// tells the leader something else, and only an INELIGIBLE_REPLICA may be rolled back and tried again.
import type { ErrorName } from '../model/error-codes.ts'
import { VltavaError } from '../model/errors.ts'
import type { BrokerEpoch, LeaderEpoch, NodeId, PartitionEpoch, TopicPartition } from '../model/ids.ts'
import type { BrokerImage, PartitionImage, TopicImage } from './cluster-image.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import { eligibleAfter, minIsrOf } from './eligible-replicas.ts'
import { applyRecord } from './image-apply.ts'
import { ImageDraft } from './image-draft.ts'
import type { MetadataRecord } from './metadata-records.ts'
import { brokersOf, completed, type PartitionChanged, recordOf, sameMembers } from './partition-change.ts'
import { flushMessagesOf } from './topic-configs.ts'

export interface IsrMember {
  readonly brokerId: NodeId
  /** The broker epoch under which the leader saw the member fetch. */
  readonly brokerEpoch: BrokerEpoch
}

export interface IsrProposal extends TopicPartition {
  readonly leaderEpoch: LeaderEpoch
  readonly partitionEpoch: PartitionEpoch
  readonly isr: readonly IsrMember[]
  readonly reason: string
  readonly observedAtMs: number
  /** Whether every member has fsynced all that is committed, and whatever counts from now on is fsynced first. Default false. */
  readonly synced?: boolean
}

export interface AlterPartition {
  /** The id that the connection proved. */
  readonly brokerId: NodeId
  readonly brokerEpoch: BrokerEpoch
  readonly partitions: readonly IsrProposal[]
}

export interface Rejection {
  readonly code: ErrorName
  readonly detail: string
}

export type AlterPartitionAnswer =
  | { readonly error: Rejection }
  | { readonly error: null; readonly partition: PartitionImage }

/**
 * Decides each proposal on what the ones before it in the request left.
 * @throws VltavaError STALE_BROKER_EPOCH when the sender is not the registered run of the broker
 */
export function decideAlterPartition(
  context: DecisionContext,
  request: AlterPartition,
): Decision<readonly AlterPartitionAnswer[]> {
  const sender = context.image.brokers.get(request.brokerId)
  if (sender?.brokerEpoch !== request.brokerEpoch) {
    throw new VltavaError(
      'STALE_BROKER_EPOCH',
      `Broker ${request.brokerId} speaks under broker epoch ${request.brokerEpoch}, ` +
        `the registered one is ${sender?.brokerEpoch ?? 'none'}.`,
    )
  }
  const draft = new ImageDraft(context.image)
  const records: MetadataRecord[] = []
  const response = request.partitions.map((proposal): AlterPartitionAnswer => {
    const topic = draft.topic(proposal.topicId)
    const partition = draft.partition(proposal)
    const error = rejectionOf({ brokers: context.image.brokers, sender, topic, partition, proposal })
    if (error !== null) return { error }
    const record = isrChange(context, { sender, topic: topic!, partition: partition!, proposal })
    if (record !== null) {
      applyRecord(draft, record, context.nextOffset)
      records.push(record)
    }
    const changed = draft.partition(proposal)!
    const newEpoch = endedLeadership(topic!, changed, proposal)
    return newEpoch === null ? { error: null, partition: changed } : { error: newEpoch }
  })
  return { records, response }
}

/** The change completed a reassignment, and with it the leader epoch of the sender. */
function endedLeadership(
  topic: TopicImage,
  { partition, leader, leaderEpoch }: PartitionImage,
  proposal: IsrProposal,
): Rejection | null {
  if (leaderEpoch === proposal.leaderEpoch) return null
  return {
    code: 'NEW_LEADER_ELECTED',
    detail: `${topic.name}/${partition}: the reassignment is complete; broker ${leader} leads in leader epoch ${leaderEpoch}.`,
  }
}

interface Check {
  readonly brokers: ReadonlyMap<NodeId, BrokerImage>
  readonly sender: BrokerImage
  readonly topic: TopicImage | undefined
  readonly partition: PartitionImage | undefined
  readonly proposal: IsrProposal
}

function rejectionOf({ brokers, sender, topic, partition, proposal }: Check): Rejection | null {
  const { leaderEpoch, partitionEpoch, isr } = proposal
  if (topic === undefined) {
    return { code: 'UNKNOWN_TOPIC_ID', detail: `No topic has the id ${proposal.topicId}.` }
  }
  if (partition === undefined) {
    return {
      code: 'UNKNOWN_TOPIC_OR_PARTITION',
      detail: `Topic ${topic.name} has ${topic.partitions.length} partitions, none with index ${proposal.partition}.`,
    }
  }
  const what = `${topic.name}/${partition.partition}`
  if (leaderEpoch > partition.leaderEpoch || partitionEpoch > partition.partitionEpoch) {
    return {
      code: 'NOT_CONTROLLER',
      detail:
        `${what}: leader epoch ${leaderEpoch} or partition epoch ${partitionEpoch} is ahead of this controller's ` +
        `${partition.leaderEpoch} and ${partition.partitionEpoch}; there must be a newer controller.`,
    }
  }
  if (leaderEpoch < partition.leaderEpoch) {
    return {
      code: 'FENCED_LEADER_EPOCH',
      detail: `${what}: leader epoch ${leaderEpoch} has ended, the current one is ${partition.leaderEpoch}.`,
    }
  }
  if (partition.leader !== sender.brokerId) {
    return {
      code: 'INVALID_REQUEST',
      detail: `${what}: broker ${sender.brokerId} is not the leader, ${partition.leader ?? 'nobody'} is.`,
    }
  }
  if (partitionEpoch < partition.partitionEpoch) {
    return {
      code: 'INVALID_UPDATE_VERSION',
      detail: `${what}: partition epoch ${partitionEpoch} has passed, the current one is ${partition.partitionEpoch}.`,
    }
  }
  return (
    isrProblem(what, partition, isr) ??
    ineligibleMember(what, { brokers, partition, isr }) ??
    syncProblem(what, { topic, partition, proposal })
  )
}

function isrProblem(what: string, partition: PartitionImage, isr: readonly IsrMember[]): Rejection | null {
  const members = isr.map(({ brokerId }) => brokerId)
  const shown = `${what}: the proposed ISR [${members.join(', ')}]`
  const invalid = (problem: string): Rejection => ({ code: 'INVALID_REQUEST', detail: `${shown} ${problem}` })
  if (members.length === 0) return invalid('is empty.')
  if (new Set(members).size < members.length) return invalid('names a broker twice.')
  if (!members.every((brokerId) => partition.replicas.includes(brokerId))) {
    return invalid(`is not within the replicas [${partition.replicas.join(', ')}].`)
  }
  if (!members.includes(partition.leader!)) return invalid(`lacks the leader ${partition.leader}.`)
  return null
}

function ineligibleMember(
  what: string,
  of: {
    readonly brokers: ReadonlyMap<NodeId, BrokerImage>
    readonly partition: PartitionImage
    readonly isr: readonly IsrMember[]
  },
): Rejection | null {
  const { brokers, partition, isr } = of
  for (const { brokerId, brokerEpoch } of isr) {
    const problem = partition.observers.includes(brokerId)
      ? 'is an observer'
      : ineligibility(brokers.get(brokerId), brokerEpoch)
    if (problem !== null) {
      return { code: 'INELIGIBLE_REPLICA', detail: `${what}: broker ${brokerId} ${problem}.` }
    }
  }
  return null
}

/**
 * Why it cannot be noted that all that counted is fsynced; null when it can, or was not asked for. The leader has applied the
 * settings of this partition epoch, so it must know better.
 */
function syncProblem(
  what: string,
  of: { readonly topic: TopicImage; readonly partition: PartitionImage; readonly proposal: IsrProposal },
): Rejection | null {
  const { topic, partition, proposal } = of
  if (proposal.synced !== true) return null
  const refused = (problem: string): Rejection => ({
    code: 'OPERATION_NOT_ATTEMPTED',
    detail: `${what}: not noted as synced, because ${problem}.`,
  })
  const isr = proposal.isr.map(({ brokerId }) => brokerId)
  if (!sameMembers(isr, partition.isr)) return refused('the ISR would change with it')
  if (flushMessagesOf(topic.configs) > 1) return refused('flush.messages is above 1')
  if (isr.length < minIsrOf(topic, partition)) return refused('the ISR is too small, so others are eligible')
  return null
}

function ineligibility(member: BrokerImage | undefined, seenEpoch: BrokerEpoch): string | null {
  if (member === undefined) return 'is not registered'
  if (member.fenced) return 'is fenced'
  if (member.shuttingDown) return 'is stopping'
  // A request delayed across a restart of the member speaks of a log that may have been lost with the disk (KIP-903).
  if (member.brokerEpoch !== seenEpoch) {
    return `has restarted: it was seen under broker epoch ${seenEpoch}, the registered one is ${member.brokerEpoch}`
  }
  return null
}

interface Accepted {
  readonly sender: BrokerImage
  readonly topic: TopicImage
  readonly partition: PartitionImage
  readonly proposal: IsrProposal
}

function isrChange(
  context: DecisionContext,
  { sender, topic, partition, proposal }: Accepted,
): PartitionChanged | null {
  const isr = proposal.isr.map(({ brokerId }) => brokerId)
  const grows = isr.some((brokerId) => !partition.isr.includes(brokerId))
  const synced = partition.synced || proposal.synced === true
  const kind =
    synced === partition.synced ? (grows ? 'replica-caught-up' : 'replica-lagging') : 'synced-again'
  const cause = causeOf(context, kind, proposal.reason)
  // A member that is removed for its lag holds all that is committed, as long as the ISR is too small to commit more.
  const eligible = eligibleAfter(partition, { isr, minIsr: minIsrOf(topic, partition), distrusted: [] })
  const target = { topic, partition, brokers: brokersOf(context.image) }
  return recordOf(
    { ...target, cause: { ...cause, observerId: sender.brokerId, observedAtMs: proposal.observedAtMs } },
    completed(target, { leader: partition.leader, isr, synced, ...eligible }),
  )
}
