// Fencing: the controller has evidence that a broker is gone. It loses every leadership and leaves every ISR, all in the
// batch that fences it. Where the ISR is too small without it, it stays eligible (KIP-966).
import type { BrokerEpoch, NodeId } from '../model/ids.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import type { MetadataRecord } from './metadata-records.ts'
import { brokersWith, changePartition, partitionsOf } from './partition-change.ts'

export interface FenceBroker {
  readonly brokerId: NodeId
  /** The run that is to be fenced; a later one is left alone. */
  readonly brokerEpoch: BrokerEpoch
  readonly evidence: 'heartbeat-missed' | 'link-closed'
  /** The evidence in words, such as "no heartbeat of broker 2 for 3012 ms". */
  readonly detail: string
}

/** No records when that run of the broker is fenced already or was followed by another one. */
export function decideFenceBroker(
  context: DecisionContext,
  { brokerId, brokerEpoch, evidence, detail }: FenceBroker,
): Decision<null> {
  const { image } = context
  const broker = image.brokers.get(brokerId)
  if (broker === undefined || broker.brokerEpoch !== brokerEpoch || broker.fenced) {
    return { records: [], response: null }
  }
  const records: MetadataRecord[] = [
    {
      type: 'broker-fencing-changed',
      brokerId,
      brokerEpoch,
      fenced: true,
      shuttingDown: broker.shuttingDown,
      cause: causeOf(context, evidence, detail),
    },
  ]
  const leaderCause = causeOf(context, 'leader-fenced', detail)
  const memberCause = causeOf(context, evidence, detail)
  const brokers = brokersWith(image, { brokerId, serves: false, mayLead: false })
  for (const target of partitionsOf(image)) {
    if (!target.partition.isr.includes(brokerId)) continue
    const changed = changePartition({
      ...target,
      brokers,
      cause: target.partition.leader === brokerId ? leaderCause : memberCause,
    })
    if (changed !== null) records.push(changed)
  }
  return { records, response: null }
}
