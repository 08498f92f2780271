// A new run of a broker. Its epoch is the metadata offset of the batch, so no two runs in the whole cluster share one
// and a quick bounce is never taken for the old run (KIP-380).
import { VltavaError } from '../model/errors.ts'
import type { BrokerEpoch, DirectoryId, IncarnationId, NodeId } from '../model/ids.ts'
import { type BrokerImage, isActive } from './cluster-image.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import type { MetadataRecord } from './metadata-records.ts'
import { changePartition, isrWithoutEvenLast, partitionsOf } from './partition-change.ts'

export interface RegisterBroker {
  /** The id that the connection proved. */
  readonly brokerId: NodeId
  readonly incarnationId: IncarnationId
  readonly directoryId: DirectoryId
  /** Where clients and other brokers reach it: ws:// or wss://. */
  readonly url: string
  readonly previousBrokerEpoch: BrokerEpoch | null
  readonly cleanShutdown: boolean
}

/**
 * Registers the run, fenced. An earlier run must be fenced by then, which ended its leaderships. The same incarnation asking again gets the same epoch without a record.
 * @throws VltavaError DUPLICATE_BROKER_REGISTRATION while another run under this id is not fenced, INVALID_REQUEST
 */
export function decideRegisterBroker(
  context: DecisionContext,
  request: RegisterBroker,
): Decision<{ readonly brokerEpoch: BrokerEpoch }> {
  const { brokerId, incarnationId, directoryId, url } = request
  if (!/^wss?:\/\/./.test(url)) {
    throw new VltavaError(
      'INVALID_REQUEST',
      `Broker ${brokerId} must register a URL that starts with ws:// or wss://, got ${JSON.stringify(url)}.`,
    )
  }
  const registered = context.image.brokers.get(brokerId)
  if (registered?.incarnationId === incarnationId) {
    return { records: [], response: { brokerEpoch: registered.brokerEpoch } }
  }
  if (registered !== undefined && !registered.fenced) {
    throw new VltavaError(
      'DUPLICATE_BROKER_REGISTRATION',
      `Another process, at ${registered.url}, is registered as broker ${brokerId} and is not fenced yet. If it has ` +
        'stopped, it is fenced soon and a later attempt succeeds; if it runs, give this node another id.',
    )
  }
  const brokerEpoch: BrokerEpoch = context.nextOffset as number
  const kept = registered !== undefined && holdsWhatItAcknowledged(registered, request)
  const detail = `broker ${brokerId} registered: ${kept ? 'it continues' : whyNotKept(registered, request)}`
  const records: MetadataRecord[] = [
    {
      type: 'broker-registered',
      brokerId,
      brokerEpoch,
      incarnationId,
      directoryId,
      url,
      cause: causeOf(context, 'broker-registered', detail),
    },
  ]
  if (!kept) records.push(...leaveEveryIsr(context, brokerId, detail))
  return { records, response: { brokerEpoch } }
}

/**
 * Every record that counted toward the high watermark was fsynced, so a crash loses none of them as long as it is the
 * same directory, and as long as no run that was unfenced lies between that it does not know of. A clean-shutdown
 * marker of the very last run proves the same.
 */
function holdsWhatItAcknowledged(registered: BrokerImage, request: RegisterBroker): boolean {
  const { previousBrokerEpoch } = request
  // A run that ended before its directory knew the new epoch was never unfenced, and counted for nothing.
  const knowsLastRunThatCounted =
    previousBrokerEpoch !== null &&
    previousBrokerEpoch <= registered.brokerEpoch &&
    previousBrokerEpoch >= registered.unfencedEpoch &&
    registered.unfencedEpoch >= 0
  if (request.directoryId === registered.directoryId) {
    return knowsLastRunThatCounted || previousBrokerEpoch === registered.brokerEpoch
  }
  return request.cleanShutdown && previousBrokerEpoch === registered.brokerEpoch
}

function whyNotKept(registered: BrokerImage | undefined, request: RegisterBroker): string {
  if (registered === undefined) return 'it is new'
  if (request.directoryId !== registered.directoryId) {
    return `its data directory is ${request.directoryId}, the last run had ${registered.directoryId}`
  }
  return `its directory knows broker epoch ${request.previousBrokerEpoch ?? 'none'}, the last run had ${registered.brokerEpoch}`
}

/** In the batch of the registration, so that no election in between can choose it (RAFT-34, REP-29). */
function leaveEveryIsr(context: DecisionContext, brokerId: NodeId, detail: string): MetadataRecord[] {
  const { brokers } = context.image
  const cause = causeOf(context, 'unclean-restart', detail)
  const mayLead = (candidate: NodeId): boolean => candidate !== brokerId && isActive(brokers.get(candidate))
  const records: MetadataRecord[] = []
  for (const target of partitionsOf(context.image)) {
    if (!target.partition.isr.includes(brokerId)) continue
    const isr = isrWithoutEvenLast(target.partition.isr, brokerId)
    const changed = changePartition({ ...target, isr, mayLead, cause })
    if (changed !== null) records.push(changed)
  }
  return records
}
