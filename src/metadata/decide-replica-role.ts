// A replica of a partition becomes a voter or an observer by the order of an operator. Observers get every record later than it is
// acknowledged; so a voter may become one only where enough others hold what is acknowledged.
import { VltavaError } from '../model/errors.ts'
import type { MetadataOffset, NodeId, PartitionIndex } from '../model/ids.ts'
import { checkTopicName } from '../model/topic-name.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import { eligibleAfter, minIsrOf } from './eligible-replicas.ts'
import { changedTo, type PartitionChanged, type PartitionTarget } from './partition-change.ts'
import { noSuchPartition, topicNamed } from './topic-named.ts'

export type ReplicaRole = 'voter' | 'observer'

export interface ChangeReplicaRole {
  readonly topic: string
  readonly partition: PartitionIndex
  readonly brokerId: NodeId
  readonly role: ReplicaRole
}

export interface ReplicaRoleChanged {
  readonly metadataOffset: MetadataOffset
}

/**
 * @throws VltavaError INVALID_TOPIC, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST for a broker that is no replica or that leads,
 *   POLICY_VIOLATION where too few would be in sync, REASSIGNMENT_IN_PROGRESS while replicas move
 */
export function decideReplicaRole(
  context: DecisionContext,
  request: ChangeReplicaRole,
): Decision<ReplicaRoleChanged> {
  const target = targetOf(context, request)
  const { partition } = target
  const { brokerId, role } = request
  if (!partition.replicas.includes(brokerId)) {
    throw new VltavaError(
      'INVALID_REQUEST',
      `Broker ${brokerId} is none of the replicas [${partition.replicas.join(', ')}] of ${nameOf(target)}.`,
    )
  }
  if ((role === 'observer') === partition.observers.includes(brokerId)) {
    return { records: [], response: { metadataOffset: context.image.metadataOffset } }
  }
  if (partition.reassignment !== null) {
    const { original, target: wanted } = partition.reassignment
    throw new VltavaError(
      'REASSIGNMENT_IN_PROGRESS',
      `${nameOf(target)} moves from [${original.join(', ')}] to [${wanted.join(', ')}], which counts on the roles there are; ` +
        'wait for the end or cancel it first.',
    )
  }
  const record = role === 'voter' ? promoted(context, target, brokerId) : demoted(context, target, brokerId)
  return { records: [record], response: { metadataOffset: context.nextOffset } }
}

function targetOf({ image }: DecisionContext, request: ChangeReplicaRole): PartitionTarget {
  const topic = topicNamed(image, checkTopicName(request.topic))
  const partition = topic.partitions[request.partition]
  if (partition !== undefined) return { topic, partition }
  throw new VltavaError('UNKNOWN_TOPIC_OR_PARTITION', noSuchPartition(topic, request.partition))
}

/**
 * A voter from now on, it joins the ISR once it has caught up, as any other. With one voter more, min.insync.replicas may ask for
 * more members than before; who is in the ELR then loses the place, as when the setting changes.
 */
function promoted(context: DecisionContext, target: PartitionTarget, brokerId: NodeId): PartitionChanged {
  const { topic, partition } = target
  const observers = partition.observers.filter((observer) => observer !== brokerId)
  const minIsr = minIsrOf(topic, { ...partition, observers })
  const mayCommit = partition.leader !== null && minIsr !== minIsrOf(topic, partition)
  const { isr, elr } = partition
  const eligible = mayCommit ? eligibleAfter(partition, { isr, minIsr, distrusted: elr }) : {}
  const cause = causeOf(context, 'operator', `an operator made observer ${brokerId} a voter`)
  return changedTo({ ...target, cause }, { ...partition, ...eligible, observers })
}

/** It leaves the ISR at once. That the others are enough also keeps what min.insync.replicas asks for as it is. */
function demoted(context: DecisionContext, target: PartitionTarget, brokerId: NodeId): PartitionChanged {
  const { topic, partition } = target
  if (partition.leader === brokerId) {
    throw new VltavaError(
      'INVALID_REQUEST',
      `Broker ${brokerId} leads ${nameOf(target)}. Have another replica elected first ` +
        '(vltava partition elect --to), and mind that the preferred one is elected again when it is in sync.',
    )
  }
  const isr = partition.isr.filter((member) => member !== brokerId)
  const needed = minIsrOf(topic, partition)
  if (isr.length < needed) {
    throw new VltavaError(
      'POLICY_VIOLATION',
      `Without broker ${brokerId} the ISR of ${nameOf(target)} would be [${isr.join(', ')}], and min.insync.replicas asks for ` +
        `${needed} members. Wait until more replicas are in sync, promote another observer, or lower min.insync.replicas.`,
    )
  }
  const cause = causeOf(context, 'operator', `an operator made voter ${brokerId} an observer`)
  const observers = [...partition.observers, brokerId]
  return changedTo({ ...target, cause }, { ...partition, isr, elr: [], lastKnownElr: [], observers })
}

function nameOf({ topic, partition }: PartitionTarget): string {
  return `${topic.name}/${partition.partition}`
}
