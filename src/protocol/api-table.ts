// Every API of the wire protocol. PROTOCOL.md is checked against this table.
import { alterPartition } from './alter-partition.ts'
import type { AnyApi } from './api.ts'
import { brokerHeartbeat, fetchMetadata, fetchSnapshot, registerBroker } from './broker-lifecycle.ts'
import { cordonBroker, unregisterBroker } from './broker-removal.ts'
import { clusterMetadata, metadataChanged } from './cluster-metadata.ts'
import { alterConfigs, describeConfigs } from './configs.ts'
import { deleteRecords } from './delete-records.ts'
import { describeReplicas } from './describe-replicas.ts'
import { electLeaders } from './elect-leaders.ts'
import { fetch } from './fetch.ts'
import { authenticate, hello } from './hello.ts'
import { listOffsets } from './list-offsets.ts'
import { readMetadataLog } from './metadata-log.ts'
import { produce } from './produce.ts'
import { findController, quorumProbe, raftMessage } from './quorum.ts'
import { addVoter, describeQuorum, removeVoter, transferController } from './quorum-admin.ts'
import { alterPartitionReassignments, listPartitionReassignments } from './reassign.ts'
import { flushedNote, highWatermarkNote, replicaFetch } from './replica-fetch.ts'
import { replicaRead } from './replica-read.ts'
import { changeReplicaRole } from './replica-role.ts'
import { createPartitions, createTopic, deleteTopic } from './topics.ts'

export const APIS: readonly AnyApi[] = [
  produce,
  fetch,
  listOffsets,
  clusterMetadata,
  metadataChanged,
  hello,
  createTopic,
  deleteTopic,
  deleteRecords,
  authenticate,
  electLeaders,
  alterConfigs,
  describeConfigs,
  readMetadataLog,
  describeReplicas,
  changeReplicaRole,
  alterPartitionReassignments,
  listPartitionReassignments,
  createPartitions,
  replicaFetch,
  flushedNote,
  highWatermarkNote,
  alterPartition,
  registerBroker,
  brokerHeartbeat,
  fetchMetadata,
  fetchSnapshot,
  quorumProbe,
  findController,
  raftMessage,
  unregisterBroker,
  replicaRead,
  describeQuorum,
  addVoter,
  removeVoter,
  transferController,
  cordonBroker,
]

export const API_BY_KEY: ReadonlyMap<number, AnyApi> = new Map(APIS.map((api) => [api.key, api]))
