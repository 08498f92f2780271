// The state of each partition, told by its leader, so that every partition stands once in the metrics of a cluster. The
// names are those of the exporter that most Kafka dashboards are made for.
import type { LeaderRole } from '../../broker/leader-role.ts'
import { replicaLags, replicaPlaces } from '../../broker/replica-lag.ts'
import { votersOf } from '../../metadata/cluster-image.ts'
import type { NodeId } from '../../model/ids.ts'
import {
  hostedPartitions,
  isUnderReplicated,
  type LedPartition,
  labelsOf,
  ledPartitions,
} from './hosted-partitions.ts'
import type { MeteredNode } from './metered-node.ts'
import type { MetricRow, Sample } from './metric-row.ts'

const PARTITION = ['topic', 'partition'] as const
const REPLICA = ['topic', 'partition', 'replica'] as const

function led(name: string, help: string, value: (partition: LedPartition) => number): MetricRow {
  return {
    name,
    help,
    type: 'gauge',
    labels: PARTITION,
    *samples(node) {
      for (const partition of ledPartitions(node))
        yield { labels: labelsOf(partition), value: value(partition) }
    },
  }
}

/** @param lags all replicas, the leader first; those of which `value` says null are left out: nobody has heard of them yet. */
function ofReplicas<Lag extends { readonly brokerId: NodeId }>(
  row: Pick<MetricRow, 'name' | 'help'>,
  lags: (role: LeaderRole) => readonly Lag[] | Promise<readonly Lag[]>,
  value: (lag: Lag) => number | null,
): MetricRow {
  const samples = async (node: MeteredNode): Promise<readonly Sample[]> => {
    const found: Sample[] = []
    for (const partition of ledPartitions(node)) {
      for (const lag of (await lags(partition.role)).slice(1)) {
        const told = value(lag)
        if (told !== null)
          found.push({ labels: { ...labelsOf(partition), replica: lag.brokerId }, value: told })
      }
    }
    return found
  }
  return { ...row, type: 'gauge', labels: REPLICA, samples }
}

export const PARTITION_METRICS: readonly MetricRow[] = [
  {
    name: 'kafka_brokers',
    help: 'Brokers that are registered and not fenced.',
    type: 'gauge',
    labels: [],
    *samples({ broker }) {
      if (broker === null) return
      let value = 0
      for (const { fenced } of broker.image.brokers.values()) if (!fenced) value++
      yield { value }
    },
  },
  {
    name: 'kafka_topic_partitions',
    help: 'Partitions of the topic.',
    type: 'gauge',
    labels: ['topic'],
    *samples({ broker }) {
      if (broker === null) return
      for (const { name, partitions } of broker.image.topics.values())
        yield { labels: { topic: name }, value: partitions.length }
    },
  },
  led(
    'kafka_topic_partition_current_offset',
    'High watermark: the end of what is committed.',
    ({ role }) => role.highWatermark,
  ),
  led(
    'kafka_topic_partition_oldest_offset',
    'Log start: the first offset that is kept.',
    ({ role }) => role.options.log.logStartOffset,
  ),
  led(
    'kafka_topic_partition_leader',
    'Id of the broker that leads the partition.',
    ({ image }) => image.leader ?? -1,
  ),
  led(
    'kafka_topic_partition_leader_is_preferred',
    '1 when the first replica of the assignment leads.',
    ({ image }) => (image.leader === votersOf(image)[0] ? 1 : 0),
  ),
  led('kafka_topic_partition_replicas', 'Replicas of the partition.', ({ image }) => image.replicas.length),
  led(
    'kafka_topic_partition_in_sync_replica',
    'Members of the in-sync set.',
    ({ image }) => image.isr.length,
  ),
  led(
    'kafka_topic_partition_under_replicated_partition',
    '1 when the in-sync set lacks a replica.',
    (partition) => (isUnderReplicated(partition) ? 1 : 0),
  ),
  ofReplicas(
    {
      name: 'vltava_replica_lag_records',
      help: 'Records of the leader that the follower has not fetched yet.',
    },
    replicaPlaces,
    ({ lagRecords }) => lagRecords,
  ),
  ofReplicas(
    {
      name: 'vltava_replica_lag_bytes',
      help: 'Bytes of the batches that the follower has not fetched yet, at most an index interval and a batch too many.',
    },
    replicaLags,
    ({ lagBytes }) => lagBytes,
  ),
  ofReplicas(
    {
      name: 'vltava_replica_lag_seconds',
      help: 'How long the follower has lacked what counts of the log end; 0 when it has it.',
    },
    replicaPlaces,
    ({ lagMs }) => (lagMs === null ? null : lagMs / 1_000),
  ),
  {
    name: 'kafka_log_log_logendoffset',
    help: 'Log end of the replica on this broker.',
    type: 'gauge',
    labels: PARTITION,
    *samples(node) {
      for (const partition of hostedPartitions(node))
        yield { labels: labelsOf(partition), value: partition.hosted.log.logEndOffset }
    },
  },
]
