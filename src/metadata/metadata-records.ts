// The records of the metadata log. One Raft entry holds a batch of records that apply together or not at all
// (RAFT-34). Handlers never change state: they emit these records, Raft commits them, apply changes the image.
import {
  brokerEpochSchema,
  clusterIdSchema,
  directoryIdSchema,
  incarnationIdSchema,
  leaderEpochOrNoneSchema,
  leaderEpochSchema,
  nodeIdSchema,
  offsetSchema,
  partitionEpochSchema,
  partitionIndexSchema,
  topicIdSchema,
} from '../model/id-schemas.ts'
import { REPLICAS_MAX, TOPIC_NAME_MAX_CHARACTERS, VOTERS_MAX } from '../model/limits.ts'
import { rackSchema } from '../model/rack.ts'
import {
  boolean,
  type Infer,
  integer,
  list,
  nullable,
  oneOf,
  struct,
  text,
  union,
  withFallback,
} from '../schema/schema.ts'

/** Why a change of leadership, ISR or fencing happened: what was seen, by whom, when. `explain` tells it. */
export const causeSchema = struct({
  kind: oneOf([
    'topic-created',
    'broker-registered',
    'heartbeat-missed',
    'link-closed',
    'broker-caught-up',
    'controlled-shutdown',
    'leader-fenced',
    'replica-caught-up',
    'replica-lagging',
    'log-offline',
    'unclean-restart',
    'operator',
    'unclean-election',
    'preferred-leader',
    'configs-changed',
    'synced-again',
    'tail-dropped',
    'longest-log',
  ]),
  /** The node that saw it. */
  observerId: nodeIdSchema,
  /** Wall clock of the observer, in milliseconds since the epoch. */
  observedAtMs: integer(0, Number.MAX_SAFE_INTEGER),
  /** The evidence in words, such as "no heartbeat of broker 2 for 3,012 ms". */
  detail: text(300),
})

export type Cause = Infer<typeof causeSchema>

const replicas = list(nodeIdSchema, REPLICAS_MAX)

export const droppedTailsSchema = list(
  struct({
    brokerId: nodeIdSchema,
    /** Of the last batch that is left; -1 where there is none. */
    leaderEpoch: leaderEpochOrNoneSchema,
    /** Exclusive end of what is left of the log. */
    endOffset: offsetSchema,
  }),
  REPLICAS_MAX,
)

const reassignment = struct({
  /** The replicas before it, in their order; cancelling goes back to them. */
  original: replicas,
  /** The replicas after it, the preferred leader first. */
  target: replicas,
})

const voters = list(
  struct({
    nodeId: nodeIdSchema,
    directoryId: directoryIdSchema,
    /** Where the voter says that it is reached; null for those with whom the cluster was formed. */
    url: withFallback(nullable(text(500)), null),
  }),
  VOTERS_MAX,
)

export const metadataRecordSchema = union({
  /** The first record of a cluster. */
  'cluster-formed': struct({
    clusterId: clusterIdSchema,
    voters,
  }),
  /** A new run of a broker. Its epoch is the metadata offset of this record's batch. It starts fenced. */
  'broker-registered': struct({
    brokerId: nodeIdSchema,
    brokerEpoch: brokerEpochSchema,
    incarnationId: incarnationIdSchema,
    directoryId: directoryIdSchema,
    url: text(500),
    cause: causeSchema,
    /** null: it names none. */
    rack: rackSchema,
  }),
  'broker-fencing-changed': struct({
    brokerId: nodeIdSchema,
    brokerEpoch: brokerEpochSchema,
    fenced: boolean(),
    shuttingDown: boolean(),
    cause: causeSchema,
  }),
  'topic-created': struct({
    topicId: topicIdSchema,
    name: text(TOPIC_NAME_MAX_CHARACTERS),
    configs: list(struct({ name: text(200), value: text(1_000) }), 100),
  }),
  /** Deleting a topic deletes its partitions. Data goes only after this record is committed. */
  'topic-deleted': struct({ topicId: topicIdSchema }),
  'partition-created': struct({
    topicId: topicIdSchema,
    partition: partitionIndexSchema,
    /** The first one is the preferred leader. */
    replicas,
    isr: replicas,
    leader: nullable(nodeIdSchema),
    cause: causeSchema,
    /** Whether every record that counts is fsynced where it counts: flush.messages is 1. */
    synced: withFallback(boolean(), true),
    /** Which of the replicas are observers: asynchronous, and in no ISR. */
    observers: withFallback(replicas, []),
  }),
  /** The whole new state. Applying asserts that partitionEpoch is the previous one + 1. */
  'partition-changed': struct({
    topicId: topicIdSchema,
    partition: partitionIndexSchema,
    isr: replicas,
    leader: nullable(nodeIdSchema),
    /** Grows with every change of leader and with every new broker epoch of the leader. */
    leaderEpoch: leaderEpochSchema,
    partitionEpoch: partitionEpochSchema,
    cause: causeSchema,
    /** Eligible leader replicas: outside of the ISR, and they hold every committed record. */
    elr: withFallback(replicas, []),
    /** Who was in the ISR or the ELR since the ISR fell below min.insync.replicas, and is in neither any more. */
    lastKnownElr: withFallback(replicas, []),
    /** As in partition-created. Cleared by what raises flush.messages, set again by the leader when all is fsynced. */
    synced: withFallback(boolean(), true),
    /** Members of the ELR whose logs were cut off at an unclean start: elected only when nobody else can be had. */
    droppedTails: withFallback(droppedTailsSchema, []),
    /** As in partition-created. */
    observers: withFallback(replicas, []),
    /** All replicas, where they change; then the leader epoch grows. null: those before. */
    replicas: withFallback(nullable(replicas), null),
    /** The change of the replicas that is under way; none ends it. */
    reassignment: withFallback(nullable(reassignment), null),
  }),
  /** All that is set for a topic from now on; what a change of these means for its partitions stands in the same batch. */
  'topic-configs-changed': struct({
    topicId: topicIdSchema,
    configs: list(struct({ name: text(200), value: text(1_000) }), 100),
    cause: causeSchema,
  }),
  /** One voter of the controller quorum more or less. The Raft entry that holds this record names the same voters. */
  'voters-changed': struct({
    /** From now on. */
    voters,
    cause: causeSchema,
  }),
  /** All that is set for one node, or for all nodes, from now on. */
  'broker-configs-changed': struct({
    /** The node; null: what counts for all nodes that have no value of their own. */
    brokerId: nullable(nodeIdSchema),
    configs: list(struct({ name: text(200), value: text(1_000) }), 100),
    cause: causeSchema,
  }),
  /** Whether a broker is passed over where new replicas are placed. What it hosts stays. */
  'broker-cordon-changed': struct({
    brokerId: nodeIdSchema,
    /** false: it may have new replicas again. */
    cordoned: boolean(),
    cause: causeSchema,
  }),
  /** The cluster knows a broker no more, nor what was set for it. It is fenced, and hosts nothing. */
  'broker-unregistered': struct({
    brokerId: nodeIdSchema,
    /** Of its last run. */
    brokerEpoch: brokerEpochSchema,
    cause: causeSchema,
  }),
})

export type MetadataRecord = Infer<typeof metadataRecordSchema>
export type MetadataRecordOf<Type extends MetadataRecord['type']> = Extract<
  MetadataRecord,
  { readonly type: Type }
>

/** What one Raft entry holds. */
export const metadataBatchSchema = list(metadataRecordSchema, 100_000)
