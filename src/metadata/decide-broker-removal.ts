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

/** What a controller knows of a run of a broker. One that has just become active may be about to hear it: `unknown`. */
export type RunContact = 'heard' | 'silent' | 'unknown'

export interface UnregisterBroker {
  readonly brokerId: NodeId
  readonly contactOf: (incarnationId: IncarnationId) => RunContact
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
 * @throws VltavaError BROKER_ID_NOT_REGISTERED; INVALID_REQUEST while it is not fenced, is heard or could be, or hosts replicas
 */
export function decideUnregisterBroker(
  context: DecisionContext,
  { brokerId, contactOf }: UnregisterBroker,
): Decision<BrokerChanged> {
  const broker = registeredBroker(context.image, brokerId)
  const problem =
    hostingProblem(context.image, brokerId) ?? runningProblem(broker, contactOf(broker.incarnationId))
  if (problem !== null) throw new VltavaError('INVALID_REQUEST', `Broker ${brokerId} ${problem}`)
  const cause = causeOf(context, 'operator', `an operator unregistered broker ${brokerId}`)
  return {
    records: [{ type: 'broker-unregistered', brokerId, brokerEpoch: broker.brokerEpoch, cause }],
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

/** A process that is told that its broker is unregistered ends itself. */
function runningProblem({ fenced, url }: BrokerImage, contact: RunContact): string | null {
  if (!fenced) return 'is not fenced. Stop it first; the controller notices within broker.session.timeout.ms.'
  if (contact === 'silent') return null
  return contact === 'heard'
    ? `is fenced, but its process at ${url} runs: the controller hears it. Stop it first.`
    : `is fenced, but the controller has just become active and does not know yet whether the process at ${url} runs. ` +
        'Ask again once broker.session.timeout.ms has passed.'
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
