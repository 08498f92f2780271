// The entry for Node.
import { WsTransport } from '../net/node/ws-transport.ts'
import { createNodeClock } from '../platform/node/node-clock.ts'
import { createNodeCpu } from '../platform/node/node-cpu.ts'
import { createNodeRandom } from '../platform/node/node-random.ts'
import { Client } from './client.ts'
import { type CreateClientOptions, resolveEntryOptions } from './client-options.ts'

export { ERRORS, type ErrorName, type ErrorRow } from '../model/error-codes.ts'
export { type EpochPosition, VltavaError, type VltavaErrorOptions } from '../model/errors.ts'
export type { ClusterId, LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId } from '../model/ids.ts'
export type { RecordHeader } from '../record/batch-builder.ts'
export type {
  Admin,
  ClusterDescription,
  CreatedTopic,
  MetadataLogPart,
  PartitionDescription,
  PartitionOffsets,
  ReplicaState,
  TopicDescription,
  TopicListing,
} from './admin.ts'
export type {
  CreateTopicOptions,
  DeleteRecordsOptions,
  ListOffsetsOptions,
  OffsetAt,
  ReadMetadataLogOptions,
  TimeoutOptions,
} from './admin-options.ts'
export type { BrokerAdmin, BrokerListing, BrokerOptions, Drained, DrainOptions } from './broker-admin.ts'
export type { Client } from './client.ts'
export type { CreateClientOptions } from './client-options.ts'
export type { BrokerView, PartitionView } from './cluster-view.ts'
export type { AlterBrokerConfigsOptions, AlterConfigsOptions, ConfigDescription } from './config-calls.ts'
export type { Consumer } from './consumer.ts'
export type { ConsumerBatch } from './consumer-batch.ts'
export type { ConsumerHealth, PartitionHealth } from './consumer-health.ts'
export type { ConsumerOptions, ConsumerProblem } from './consumer-options.ts'
export type { DrainPlan, StuckPartition } from './drain-plan.ts'
export type { Producer } from './producer.ts'
export type { ProducerOptions } from './producer-options.ts'
export type {
  QuorumAdmin,
  QuorumDescription,
  QuorumMember,
  TransferOptions,
  VoterOptions,
} from './quorum-admin.ts'
export type { ReadFrom } from './read-source.ts'
export type { OngoingReassignment, ReassignmentStarted, WantedReplicas } from './reassign-calls.ts'
export type { ConsumerRecord, OnSettled, ProducerHeader, ProducerRecord, Receipt } from './records.ts'
export type { ReplicaRoleOptions } from './replica-role.ts'
export type { StartPosition, StartPositions } from './start-position.ts'

/**
 * A client of the cluster that the bootstrap servers belong to. It connects when it is first used.
 * @param options `bootstrap`: addresses as `host:port`, `ws://host:port` or `wss://host:port`, as a list or separated
 *   by commas; a few brokers are enough, the others are found. See CreateClientOptions for the rest.
 * @throws VltavaError INVALID_ARGUMENT that names the option or the addresses, and what is allowed.
 */
export function createClient(options: CreateClientOptions): Client {
  const { bootstrap, log, settings } = resolveEntryOptions(options)
  const clock = createNodeClock()
  const environment = {
    clock,
    random: createNodeRandom(),
    log,
    cpu: createNodeCpu(),
    transport: new WsTransport(clock),
  }
  return new Client({ bootstrap, environment, settings })
}
