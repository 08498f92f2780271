// An operator moves replicas: starts a change of the replicas of partitions, or cancels one. What could lose records, or
// leave too few copies, is refused.
import type { ErrorName } from '../model/error-codes.ts'
import type { MetadataOffset, NodeId, PartitionIndex } from '../model/ids.ts'
import { REPLICAS_MAX, REPLICAS_PER_BROKER_MAX } from '../model/limits.ts'
import { type ClusterImage, isActive, type PartitionImage, votersOf } from './cluster-image.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import { eligibleAfter, minIsrOf } from './eligible-replicas.ts'
import { applyRecord } from './image-apply.ts'
import { ImageDraft } from './image-draft.ts'
import type { MetadataRecord } from './metadata-records.ts'
import {
  brokersOf,
  completed,
  type PartitionChanged,
  type PartitionTarget,
  partitionsOf,
  recordOf,
} from './partition-change.ts'
import { replicasDuring } from './reassignment.ts'

export interface ReassignPartition {
  readonly topic: string
  readonly partition: PartitionIndex
  /** The wanted replicas, the preferred leader first; null cancels the change that is under way. */
  readonly replicas: readonly NodeId[] | null
}

export interface ReassignmentError {
  readonly code: ErrorName
  readonly detail: string
}

export interface PartitionReassigned {
  readonly topic: string
  readonly partition: PartitionIndex
  /** Why nothing was changed; null where the change is under way, complete or cancelled. */
  readonly error: ReassignmentError | null
}

export interface Reassigned {
  readonly metadataOffset: MetadataOffset
  readonly partitions: readonly PartitionReassigned[]
}

/** Decides on each partition by itself, on what the ones before it in the request left. */
export function decideReassign(
  context: DecisionContext,
  request: readonly ReassignPartition[],
): Decision<Reassigned> {
  const draft = new ImageDraft(context.image)
  const load = replicasByBroker(context.image)
  const records: MetadataRecord[] = []
  const partitions = request.map((wanted): PartitionReassigned => {
    const { topic: name, partition } = wanted
    const outcome = reassign(context, { draft, load, wanted })
    if (outcome === null) return { topic: name, partition, error: null }
    if ('code' in outcome) return { topic: name, partition, error: outcome }
    const before = draft.partition(outcome)!.replicas
    applyRecord(draft, outcome, context.nextOffset)
    for (const brokerId of outcome.replicas ?? []) {
      if (!before.includes(brokerId)) load.set(brokerId, (load.get(brokerId) ?? 0) + 1)
    }
    records.push(outcome)
    return { topic: name, partition, error: null }
  })
  const metadataOffset = records.length === 0 ? context.image.metadataOffset : context.nextOffset
  return { records, response: { metadataOffset, partitions } }
}

interface Step {
  readonly draft: ImageDraft
  /** How many replicas each broker hosts. */
  readonly load: ReadonlyMap<NodeId, number>
  readonly wanted: ReassignPartition
}

function reassign(
  context: DecisionContext,
  { draft, load, wanted }: Step,
): ReassignmentError | PartitionChanged | null {
  const topicId = draft.topicIdOf(wanted.topic)
  const topic = topicId === undefined ? undefined : draft.topic(topicId)
  const partition = topic?.partitions[wanted.partition]
  if (topic === undefined || partition === undefined) {
    const detail =
      topic === undefined
        ? `There is no topic ${JSON.stringify(wanted.topic)}.`
        : `Topic ${topic.name} has ${topic.partitions.length} partitions, none with index ${wanted.partition}.`
    return { code: 'UNKNOWN_TOPIC_OR_PARTITION', detail }
  }
  const target = { topic, partition }
  const what = `${topic.name}/${partition.partition}`
  const { replicas } = wanted
  if (replicas === null) return cancel(context, target, what)
  const known = partition.reassignment?.target ?? partition.replicas
  if (replicas.length === known.length && replicas.every((brokerId, i) => brokerId === known[i])) return null
  if (partition.reassignment !== null) {
    const { original, target: underWay } = partition.reassignment
    return {
      code: 'REASSIGNMENT_IN_PROGRESS',
      detail: `${what} moves from [${original.join(', ')}] to [${underWay.join(', ')}]; wait for the end or cancel it first.`,
    }
  }
  const problem = problemOf(context.image, { ...target, replicas, load })
  if (problem !== null) return { code: 'INVALID_REPLICA_ASSIGNMENT', detail: `${what}: ${problem}` }
  return start(context, target, replicas)
}

function start(
  context: DecisionContext,
  target: PartitionTarget,
  wanted: readonly NodeId[],
): PartitionChanged | null {
  const { partition } = target
  const original = partition.replicas
  const { leader, isr, elr, lastKnownElr } = partition
  const state = {
    ...{ leader, isr, elr, lastKnownElr },
    replicas: replicasDuring(original, wanted),
    reassignment: { original, target: wanted },
  }
  const detail = `an operator moves the replicas from [${original.join(', ')}] to [${wanted.join(', ')}]`
  const cause = causeOf(context, 'operator', detail)
  return recordOf({ ...target, cause }, completed({ partition, brokers: brokersOf(context.image) }, state))
}

/** Back to the replicas of before. Those that were added go, also out of the ISR, as long as enough others hold the records. */
function cancel(
  context: DecisionContext,
  target: PartitionTarget,
  what: string,
): ReassignmentError | PartitionChanged | null {
  const { topic, partition } = target
  if (partition.reassignment === null) {
    return { code: 'NO_REASSIGNMENT_IN_PROGRESS', detail: `The replicas of ${what} are not being moved.` }
  }
  const { original } = partition.reassignment
  const minIsr = minIsrOf(topic, partition)
  const isr = partition.isr.filter((brokerId) => original.includes(brokerId))
  const after: PartitionImage = { ...partition, replicas: original }
  const eligible = eligibleAfter(after, { isr, minIsr, distrusted: [] })
  const refused = (problem: string): ReassignmentError => ({
    code: 'INVALID_REPLICA_ASSIGNMENT',
    detail: `${what} cannot go back to [${original.join(', ')}]: ${problem} Start these brokers and try again, or let the change complete.`,
  })
  if (isr.length < Math.min(minIsr, partition.isr.length)) {
    return refused(
      `of them only [${isr.join(', ')}] are in sync, where min.insync.replicas asks for ${minIsr}.`,
    )
  }
  if (isr.length + eligible.elr.length === 0) return refused('none of them surely has all records.')
  // Those that go may be among the few that hold what is committed.
  const holders = partition.isr.length + partition.elr.length
  if (isr.length + eligible.elr.length < Math.min(minIsr, holders)) {
    const kept = [...isr, ...eligible.elr]
    return refused(
      `of them only [${kept.join(', ')}] surely have all records, where min.insync.replicas asks for ${minIsr}.`,
    )
  }
  const leader =
    partition.leader === null || isr.includes(partition.leader)
      ? partition.leader
      : original.find((id) => isr.includes(id) && isActive(context.image.brokers.get(id)))
  if (leader === undefined) return refused('none of them can lead.')
  const cause = causeOf(context, 'operator', `an operator cancelled the change of the replicas`)
  return recordOf({ ...target, cause }, { leader, isr, ...eligible, replicas: original, reassignment: null })
}

/** Why the replicas cannot be these, and what to do; null when they can. */
function problemOf(
  image: ClusterImage,
  of: PartitionTarget & { readonly replicas: readonly NodeId[]; readonly load: ReadonlyMap<NodeId, number> },
): string | null {
  const { topic, partition, replicas, load } = of
  const shown = `[${replicas.join(', ')}]`
  if (replicas.length === 0) return 'the list of replicas is empty; name at least one broker.'
  if (new Set(replicas).size < replicas.length) return `${shown} names a broker twice.`
  const during = replicasDuring(partition.replicas, replicas).length
  if (during > REPLICAS_MAX) {
    return `the replicas before and after are ${during} together, at most ${REPLICAS_MAX} are possible. Move in two steps.`
  }
  const minIsr = minIsrOf(topic, partition)
  const { observers } = partition
  const voters = votersOf({ replicas, observers }).length
  if (voters < minIsr) {
    const which =
      voters === replicas.length ? 'replicas' : `replicas that are not observers [${observers.join(', ')}]`
    return `${shown} has fewer ${which} than min.insync.replicas asks for, which is ${minIsr}.`
  }
  for (const brokerId of replicas) {
    const problem = brokerProblem(image, { brokerId, partition, load })
    if (problem !== null) return `broker ${brokerId} ${problem}`
  }
  return null
}

/** A replica that is there already may be away for the moment: the change completes when it is back. */
function brokerProblem(
  image: ClusterImage,
  of: {
    readonly brokerId: NodeId
    readonly partition: PartitionImage
    readonly load: ReadonlyMap<NodeId, number>
  },
): string | null {
  const { brokerId, partition, load } = of
  if (partition.replicas.includes(brokerId)) return null
  const broker = image.brokers.get(brokerId)
  if (broker === undefined) return `is not known. Known brokers: [${[...image.brokers.keys()].join(', ')}].`
  if (broker.fenced) return 'is not alive; start it first.'
  if (broker.shuttingDown) return 'is stopping.'
  if (broker.cordoned)
    return `is cordoned: it gets no new replicas. Uncordon it first (vltava broker uncordon ${brokerId}).`
  return (load.get(brokerId) ?? 0) >= REPLICAS_PER_BROKER_MAX
    ? `hosts ${REPLICAS_PER_BROKER_MAX} replicas already, which is the limit.`
    : null
}

function replicasByBroker(image: ClusterImage): Map<NodeId, number> {
  const load = new Map<NodeId, number>()
  for (const { partition } of partitionsOf(image)) {
    for (const brokerId of partition.replicas) load.set(brokerId, (load.get(brokerId) ?? 0) + 1)
  }
  return load
}
