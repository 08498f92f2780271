// What a broker tells of itself. Names and meanings are those of Kafka's MBeans, as the Prometheus exporter of the JVM
// writes them.
import type { TopicCounters } from '../../broker/broker-counters.ts'
import type { BrokerNode } from '../../broker/broker-node.ts'
import {
  countOf,
  hostedPartitions,
  isUnderReplicated,
  type LedPartition,
  ledPartitions,
  spareReplicas,
} from './hosted-partitions.ts'
import type { MetricRow } from './metric-row.ts'

function ofBroker(
  name: string,
  help: string,
  of: { readonly type?: MetricRow['type']; readonly value: (broker: BrokerNode) => number },
): MetricRow {
  return {
    name,
    help,
    type: of.type ?? 'gauge',
    labels: [],
    *samples({ broker }) {
      if (broker !== null) yield { value: of.value(broker) }
    },
  }
}

function countLed(name: string, help: string, counts: (partition: LedPartition) => boolean): MetricRow {
  return ofBroker(name, help, {
    value: (broker) => countOf(ledPartitions({ broker, controller: null }), counts),
  })
}

function ofTopics(name: string, help: string, value: (counters: TopicCounters) => number): MetricRow {
  return ofTopicsAs(`kafka_server_brokertopicmetrics_${name}_total`, help, value)
}

function ofTopicsAs(name: string, help: string, value: (counters: TopicCounters) => number): MetricRow {
  return {
    name,
    help,
    type: 'counter',
    labels: ['topic'],
    *samples({ broker }) {
      if (broker === null) return
      for (const [topicId, counters] of broker.counters.topics) {
        const topic = broker.image.topics.get(topicId)
        if (topic !== undefined) yield { labels: { topic: topic.name }, value: value(counters) }
      }
    },
  }
}

/** The largest number of records that a follower here lacks of what its leader told last. */
function maxLag(broker: BrokerNode): number {
  let lag = 0
  for (const { hosted } of hostedPartitions({ broker, controller: null })) {
    const { follower } = hosted
    if (follower !== null) lag = Math.max(lag, follower.options.core.highWatermark - hosted.log.logEndOffset)
  }
  return lag
}

export const BROKER_METRICS: readonly MetricRow[] = [
  countLed('kafka_server_replicamanager_leadercount', 'Partitions led here.', () => true),
  ofBroker('kafka_server_replicamanager_partitioncount', 'Partitions with a replica here.', {
    value: (broker) => countOf(broker.registry.hosted, () => true),
  }),
  countLed(
    'kafka_server_replicamanager_underreplicatedpartitions',
    'Partitions led here whose in-sync set lacks a replica.',
    isUnderReplicated,
  ),
  countLed(
    'kafka_server_replicamanager_underminisrpartitioncount',
    'Partitions led here with fewer in-sync replicas than min.insync.replicas: acks=all is refused.',
    (partition) => spareReplicas(partition) < 0,
  ),
  countLed(
    'kafka_server_replicamanager_atminisrpartitioncount',
    'Partitions led here that cannot lose another in-sync replica.',
    (partition) => spareReplicas(partition) === 0,
  ),
  ofBroker(
    'kafka_server_replicamanager_offlinereplicacount',
    'Replicas here whose log is damaged or missing.',
    {
      value: (broker) => broker.registry.offlineLogs?.length ?? 0,
    },
  ),
  ofBroker('kafka_server_replicamanager_isrshrinks_total', 'In-sync sets that a leader here made smaller.', {
    type: 'counter',
    value: ({ counters }) => counters.isrShrinks,
  }),
  ofBroker('kafka_server_replicamanager_isrexpands_total', 'In-sync sets that a leader here made larger.', {
    type: 'counter',
    value: ({ counters }) => counters.isrExpands,
  }),
  ofBroker(
    'kafka_server_replicamanager_failedisrupdates_total',
    'Changes of in-sync sets that were refused or not answered.',
    {
      type: 'counter',
      value: ({ counters }) => counters.failedIsrUpdates,
    },
  ),
  ofBroker(
    'kafka_server_replicafetchermanager_maxlag',
    'Most committed records that a follower here lacks.',
    {
      value: maxLag,
    },
  ),
  {
    name: 'kafka_server_delayedoperationpurgatory_purgatorysize',
    help: 'Requests that wait for a partition to move.',
    type: 'gauge',
    labels: ['delayedoperation'],
    *samples(node) {
      if (node.broker === null) return
      let produces = 0
      let fetches = 0
      for (const { hosted } of hostedPartitions(node)) {
        produces += hosted.leader?.pendingAcks.size ?? 0
        fetches += hosted.committedFetches.size + hosted.writtenFetches.size
      }
      fetches += node.broker.fetchSessions.parked
      yield { labels: { delayedoperation: 'Produce' }, value: produces }
      yield { labels: { delayedoperation: 'Fetch' }, value: fetches }
    },
  },
  ofBroker(
    'kafka_server_fetchsessioncache_numincrementalfetchsessions',
    'Fetch sessions of followers and consumers.',
    { value: ({ fetchSessions }) => fetchSessions.count },
  ),
  ofBroker(
    'kafka_server_fetchsessioncache_numincrementalfetchpartitionscached',
    'Partitions in fetch sessions.',
    { value: ({ fetchSessions }) => fetchSessions.partitions },
  ),
  ofTopics('messagesin', 'Records appended.', ({ messagesIn }) => messagesIn),
  ofTopics('bytesin', 'Bytes of record batches appended.', ({ bytesIn }) => bytesIn),
  ofTopics('bytesout', 'Bytes of record batches given to consumers.', ({ bytesOut }) => bytesOut),
  ofTopics(
    'bytesrejected',
    'Bytes of record batches refused for what they hold.',
    ({ bytesRejected }) => bytesRejected,
  ),
  ofTopics(
    'replicationbytesin',
    'Bytes of record batches fetched from leaders.',
    ({ replicationBytesIn }) => replicationBytesIn,
  ),
  ofTopics(
    'replicationbytesout',
    'Bytes of record batches given to followers.',
    ({ replicationBytesOut }) => replicationBytesOut,
  ),
  ofTopics('totalproducerequests', 'Produces of a partition.', ({ produceRequests }) => produceRequests),
  ofTopics(
    'totalfetchrequests',
    'Fetches of a partition by consumers.',
    ({ fetchRequests }) => fetchRequests,
  ),
  ofTopics(
    'failedproducerequests',
    'Produces of a partition that failed.',
    ({ failedProduceRequests }) => failedProduceRequests,
  ),
  ofTopics(
    'failedfetchrequests',
    'Fetches of a partition by consumers that failed.',
    ({ failedFetchRequests }) => failedFetchRequests,
  ),
  ofTopicsAs(
    'vltava_truncated_records_total',
    'Records that followers here cut off because their leader does not have them: of acks 0 or 1, or not acknowledged.',
    ({ truncatedRecords }) => truncatedRecords,
  ),
]
