// How one partition changes: who is elected, which epochs grow. All decisions build their partition records here.
import type { NodeId } from '../model/ids.ts'
import {
  type ClusterImage,
  isActive,
  isServing,
  type PartitionImage,
  type TopicImage,
  votersOf,
} from './cluster-image.ts'
import {
  type DroppedTail,
  type ElrElection,
  electFromElr,
  longestAlive,
  sameTails,
  tailsWithin,
} from './dropped-tails.ts'
import { eligibleAfter, minIsrOf } from './eligible-replicas.ts'
import type { Cause, MetadataRecordOf } from './metadata-records.ts'
import { topicConfigOf } from './topic-configs.ts'

export type PartitionChanged = MetadataRecordOf<'partition-changed'>

/** What a change is made for. */
export interface PartitionTarget {
  readonly topic: TopicImage
  readonly partition: PartitionImage
}

/** What the brokers can do once the whole batch is applied. */
export interface BrokerView {
  /** Whether a broker serves; only such brokers stay in an ISR and go on to lead. */
  readonly serves: (brokerId: NodeId) => boolean
  /** Whether a broker may be elected: it serves and is not about to stop. */
  readonly mayLead: (brokerId: NodeId) => boolean
}

export interface PartitionChange extends PartitionTarget {
  readonly brokers: BrokerView
  /** Brokers whose log may lack committed records: they leave the ISR and the ELR. */
  readonly distrusted?: readonly NodeId[]
  /** The logs that are known to have been cut off, with those the change is made for. Default: those of the partition. */
  readonly droppedTails?: readonly DroppedTail[]
  /** Whether a replica may be elected that lacks records, where the topic allows it; default true. */
  readonly mayBeUnclean?: boolean
  readonly cause: Cause
}

/** The brokers as the image has them. */
export function brokersOf(image: ClusterImage): BrokerView {
  return {
    serves: (brokerId) => isServing(image.brokers.get(brokerId)),
    mayLead: (brokerId) => isActive(image.brokers.get(brokerId)),
  }
}

/** The brokers as the image has them, but for one. */
export function brokersWith(
  image: ClusterImage,
  changed: { readonly brokerId: NodeId; readonly serves: boolean; readonly mayLead: boolean },
): BrokerView {
  const { brokerId, serves, mayLead } = changed
  return {
    serves: (candidate) => (candidate === brokerId ? serves : isServing(image.brokers.get(candidate))),
    mayLead: (candidate) => (candidate === brokerId ? mayLead : isActive(image.brokers.get(candidate))),
  }
}

/**
 * The record for a partition of which a broker came, went or lost its log, or null when nothing changes. Whoever does not
 * serve leaves the ISR, also as its last member; below min.insync.replicas it stays eligible. The leader stays while it is in
 * the ISR. Otherwise the first replica, in the order of the replica list, is elected that may lead and is in the ISR; else
 * one that is in the ELR (see `electFromElr`), which then is the only member of the ISR; else, where the topic allows an
 * unclean election, any that may lead. The leader epoch grows with each change of leader or replicas, the partition epoch with
 * each change. A reassignment ends here too where all that was missing is the leader.
 */
export function changePartition(change: PartitionChange): PartitionChanged | null {
  const { topic, partition, brokers, distrusted = [] } = change
  const { replicas } = partition
  const minIsr = minIsrOf(topic, partition)
  const isr = partition.isr.filter((member) => brokers.serves(member) && !distrusted.includes(member))
  if (partition.leader !== null && isr.includes(partition.leader)) {
    const eligible = eligibleAfter(partition, { isr, minIsr, distrusted })
    return settledRecord(change, { leader: partition.leader, isr, ...eligible })
  }
  const inIsr = replicas.find((brokerId) => isr.includes(brokerId) && brokers.mayLead(brokerId))
  if (inIsr !== undefined) {
    const eligible = eligibleAfter(partition, { isr, minIsr, distrusted })
    return settledRecord(change, { leader: inIsr, isr, ...eligible })
  }
  const { elr, lastKnownElr } = eligibleAfter(partition, { isr: [], minIsr, distrusted })
  const tails = change.droppedTails ?? partition.droppedTails
  const election: ElrElection = { replicas, elr, tails, mayLead: brokers.mayLead }
  const inElr = electFromElr(election)
  if (inElr !== null) {
    const cause = inElr.longest === null ? change.cause : longestLogCause(change.cause, inElr.longest, elr)
    return soleLeader({ ...change, cause }, inElr.leader)
  }
  const any = mayElectAny(change)
    ? (longestAlive(election) ??
      votersOf(partition).find((brokerId) => brokers.mayLead(brokerId) && !distrusted.includes(brokerId)))
    : undefined
  return any === undefined
    ? recordOf(change, { leader: null, isr: [], elr, lastKnownElr })
    : uncleanLeader(change, any)
}

function mayElectAny({ topic, mayBeUnclean = true }: PartitionChange): boolean {
  return mayBeUnclean && topicConfigOf(topic.configs).uncleanLeaderElection
}

/** Nobody can tell whether the tails were acknowledged, unless a log that was not cut off comes back. */
function longestLogCause(cause: Cause, longest: DroppedTail, elr: readonly NodeId[]): Cause {
  const { brokerId, leaderEpoch, endOffset } = longest
  const detail =
    `possible data loss, if records in all of them were damaged: the logs of all eligible replicas [${elr.join(', ')}] were ` +
    `cut off at an unclean start, and broker ${brokerId} has the longest (leader epoch ${leaderEpoch}, end ${endOffset}); ` +
    cause.detail
  return { ...cause, kind: 'longest-log', detail: detail.slice(0, DETAIL_MAX_CHARACTERS) }
}

function settledRecord(change: PartitionChange, state: PartitionState): PartitionChanged | null {
  return recordOf(change, completed(change, state))
}

/** Elects a member of the ISR or the ELR, with the leader as the only member of the ISR. */
function soleLeader(change: PartitionChange, leader: NodeId): PartitionChanged | null {
  const { topic, partition, distrusted = [] } = change
  const isr = [leader]
  return settledRecord(change, {
    leader,
    isr,
    ...eligibleAfter(partition, { isr, minIsr: minIsrOf(topic, partition), distrusted }),
  })
}

/**
 * Elects a replica that may lack committed records. Who held them is not eligible any more, because the log goes on from
 * where the new leader ends; it stays known as long as the ISR is too small. An observer that is elected is a voter from then on.
 */
export function uncleanLeader(
  change: PartitionTarget & { readonly cause: Cause },
  leader: NodeId,
): PartitionChanged | null {
  const { topic, partition, cause } = change
  const isr = [leader]
  const observers = partition.observers.filter((observer) => observer !== leader)
  const everybody = partition.replicas
  const { lastKnownElr } = eligibleAfter(partition, {
    isr,
    minIsr: minIsrOf(topic, { ...partition, observers }),
    distrusted: everybody,
  })
  const detail =
    `possible data loss: replica ${leader} was elected uncleanly, with ISR [${partition.isr.join(', ')}] and ` +
    `ELR [${partition.elr.join(', ')}] not alive or cut off; ${cause.detail}`
  const unclean: Cause = {
    ...cause,
    kind: 'unclean-election',
    detail: detail.slice(0, DETAIL_MAX_CHARACTERS),
  }
  return recordOf({ ...change, cause: unclean }, { leader, isr, elr: [], lastKnownElr, observers })
}

const DETAIL_MAX_CHARACTERS = 300

/** What of a partition a change gives anew; without synced, replicas and reassignment these stay. */
export type PartitionState = Pick<PartitionImage, 'leader' | 'isr' | 'elr' | 'lastKnownElr'> &
  Partial<Pick<PartitionImage, 'synced' | 'observers' | 'replicas' | 'reassignment'>>

/**
 * The state with the reassignment complete, where it can be: there is a leader, and all voters of the target are in the ISR. The
 * leader stays where it is one of them; else the first of them leads that may. Otherwise the state as it is. Observers that stay
 * are as far behind as before, and are not waited for.
 */
export function completed(
  of: { readonly partition: PartitionImage; readonly brokers: BrokerView },
  state: PartitionState,
): PartitionState {
  const { reassignment, leader: led, observers } = { ...of.partition, ...state }
  if (reassignment === null || led === null) return state
  const { target } = reassignment
  const voters = votersOf({ replicas: target, observers })
  if (!voters.every((brokerId) => state.isr.includes(brokerId))) return state
  const leader = voters.includes(led) ? led : voters.find(of.brokers.mayLead)
  if (leader === undefined) return state
  const isr = state.isr.filter((brokerId) => target.includes(brokerId))
  const kept = observers.filter((brokerId) => target.includes(brokerId))
  const ended = { replicas: target, observers: kept, reassignment: null }
  return { ...state, ...ended, leader, isr, elr: [], lastKnownElr: [] }
}

/**
 * The record that brings a partition into a state; null when it is in it. Of the logs that were cut off only those of the
 * ELR go on to count.
 */
export function recordOf(
  of: PartitionTarget & Pick<PartitionChange, 'cause' | 'droppedTails'>,
  state: PartitionState,
): PartitionChanged | null {
  const { partition } = of
  const { leader, isr, elr, lastKnownElr } = state
  const { synced, observers, replicas, reassignment } = { ...partition, ...state }
  const droppedTails = tailsWithin(of.droppedTails ?? partition.droppedTails, elr)
  const isSame =
    sameOrder(replicas, partition.replicas) &&
    reassignment === partition.reassignment &&
    leader === partition.leader &&
    synced === partition.synced &&
    sameMembers(isr, partition.isr) &&
    sameMembers(elr, partition.elr) &&
    sameMembers(lastKnownElr, partition.lastKnownElr) &&
    sameTails(droppedTails, partition.droppedTails) &&
    sameMembers(observers, partition.observers)
  return isSame ? null : changedTo(of, state)
}

/**
 * The record that gives a partition a state, also the one it has: the partition epoch grows, so that no proposal of the
 * leader counts that was made before the leader knew of the batch.
 */
export function changedTo(
  of: PartitionTarget & Pick<PartitionChange, 'cause' | 'droppedTails'>,
  state: PartitionState,
): PartitionChanged {
  const { topic, partition, cause } = of
  const { leader, isr, elr, lastKnownElr } = state
  const { synced, observers, replicas, reassignment } = { ...partition, ...state }
  const droppedTails = tailsWithin(of.droppedTails ?? partition.droppedTails, elr)
  const movesReplicas = !sameOrder(replicas, partition.replicas)
  const endsMove = partition.reassignment !== null && reassignment === null
  const endsLeadership = leader !== partition.leader || movesReplicas || endsMove
  return {
    type: 'partition-changed',
    topicId: topic.topicId,
    partition: partition.partition,
    isr,
    leader,
    // Whoever leads begins anew with other replicas, or when more of them must be in sync: with an ISR from the answer to its
    // proposal and the old number it would commit what the controller thinks cannot be.
    leaderEpoch: partition.leaderEpoch + (endsLeadership ? 1 : 0),
    partitionEpoch: partition.partitionEpoch + 1,
    cause,
    elr,
    lastKnownElr,
    synced,
    droppedTails,
    observers,
    replicas: movesReplicas ? replicas : null,
    reassignment,
  }
}

function sameOrder(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.length === b.length && a.every((brokerId, i) => brokerId === b[i])
}

/** Every partition of the cluster, in the order the topics were created. */
export function* partitionsOf(image: ClusterImage): Iterable<PartitionTarget> {
  for (const topic of image.topics.values()) {
    for (const partition of topic.partitions) yield { topic, partition }
  }
}

/** Whether two lists without duplicates hold the same brokers, in any order. */
export function sameMembers(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a === b || (a.length === b.length && a.every((brokerId) => b.includes(brokerId)))
}
