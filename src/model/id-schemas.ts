// Schemas of the ids: the gateway where values from outside become trusted ids.
import { integer, text } from '../schema/schema.ts'
import type {
  BrokerEpoch,
  ClusterId,
  DirectoryId,
  IncarnationId,
  LeaderEpoch,
  MetadataOffset,
  NodeId,
  Offset,
  PartitionEpoch,
  PartitionIndex,
  TopicId,
} from './ids.ts'

/** Ids and epochs go over the wire and into files as signed 32-bit numbers. */
export const INT32_MAX = 2 ** 31 - 1
const id128 = { regex: /^[A-Za-z0-9_-]{22}$/, meaning: '22 characters of base64url (128 bits)' } as const

export const offsetSchema = integer<Offset>(0, Number.MAX_SAFE_INTEGER)
export const leaderEpochSchema = integer<LeaderEpoch>(0, INT32_MAX)
/** -1 says "not known" or "none yet". */
export const leaderEpochOrNoneSchema = integer<LeaderEpoch>(-1, INT32_MAX)
export const partitionEpochSchema = integer<PartitionEpoch>(0, INT32_MAX)
export const brokerEpochSchema = integer<BrokerEpoch>(0, Number.MAX_SAFE_INTEGER)
export const nodeIdSchema = integer<NodeId>(0, INT32_MAX)
export const partitionIndexSchema = integer<PartitionIndex>(0, INT32_MAX)
export const metadataOffsetSchema = integer<MetadataOffset>(0, Number.MAX_SAFE_INTEGER)
export const topicIdSchema = text<TopicId>(22, id128)
export const clusterIdSchema = text<ClusterId>(22, id128)
export const directoryIdSchema = text<DirectoryId>(22, id128)
export const incarnationIdSchema = text<IncarnationId>(22, id128)
