// A new run of a broker. Its epoch is the metadata offset of the batch, so no two runs in the whole cluster share one
// and a quick bounce is never taken for the old run (KIP-380).
import { VltavaError } from '../model/errors.ts'
import type { BrokerEpoch, DirectoryId, IncarnationId, NodeId } from '../model/ids.ts'
import { checkRack } from '../model/rack.ts'
import { type BrokerImage, isEligible } from './cluster-image.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import type { MetadataRecord } from './metadata-records.ts'
import { brokersWith, changePartition, partitionsOf } from './partition-change.ts'

export interface RegisterBroker {
  /** The id that the connection proved. */
  readonly brokerId: NodeId
  readonly incarnationId: IncarnationId
  readonly directoryId: DirectoryId
  /** Where clients and other brokers reach it: ws:// or wss://. */
  readonly url: string
  readonly previousBrokerEpoch: BrokerEpoch | null
  readonly cleanShutdown: boolean
  /** Its broker.rack; null: none. */
  readonly rack: string | null
  /** Whether this controller hears that run now. */
  readonly isRunning: (incarnationId: IncarnationId) => boolean
}

/**
 * Registers the run, fenced. An earlier run must be fenced by then, which ended its leaderships. The same incarnation asking again gets the same epoch without a record.
 * @throws VltavaError DUPLICATE_BROKER_REGISTRATION while another run under this id is not fenced or is heard, INVALID_REQUEST
 */
export function decideRegisterBroker(
  context: DecisionContext,
  request: RegisterBroker,
): Decision<{ readonly brokerEpoch: BrokerEpoch }> {
  const { brokerId, incarnationId, directoryId, url, rack } = request
  if (!/^wss?:\/\/./.test(url)) {
    throw new VltavaError(
      'INVALID_REQUEST',
      `Broker ${brokerId} must register a URL that starts with ws:// or wss://, got ${JSON.stringify(url)}.`,
    )
  }
  checkRack(brokerId, rack)
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
  // What a run sent before it died may arrive after its successor has registered; whoever is heard is not replaced by it.
  if (registered !== undefined && request.isRunning(registered.incarnationId)) {
    throw new VltavaError(
      'DUPLICATE_BROKER_REGISTRATION',
      `Another process, at ${registered.url}, is registered as broker ${brokerId} and runs: the controller hears it. ` +
        'Stop it, or give this node another id.',
    )
  }
  const brokerEpoch: BrokerEpoch = context.nextOffset as number
  const trust = trustIn(registered, request)
  const detail = `broker ${brokerId} registered: ${trust === 'none' ? whyNotKept(registered, request) : 'it continues'}`
  const records: MetadataRecord[] = [
    {
      type: 'broker-registered',
      brokerId,
      brokerEpoch,
      incarnationId,
      directoryId,
      url,
      cause: causeOf(context, 'broker-registered', detail),
      rack,
    },
  ]
  if (trust !== 'all') records.push(...leavePartitions(context, { brokerId, trust, detail }))
  return { records, response: { brokerEpoch } }
}

/** What of a broker's logs is known to hold everything that counted: all, those that fsync before they count, or nothing. */
type Trust = 'all' | 'synced' | 'none'

function trustIn(registered: BrokerImage | undefined, request: RegisterBroker): Trust {
  if (registered === undefined || !holdsWhatItAcknowledged(registered, request)) return 'none'
  // Only a clean stop has flushed what counted when it was written.
  return request.cleanShutdown ? 'all' : 'synced'
}

/**
 * Where records are fsynced before they count: every record that counted toward the high watermark was fsynced, so a crash loses none of them as long as it is the
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

/**
 * Takes the broker out of ISR and ELR where its log may lack what it acknowledged. In the batch of the registration, so that
 * no election in between can choose it (RAFT-34, REP-29).
 */
function leavePartitions(
  context: DecisionContext,
  of: { readonly brokerId: NodeId; readonly trust: Trust; readonly detail: string },
): MetadataRecord[] {
  const { brokerId, trust, detail } = of
  const unsynced = `${detail}, but its last run did not stop cleanly, and flush.messages is above 1`
  const cause = causeOf(context, 'unclean-restart', trust === 'none' ? detail : unsynced)
  const brokers = brokersWith(context.image, { brokerId, serves: false, mayLead: false })
  const records: MetadataRecord[] = []
  for (const target of partitionsOf(context.image)) {
    const { partition } = target
    if (!isEligible(partition, brokerId) || (trust === 'synced' && partition.synced)) continue
    const changed = changePartition({ ...target, brokers, distrusted: [brokerId], cause })
    if (changed !== null) records.push(changed)
  }
  return records
}
