// An operator takes a broker away: first nothing new is placed on it, then, once it hosts nothing and has stopped, the cluster
// forgets it.
import { VltavaError } from '../model/errors.ts'
import type { IncarnationId, MetadataOffset, NodeId } from '../model/ids.ts'
import type { BrokerImage, ClusterImage } from './cluster-image.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import { partitionsOf } from './partition-change.ts'

export interface BrokerChanged {
  readonly metadataOffset: MetadataOffset
}

export interface CordonBroker {
  readonly brokerId: NodeId
  /** false takes it back. */
  readonly cordoned: boolean
}

export interface UnregisterBroker {
  readonly brokerId: NodeId
  /** Whether this controller hears that run now. */
  readonly isRunning: (incarnationId: IncarnationId) => boolean
}

/**
 * A cordoned broker goes on with what it hosts, and gets no new replicas. Asking again for what is so already changes nothing.
 * @throws VltavaError BROKER_ID_NOT_REGISTERED
 */
export function decideCordonBroker(
  context: DecisionContext,
  { brokerId, cordoned }: CordonBroker,
): Decision<BrokerChanged> {
  const { image } = context
  const broker = registeredBroker(image, brokerId)
  if (broker.cordoned === cordoned) return { records: [], response: { metadataOffset: image.metadataOffset } }
  const detail = `an operator ${cordoned ? 'cordoned' : 'uncordoned'} broker ${brokerId}`
  return {
    records: [
      { type: 'broker-cordon-changed', brokerId, cordoned, cause: causeOf(context, 'operator', detail) },
    ],
    response: { metadataOffset: context.nextOffset },
  }
}

/**
 * Forgets a broker that has stopped and hosts nothing, with what was set for it. One that comes back registers as a new one.
 * @throws VltavaError BROKER_ID_NOT_REGISTERED; INVALID_REQUEST while it is not fenced, is heard, or hosts replicas
 */
export function decideUnregisterBroker(
  context: DecisionContext,
  { brokerId, isRunning }: UnregisterBroker,
): Decision<BrokerChanged> {
  const broker = registeredBroker(context.image, brokerId)
  const { brokerEpoch, incarnationId } = broker
  const problem =
    hostingProblem(context.image, brokerId) ??
    (!broker.fenced
      ? 'is not fenced. Stop it first; the controller notices within broker.session.timeout.ms.'
      : isRunning(incarnationId)
        ? `is fenced, but its process at ${broker.url} runs: the controller hears it. Stop it first.`
        : null)
  if (problem !== null) throw new VltavaError('INVALID_REQUEST', `Broker ${brokerId} ${problem}`)
  const cause = causeOf(context, 'operator', `an operator unregistered broker ${brokerId}`)
  return {
    records: [{ type: 'broker-unregistered', brokerId, brokerEpoch, cause }],
    response: { metadataOffset: context.nextOffset },
  }
}

function registeredBroker({ brokers }: ClusterImage, brokerId: NodeId): BrokerImage {
  const broker = brokers.get(brokerId)
  if (broker !== undefined) return broker
  const known = [...brokers.keys()].toSorted((a, b) => a - b).join(', ')
  throw new VltavaError(
    'BROKER_ID_NOT_REGISTERED',
    `Broker ${brokerId} is not registered. Registered brokers: [${known}].`,
  )
}

/** A partition that names a broker which nobody knows could never be whole again. */
function hostingProblem(image: ClusterImage, brokerId: NodeId): string | null {
  let replicas = 0
  let first: string | null = null
  for (const { topic, partition } of partitionsOf(image)) {
    if (!partition.replicas.includes(brokerId)) continue
    replicas++
    first ??= `${topic.name}/${partition.partition}`
  }
  if (first === null) return null
  const shown = replicas === 1 ? `a replica of ${first}` : `${replicas} replicas, one of ${first}`
  return `hosts ${shown}. Move them to others first (vltava broker drain ${brokerId}).`
}
