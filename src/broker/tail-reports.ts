// The ends of logs of which the controller has to hear before this broker is unfenced.
import { type ClusterImage, partitionOf } from '../metadata/cluster-image.ts'
import type { ReportedTail } from '../metadata/decide-heartbeat.ts'
import type { BrokerEpoch, NodeId } from '../model/ids.ts'
import type { Partition } from './partition.ts'

export interface TailReportsOptions {
  readonly nodeId: NodeId
  /** The image whose roles the hosted partitions have. */
  readonly image: ClusterImage
  readonly hosted: Iterable<Partition>
}

/**
 * Logs that were cut off when they were opened, and those of which the metadata says so from an earlier run: what they
 * hold now may be another part.
 */
export function tailReports({ nodeId, image, hosted }: TailReportsOptions): readonly ReportedTail[] {
  const reports: ReportedTail[] = []
  for (const { log, options } of hosted) {
    const known = partitionOf(image, options)?.droppedTails ?? []
    if (!log.health.isTailDropped && !known.some(({ brokerId }) => brokerId === nodeId)) continue
    const { topicId, partition } = options
    const endOffset = log.logEndOffset
    const leaderEpoch = endOffset > log.logStartOffset ? log.epochs.epochAt(endOffset - 1) : -1
    reports.push({ topicId, partition, leaderEpoch, endOffset })
  }
  return reports
}

/**
 * Forgets what was reported, once the metadata shows that this run was unfenced: the batch that did it holds the reports.
 * From then on the log is what the metadata says.
 */
export async function settleTails(
  options: TailReportsOptions & { readonly brokerEpoch: BrokerEpoch },
): Promise<void> {
  const { nodeId, image, hosted, brokerEpoch } = options
  if ((image.brokers.get(nodeId)?.unfencedEpoch ?? -1) < brokerEpoch) return
  for (const { log } of hosted) if (log.health.isTailDropped) await log.health.tailReported()
}
