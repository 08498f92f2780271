import {
  leaderEpochOrNoneSchema,
  leaderEpochSchema,
  nodeIdSchema,
  offsetSchema,
  partitionIndexSchema,
  topicIdSchema,
} from '../model/id-schemas.ts'
import { PARTITIONS_PER_REQUEST_MAX, REPLICAS_MAX } from '../model/limits.ts'
import { boolean, integer, list, nullable, struct } from '../schema/schema.ts'
import { defineApi } from './api.ts'
import { errorOrNoneSchema } from './error-schema.ts'

export const describeReplicas = defineApi({
  key: 38,
  name: 'describe-replicas',
  version: 0,
  caller: 'client',
  servedBy: 'broker',
  oneWay: false,
  doc: 'How far the replicas of partitions are that this broker leads, as their leader knows it.',
  request: struct({
    partitions: list(
      struct({
        topicId: topicIdSchema,
        partition: partitionIndexSchema,
        currentLeaderEpoch: leaderEpochOrNoneSchema,
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  response: struct({
    /** In the order of the request. */
    partitions: list(
      struct({
        error: errorOrNoneSchema,
        leaderEpoch: leaderEpochSchema,
        /** The leader first. */
        replicas: list(
          struct({
            brokerId: nodeIdSchema,
            /** Whether it is in the committed in-sync set. */
            isInSync: boolean(),
            /** By its last fetch; null before the first one in this leader epoch. */
            logEndOffset: nullable(offsetSchema),
            /** What it has fsynced, as far as the leader knows; null as above. */
            flushedOffset: nullable(offsetSchema),
            /** Records of the leader that it lacks; null as above. */
            lagRecords: nullable(offsetSchema),
            /** Bytes of the batches that it lacks, at most an index interval and a batch too many; null as above. */
            lagBytes: nullable(integer(0, Number.MAX_SAFE_INTEGER)),
            /** Milliseconds since it had all that counts; 0 while it does; null when it never had in this leader epoch. */
            lagMs: nullable(integer(0, Number.MAX_SAFE_INTEGER)),
          }),
          REPLICAS_MAX,
        ),
      }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
  }),
  errors: [
    'UNKNOWN_TOPIC_ID',
    'NOT_LEADER_OR_FOLLOWER',
    'FENCED_LEADER_EPOCH',
    'UNKNOWN_LEADER_EPOCH',
    'BROKER_FENCED',
  ],
})
