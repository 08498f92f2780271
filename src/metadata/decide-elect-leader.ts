// An operator, or the controller itself, chooses the leader of partitions. What could lose records is refused unless it is
// ordered in so many words, and stands in the metadata log as possible data loss.
import type { ErrorName } from '../model/error-codes.ts'
import { VltavaError } from '../model/errors.ts'
import type { LeaderEpoch, MetadataOffset, NodeId, PartitionIndex } from '../model/ids.ts'
import { checkTopicName } from '../model/topic-name.ts'
import { type ClusterImage, isActive, type TopicImage, votersOf } from './cluster-image.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import { awaitedOf, longestAlive } from './dropped-tails.ts'
import type { MetadataRecord } from './metadata-records.ts'
import { type PartitionChanged, type PartitionTarget, recordOf, uncleanLeader } from './partition-change.ts'
import { noSuchPartition, topicNamed } from './topic-named.ts'

/** `preferred`: the first replica. `replica`: the one that is named. `unclean`: one that may lack committed records. */
export type ElectionKind = 'preferred' | 'replica' | 'unclean'

export interface ElectLeaders {
  readonly topic: string
  /** null: all partitions of the topic. */
  readonly partitions: readonly PartitionIndex[] | null
  readonly election: ElectionKind
  /** Whom to elect; null with `preferred`, and with `unclean` to take the first replica that is alive. */
  readonly replica: NodeId | null
}

export interface ElectionError {
  readonly code: ErrorName
  readonly detail: string
}

export interface ElectedLeader {
  readonly partition: PartitionIndex
  /** Why nothing was changed; null when the wanted replica leads. */
  readonly error: ElectionError | null
  /** The leader after the call. */
  readonly leader: NodeId | null
  readonly leaderEpoch: LeaderEpoch
  /** Whether it was elected uncleanly: acknowledged records may be lost. */
  readonly unclean: boolean
}

export interface LeadersElected {
  readonly metadataOffset: MetadataOffset
  readonly partitions: readonly ElectedLeader[]
}

/** @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC, INVALID_REQUEST */
export function decideElectLeaders(
  context: DecisionContext,
  request: ElectLeaders,
): Decision<LeadersElected> {
  const { image } = context
  const topic = topicNamed(image, checkTopicName(request.topic))
  if ((request.election === 'replica') !== (request.replica !== null) && request.election !== 'unclean') {
    throw new VltavaError(
      'INVALID_REQUEST',
      'A replica must be named to elect it, and must not be named to elect the preferred one.',
    )
  }
  const records: MetadataRecord[] = []
  // Each once: a second change of one partition would build on the first.
  const wanted = new Set(request.partitions ?? topic.partitions.map(({ partition }) => partition))
  const partitions = [...wanted].map((index) => {
    const partition = topic.partitions[index]
    if (partition === undefined) {
      const error = unknownPartition(topic, index)
      return { partition: index, error, leader: null, leaderEpoch: 0, unclean: false }
    }
    const outcome = elect(context, { target: { topic, partition }, request })
    const record = 'error' in outcome ? null : outcome.record
    if (record !== null) records.push(record)
    return {
      partition: index,
      error: 'error' in outcome ? outcome.error : null,
      leader: (record ?? partition).leader,
      leaderEpoch: (record ?? partition).leaderEpoch,
      unclean: record?.cause.kind === 'unclean-election',
    }
  })
  const metadataOffset = records.length === 0 ? image.metadataOffset : context.nextOffset
  return { records, response: { metadataOffset, partitions } }
}

/** Moves the leaderships of all partitions to their preferred replicas where these are in sync and alive. */
export function decidePreferredLeaders(context: DecisionContext): Decision<null> {
  const records: MetadataRecord[] = []
  const cause = causeOf(context, 'preferred-leader', 'the preferred replica is in sync again')
  for (const topic of context.image.topics.values()) {
    for (const partition of topic.partitions) {
      const preferred = votersOf(partition)[0]!
      if (partition.leader === null || !mayLead(context.image, { topic, partition }, preferred)) continue
      const record = recordOf({ topic, partition, cause }, { ...partition, leader: preferred })
      if (record !== null) records.push(record)
    }
  }
  return { records, response: null }
}

type Outcome = { readonly error: ElectionError } | { readonly record: PartitionChanged | null }

function elect(
  context: DecisionContext,
  of: { readonly target: PartitionTarget; readonly request: ElectLeaders },
): Outcome {
  const { target, request } = of
  if (request.election === 'unclean') return electUncleanly(context, { target, wanted: request.replica })
  const { partition } = target
  const isPreferred = request.election === 'preferred'
  const wanted = isPreferred ? votersOf(partition)[0]! : request.replica!
  if (partition.leader === wanted) return { record: null }
  const problem = problemOf(context.image, target, wanted)
  if (problem !== null) {
    const code = isPreferred ? 'PREFERRED_LEADER_NOT_AVAILABLE' : 'ELIGIBLE_LEADERS_NOT_AVAILABLE'
    return { error: { code, detail: `${describe(target)}: broker ${wanted} ${problem}` } }
  }
  const cause = causeOf(
    context,
    isPreferred ? 'preferred-leader' : 'operator',
    `an operator had ${isPreferred ? 'the preferred replica' : `broker ${wanted}`} elected`,
  )
  return { record: recordOf({ ...target, cause }, { ...partition, leader: wanted }) }
}

/**
 * Only for a partition without a leader: with one, everything that is acknowledged is served. An eligible replica that is alive
 * would lead already, so whoever is alive may lack records. Of those whose logs were cut off the longest is the best guess.
 */
function electUncleanly(
  context: DecisionContext,
  of: { readonly target: PartitionTarget; readonly wanted: NodeId | null },
): Outcome {
  const { target, wanted } = of
  const { partition } = target
  const refused = (code: ErrorName, problem: string): Outcome => ({
    error: { code, detail: `${describe(target)}: ${problem}` },
  })
  if (partition.leader !== null) {
    const problem = `broker ${partition.leader} leads; an unclean election is only for a partition without a leader.`
    return refused('ELECTION_NOT_NEEDED', problem)
  }
  if (wanted !== null && !partition.replicas.includes(wanted)) {
    return refused('INVALID_REQUEST', `broker ${wanted} is none of its replicas.`)
  }
  const isAlive = (brokerId: NodeId): boolean => isActive(context.image.brokers.get(brokerId))
  const { elr, droppedTails: tails } = partition
  const replicas = votersOf(partition)
  const leader =
    wanted ?? longestAlive({ replicas, elr, tails, mayLead: isAlive }) ?? replicas.find(isAlive) ?? null
  if (leader === null || !isAlive(leader)) {
    const observers = partition.observers.filter(isAlive)
    const orObserver =
      observers.length === 0
        ? ''
        : `, or name one of the observers [${observers.join(', ')}], which lag behind`
    const what =
      wanted === null
        ? `none of its replicas${observers.length === 0 ? '' : ' that vote'} is alive; start one first${orObserver}.`
        : `broker ${wanted} is not alive; start it first.`
    return refused('ELIGIBLE_LEADERS_NOT_AVAILABLE', what)
  }
  const cause = causeOf(context, 'operator', 'an operator ordered it')
  return { record: uncleanLeader({ ...target, cause }, leader) }
}

function mayLead(image: ClusterImage, target: PartitionTarget, brokerId: NodeId): boolean {
  return problemOf(image, target, brokerId) === null
}

/** Why a replica cannot be elected without losing records, and what to do; null when it can. */
function problemOf(image: ClusterImage, { partition }: PartitionTarget, brokerId: NodeId): string | null {
  if (!partition.replicas.includes(brokerId)) {
    return `is none of its replicas [${partition.replicas.join(', ')}].`
  }
  if (partition.observers.includes(brokerId)) {
    return 'is an observer; promote it first (vltava partition promote), and wait until it has joined the ISR.'
  }
  const broker = image.brokers.get(brokerId)
  if (broker === undefined || broker.fenced) return 'is not alive; start it first.'
  if (broker.shuttingDown) return 'is stopping.'
  if (partition.isr.includes(brokerId)) return null
  const eligible = [...partition.isr, ...awaitedOf({ elr: partition.elr, tails: partition.droppedTails })]
  return partition.leader === null
    ? `lacks acknowledged records, or may lack some. Start one of the brokers [${eligible.join(', ')}], which have them all; ` +
        'only when none of them can come back, order an unclean election.'
    : 'is not in the ISR; wait until it has caught up.'
}

function describe({ topic, partition }: PartitionTarget): string {
  const { isr, elr } = partition
  return `${topic.name}/${partition.partition} (ISR [${isr.join(', ')}], ELR [${elr.join(', ')}])`
}

function unknownPartition(topic: TopicImage, index: PartitionIndex): ElectionError {
  return {
    code: 'UNKNOWN_TOPIC_OR_PARTITION',
    detail: noSuchPartition(topic, index),
  }
}
