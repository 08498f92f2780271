import {
  brokerEpochSchema,
  directoryIdSchema,
  incarnationIdSchema,
  leaderEpochOrNoneSchema,
  metadataOffsetSchema,
  nodeIdSchema,
  offsetSchema,
  partitionIndexSchema,
  topicIdSchema,
} from '../model/id-schemas.ts'
import {
  DROPPED_TAILS_MAX,
  METADATA_SNAPSHOT_MAX_BYTES,
  PARTITIONS_PER_REQUEST_MAX,
} from '../model/limits.ts'
import { rackSchema } from '../model/rack.ts'
import { boolean, bytes, integer, list, nullable, struct, text, withFallback } from '../schema/schema.ts'
import { defineApi } from './api.ts'

/** The broker id is the one the connection proved; a message cannot name another (SEC-33). */
export const registerBroker = defineApi({
  key: 54,
  name: 'register-broker',
  version: 0,
  caller: 'peer',
  servedBy: 'controller',
  oneWay: false,
  doc: 'Registers this run of a broker, once the run before is fenced and not heard any more. It starts fenced, with a new broker epoch.',
  request: struct({
    incarnationId: incarnationIdSchema,
    directoryId: directoryIdSchema,
    /** Where clients and other brokers reach it. */
    url: text(500),
    /** The broker epoch of the last run as its directory holds it; null for a new directory. */
    previousBrokerEpoch: nullable(brokerEpochSchema),
    /** Whether the last run ended with every log flushed (its clean-shutdown marker was there and fits the epoch). */
    cleanShutdown: boolean(),
    /** What the broker shares with others that fail together; null: it names none. */
    rack: rackSchema,
  }),
  response: struct({ brokerEpoch: brokerEpochSchema }),
  errors: ['NOT_CONTROLLER', 'DUPLICATE_BROKER_REGISTRATION', 'INVALID_REQUEST', 'REQUEST_TIMED_OUT'],
})

export const brokerHeartbeat = defineApi({
  key: 55,
  name: 'broker-heartbeat',
  version: 0,
  caller: 'peer',
  servedBy: 'controller',
  oneWay: false,
  doc: 'Keeps the session of a broker alive and asks for unfencing, fencing or leave to stop.',
  request: struct({
    brokerEpoch: brokerEpochSchema,
    /** How far this broker has applied the metadata log. */
    metadataOffset: metadataOffsetSchema,
    /** The broker has replayed its registration, opened its logs and wants to serve. */
    wantUnfenced: boolean(),
    /** The broker is stopping and wants its leaderships moved first. */
    wantShutdown: boolean(),
    /** Logs that are missing or damaged: they leave the ISR in the batch that unfences the broker. */
    offlineLogs: list(
      struct({ topicId: topicIdSchema, partition: partitionIndexSchema }),
      PARTITIONS_PER_REQUEST_MAX,
    ),
    /**
     * Logs of which a part is damaged and no offset missing. They leave the ISR, and lead no more, where it has another
     * member that serves. Told until they are repaired.
     */
    damagedLogs: withFallback(
      list(struct({ topicId: topicIdSchema, partition: partitionIndexSchema }), PARTITIONS_PER_REQUEST_MAX),
      [],
    ),
    /**
     * Logs whose end was cut off when they were opened after an unclean stop, which is how a damaged end looks as well, and
     * those of which that was reported before. They are elected only when no other eligible replica can be had.
     */
    droppedTails: withFallback(
      list(
        struct({
          topicId: topicIdSchema,
          partition: partitionIndexSchema,
          /** Of the last batch that is left; -1 where there is none. */
          leaderEpoch: leaderEpochOrNoneSchema,
          /** Exclusive end of what is left. */
          endOffset: offsetSchema,
        }),
        DROPPED_TAILS_MAX,
      ),
      [],
    ),
  }),
  response: struct({ fenced: boolean(), mayShutDown: boolean() }),
  errors: ['NOT_CONTROLLER', 'BROKER_ID_NOT_REGISTERED', 'STALE_BROKER_EPOCH'],
})

/** Each entry of the answer is one committed batch of metadata records. */
export const fetchMetadata = defineApi({
  key: 56,
  name: 'fetch-metadata',
  version: 0,
  caller: 'peer',
  servedBy: 'controller',
  oneWay: false,
  doc: 'Reads the committed metadata log from an offset on. Parks up to maxWaitMs when there is nothing new.',
  request: struct({
    /** The first metadata offset wanted; from 1. */
    fromOffset: metadataOffsetSchema,
    maxWaitMs: integer(0, 60_000),
    maxBytes: integer(1, 4 * 1024 * 1024),
  }),
  response: struct({
    controllerId: nodeIdSchema,
    controllerTerm: integer(0, Number.MAX_SAFE_INTEGER),
    /** The commit index the controller knows. */
    committedOffset: metadataOffsetSchema,
    /** Entries from fromOffset on, without gaps; null for an empty leader-change entry. */
    entries: list(nullable(bytes(0, 4 * 1024 * 1024)), 100_000),
    /** Where the log begins behind fromOffset: the snapshot to begin with, and no entries. */
    snapshot: withFallback(
      nullable(
        struct({
          /** The last metadata offset it stands for; the log goes on behind it. */
          metadataOffset: metadataOffsetSchema,
          /** The Raft term of that entry. */
          term: integer(0, Number.MAX_SAFE_INTEGER),
          /** Bytes of the whole snapshot. */
          sizeBytes: integer(1, METADATA_SNAPSHOT_MAX_BYTES),
        }),
      ),
      null,
    ),
  }),
  errors: ['NOT_CONTROLLER', 'OFFSET_OUT_OF_RANGE'],
})

export const fetchSnapshot = defineApi({
  key: 59,
  name: 'fetch-snapshot',
  version: 0,
  caller: 'peer',
  servedBy: 'controller',
  oneWay: false,
  doc: 'Reads a part of the snapshot that fetch-metadata named: record batches, each record a piece of the metadata.',
  request: struct({
    /** Of the snapshot, as fetch-metadata named it. */
    metadataOffset: metadataOffsetSchema,
    /** As fetch-metadata named it. */
    term: integer(0, Number.MAX_SAFE_INTEGER),
    /** Bytes of the snapshot before the part that is wanted. */
    position: integer(0, METADATA_SNAPSHOT_MAX_BYTES),
    /** Bytes of the part at most. */
    maxBytes: integer(1, 1024 * 1024),
  }),
  response: struct({
    /** The bytes from the position on; none at the end. */
    part: bytes(0, 1024 * 1024),
  }),
  errors: ['NOT_CONTROLLER', 'SNAPSHOT_NOT_FOUND', 'POSITION_OUT_OF_RANGE'],
})
