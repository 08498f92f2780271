// A heartbeat: what a broker asks for beside staying alive. Most change nothing. One unfences the broker, one reports
// a log that failed, one asks for leave to stop.
import { VltavaError } from '../model/errors.ts'
import {
  type BrokerEpoch,
  type LeaderEpoch,
  type MetadataOffset,
  type NodeId,
  type Offset,
  partitionKey,
  type TopicPartition,
} from '../model/ids.ts'
import { type BrokerImage, isEligible } from './cluster-image.ts'
import { causeOf, type Decision, type DecisionContext } from './decision.ts'
import { type DroppedTail, withTail } from './dropped-tails.ts'
import type { Cause, MetadataRecord } from './metadata-records.ts'
import { brokersWith, changePartition, type PartitionTarget, partitionsOf } from './partition-change.ts'

/** A log whose end was cut off when it was opened, and what is left of it. */
export interface ReportedTail extends TopicPartition {
  readonly leaderEpoch: LeaderEpoch
  readonly endOffset: Offset
}

export interface Heartbeat {
  /** The id that the connection proved. */
  readonly brokerId: NodeId
  readonly brokerEpoch: BrokerEpoch
  /** How far the broker has applied the metadata log. */
  readonly metadataOffset: MetadataOffset
  readonly wantUnfenced: boolean
  readonly wantShutdown: boolean
  readonly offlineLogs: readonly TopicPartition[]
  /** Logs of which a part is damaged, but which hold every offset. */
  readonly damagedLogs: readonly TopicPartition[]
  /** Logs that were cut off at the start of this run, or are known to have been; they count as it is unfenced. */
  readonly droppedTails: readonly ReportedTail[]
  /** How far every other unfenced broker is known to have applied the metadata log; Infinity when there is none. */
  readonly appliedByOthers: MetadataOffset
}

export interface HeartbeatAnswer {
  readonly fenced: boolean
  readonly mayShutDown: boolean
}

/** @throws VltavaError BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH */
export function decideHeartbeat(context: DecisionContext, heartbeat: Heartbeat): Decision<HeartbeatAnswer> {
  const broker = registeredRun(context, heartbeat)
  if (heartbeat.wantShutdown) return decideShutdown(context, broker, heartbeat)
  const unfences =
    broker.fenced &&
    heartbeat.wantUnfenced &&
    !broker.shuttingDown &&
    heartbeat.metadataOffset >= broker.brokerEpoch
  const serves = unfences || !broker.fenced
  const changes: MetadataRecord[] = unfences
    ? [fencingChanged(broker, { fenced: false, cause: caughtUp(context, broker) })]
    : []
  // A fenced broker that does not ask to serve yet reports again when it does; only then its report is complete.
  if (serves) changes.push(...partitionChanges(context, { broker, unfences, heartbeat }))
  return { records: changes, response: { fenced: !serves, mayShutDown: false } }
}

function registeredRun(context: DecisionContext, { brokerId, brokerEpoch }: Heartbeat): BrokerImage {
  const broker = context.image.brokers.get(brokerId)
  if (broker === undefined) {
    throw new VltavaError('BROKER_ID_NOT_REGISTERED', `Broker ${brokerId} is not registered; register first.`)
  }
  if (broker.brokerEpoch !== brokerEpoch) {
    throw new VltavaError(
      'STALE_BROKER_EPOCH',
      `Broker ${brokerId} speaks under broker epoch ${brokerEpoch}, the registered one is ${broker.brokerEpoch}.`,
    )
  }
  return broker
}

function fencingChanged(
  broker: BrokerImage,
  change: { readonly fenced?: boolean; readonly shuttingDown?: boolean; readonly cause: Cause },
): MetadataRecord {
  return {
    type: 'broker-fencing-changed',
    brokerId: broker.brokerId,
    brokerEpoch: broker.brokerEpoch,
    fenced: change.fenced ?? broker.fenced,
    shuttingDown: change.shuttingDown ?? broker.shuttingDown,
    cause: change.cause,
  }
}

function caughtUp(context: DecisionContext, broker: BrokerImage): Cause {
  return causeOf(
    context,
    'broker-caught-up',
    `broker ${broker.brokerId} applied its registration at ${broker.brokerEpoch} and serves`,
  )
}

interface Serving {
  readonly broker: BrokerImage
  readonly unfences: boolean
  readonly heartbeat: Heartbeat
}

/**
 * Logs that are missing, or of which nobody knows where they ended, leave ISR and ELR: electing such a replica would lose
 * acknowledged records. Logs with damaged parts hold every offset, so electing them loses nothing, but some records cannot
 * be read there: they leave the ISR where another member serves. A broker that is unfenced is elected wherever it is eligible
 * and nobody leads; where its log was cut off, only when nobody else can be had (dropped-tails.ts).
 */
function partitionChanges(
  context: DecisionContext,
  { broker, unfences, heartbeat }: Serving,
): MetadataRecord[] {
  if (!unfences && heartbeat.offlineLogs.length === 0 && heartbeat.damagedLogs.length === 0) return []
  const { brokerId } = broker
  const brokers = brokersWith(context.image, { brokerId, serves: true, mayLead: !broker.shuttingDown })
  const offline = indexOf(heartbeat.offlineLogs)
  const damaged = indexOf(heartbeat.damagedLogs)
  const offlineCause = causeOf(
    context,
    'log-offline',
    `broker ${brokerId} reports the log missing or without its end`,
  )
  const damagedCause = causeOf(context, 'log-offline', `broker ${brokerId} reports a part of the log damaged`)
  const elected = caughtUp(context, broker)
  const reportedTail = tailReports({ broker, unfences, heartbeat })
  const records: MetadataRecord[] = []
  for (const target of partitionsOf(context.image)) {
    const { partition, topic } = target
    if (!partition.replicas.includes(brokerId)) continue
    const isOffline = offline.get(topic.topicId)?.has(partition.partition) === true
    const isReplaced =
      !isOffline &&
      partition.isr.includes(brokerId) &&
      damaged.get(topic.topicId)?.has(partition.partition) === true &&
      partition.isr.some((member) => member !== brokerId && brokers.mayLead(member))
    const isElected = unfences && partition.leader === null
    const tail = isOffline ? null : reportedTail(target)
    if (isOffline ? !isEligible(partition, brokerId) : !isReplaced && !isElected && tail === null) continue
    const changed = changePartition({
      ...target,
      droppedTails: tail === null ? partition.droppedTails : withTail(partition.droppedTails, tail),
      brokers: isReplaced ? brokersWith(context.image, { brokerId, serves: false, mayLead: false }) : brokers,
      distrusted: isOffline ? [brokerId] : [],
      cause: isOffline
        ? offlineCause
        : isReplaced
          ? damagedCause
          : tail !== null
            ? tailCause(context, tail)
            : elected,
    })
    if (changed !== null) records.push(changed)
  }
  return records
}

/**
 * What the broker reports of the end of a log, where it is eligible. Only as it is unfenced: what is cut off is cut off at a
 * start. When it is unfenced again in the same run, only those count that are marked still: with the others it has been in
 * sync meanwhile.
 */
function tailReports({ broker, unfences, heartbeat }: Serving): (of: PartitionTarget) => DroppedTail | null {
  if (!unfences || heartbeat.droppedTails.length === 0) return () => null
  const { brokerId } = broker
  const isFirst = broker.unfencedEpoch < broker.brokerEpoch
  const reports = new Map(
    heartbeat.droppedTails.map((tail) => [partitionKey(tail.topicId, tail.partition), tail]),
  )
  return ({ topic, partition }) => {
    const found = reports.get(partitionKey(topic.topicId, partition.partition))
    if (found === undefined || !isEligible(partition, brokerId)) return null
    if (!isFirst && !partition.droppedTails.some((tail) => tail.brokerId === brokerId)) return null
    return { brokerId, leaderEpoch: found.leaderEpoch, endOffset: found.endOffset }
  }
}

function tailCause(context: DecisionContext, { brokerId, leaderEpoch, endOffset }: DroppedTail): Cause {
  return causeOf(
    context,
    'tail-dropped',
    `broker ${brokerId} reports that the log was cut off at an unclean start, at offset ${endOffset} (leader epoch ${leaderEpoch})`,
  )
}

function indexOf(partitions: readonly TopicPartition[]): ReadonlyMap<string, ReadonlySet<number>> {
  const index = new Map<string, Set<number>>()
  for (const { topicId, partition } of partitions) {
    const known = index.get(topicId)
    if (known === undefined) index.set(topicId, new Set([partition]))
    else known.add(partition)
  }
  return index
}

/**
 * The first request moves every leadership that can move and takes the broker out of each ISR but where nobody else can
 * lead. Leave is given once all other brokers have applied that, so that the new leaders serve before the old
 * one is gone (REP-38). What only this broker can lead stays with it until it stops.
 */
function decideShutdown(
  context: DecisionContext,
  broker: BrokerImage,
  { appliedByOthers }: Heartbeat,
): Decision<HeartbeatAnswer> {
  if (broker.fenced) return { records: [], response: { fenced: true, mayShutDown: true } }
  if (broker.shuttingDown) {
    return {
      records: [],
      response: { fenced: false, mayShutDown: appliedByOthers >= broker.stateOffset },
    }
  }
  const { brokerId } = broker
  const brokers = brokersWith(context.image, { brokerId, serves: false, mayLead: false })
  const cause = causeOf(context, 'controlled-shutdown', `broker ${brokerId} asked for leave to stop`)
  const records = [fencingChanged(broker, { shuttingDown: true, cause })]
  for (const target of partitionsOf(context.image)) {
    if (!target.partition.isr.includes(brokerId)) continue
    const changed = changePartition({ ...target, brokers, mayBeUnclean: false, cause })
    if (changed !== null && changed.leader !== null) records.push(changed)
  }
  return { records, response: { fenced: false, mayShutDown: appliedByOthers >= context.nextOffset } }
}
