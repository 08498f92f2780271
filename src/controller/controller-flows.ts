// What the controller answers to whom. Who asks is always the node that the connection proved (SEC-33).

import type { Log } from '../base/log.ts'
import type { Random } from '../base/random.ts'
import { decideAlterBrokerConfigs } from '../metadata/decide-alter-broker-configs.ts'
import { type ConfigsAltered, decideAlterTopicConfigs } from '../metadata/decide-alter-configs.ts'
import { type AlterPartitionAnswer, decideAlterPartition } from '../metadata/decide-alter-partition.ts'
import { decideCreatePartitions, type PartitionsCreated } from '../metadata/decide-create-partitions.ts'
import { decideCreateTopic, type TopicCreated } from '../metadata/decide-create-topic.ts'
import { decideDeleteTopic, type TopicDeleted } from '../metadata/decide-delete-topic.ts'
import { decideElectLeaders, type LeadersElected } from '../metadata/decide-elect-leader.ts'
import { decideHeartbeat } from '../metadata/decide-heartbeat.ts'
import { decideReassign, type Reassigned } from '../metadata/decide-reassign.ts'
import { decideRegisterBroker } from '../metadata/decide-register-broker.ts'
import { decideReplicaRole, type ReplicaRoleChanged } from '../metadata/decide-replica-role.ts'
import { reassignmentsOf } from '../metadata/reassignment.ts'
import { VltavaError } from '../model/errors.ts'
import type { IncarnationId, NodeId } from '../model/ids.ts'
import { PARTITIONS_PER_REQUEST_MAX } from '../model/limits.ts'
import type { Connection } from '../net/connection.ts'
import type { PeerIdentity } from '../net/exchange.ts'
import type { Call } from '../net/router.ts'
import type { alterPartition } from '../protocol/alter-partition.ts'
import type { ResponseOf } from '../protocol/api.ts'
import type {
  brokerHeartbeat,
  fetchMetadata,
  fetchSnapshot,
  registerBroker,
} from '../protocol/broker-lifecycle.ts'
import type { alterConfigs } from '../protocol/configs.ts'
import type { electLeaders } from '../protocol/elect-leaders.ts'
import { wireError, wireErrorOrNone } from '../protocol/error-schema.ts'
import type { readMetadataLog } from '../protocol/metadata-log.ts'
import type { raftMessage } from '../protocol/quorum.ts'
import type { alterPartitionReassignments, listPartitionReassignments } from '../protocol/reassign.ts'
import type { changeReplicaRole } from '../protocol/replica-role.ts'
import type { createPartitions, createTopic, deleteTopic } from '../protocol/topics.ts'
import { type Message, raftMessageSchema } from '../raft/messages.ts'
import type { Snapshot } from '../raft/types.ts'
import { SchemaError } from '../schema/schema.ts'
import type { Controller, Decide } from './controller.ts'
import type { RaftDriver } from './raft-driver.ts'
import type { RaftPeers } from './raft-peers.ts'
import { runOnce } from './run-once.ts'

export interface ControllerFlowsOptions {
  readonly nodeId: NodeId
  readonly controller: Controller
  readonly driver: RaftDriver
  readonly peers: RaftPeers
  readonly random: Random
  readonly log: Log
  /** Whether a name is a setting that nodes read at their start only. */
  readonly isStaticSetting: (name: string) => boolean
}

type Answer<A> = Promise<{ readonly body: ResponseOf<A> }>

export class ControllerFlows {
  readonly #options: ControllerFlowsOptions

  constructor(options: ControllerFlowsOptions) {
    this.#options = options
  }

  async createTopic({ body: request }: Call<typeof createTopic>): Answer<typeof createTopic> {
    const { random } = this.#options
    const decide: Decide<TopicCreated> = (context) => decideCreateTopic({ ...context, random }, request)
    return { body: await this.#runOnce(decide, request.timeoutMs) }
  }

  async createPartitions({ body: request }: Call<typeof createPartitions>): Answer<typeof createPartitions> {
    const { random } = this.#options
    const decide: Decide<PartitionsCreated> = (context) =>
      decideCreatePartitions({ ...context, random }, request)
    return { body: await this.#runOnce(decide, request.timeoutMs) }
  }

  async deleteTopic({ body: request }: Call<typeof deleteTopic>): Answer<typeof deleteTopic> {
    const decide: Decide<TopicDeleted> = (context) => decideDeleteTopic(context, request)
    return { body: await this.#runOnce(decide, request.timeoutMs) }
  }

  async electLeaders({ body: request }: Call<typeof electLeaders>): Answer<typeof electLeaders> {
    const decide: Decide<LeadersElected> = (context) => decideElectLeaders(context, request)
    const { metadataOffset, partitions } = await this.#runOnce(decide, request.timeoutMs)
    for (const { partition, leader, unclean } of partitions) {
      if (unclean) this.#options.log.warn('unclean-election', { topic: request.topic, partition, leader })
    }
    return {
      body: {
        metadataOffset,
        partitions: partitions.map(({ error, ...elected }) => ({
          ...elected,
          error: wireErrorOrNone(error),
        })),
      },
    }
  }

  async alterConfigs({ body: request }: Call<typeof alterConfigs>): Answer<typeof alterConfigs> {
    const { resource, name, changes, validateOnly, timeoutMs } = request
    const { isStaticSetting } = this.#options
    const decide: Decide<ConfigsAltered> = (context) =>
      resource === 'broker'
        ? decideAlterBrokerConfigs({ ...context, isStaticSetting }, { name, changes, validateOnly })
        : decideAlterTopicConfigs(context, { topic: name, changes, validateOnly })
    return { body: await this.#runOnce(decide, timeoutMs) }
  }

  async changeReplicaRole({ body }: Call<typeof changeReplicaRole>): Answer<typeof changeReplicaRole> {
    const decide: Decide<ReplicaRoleChanged> = (context) => decideReplicaRole(context, body)
    return { body: await this.#runOnce(decide, body.timeoutMs) }
  }

  async alterPartitionReassignments({
    body: request,
  }: Call<typeof alterPartitionReassignments>): Answer<typeof alterPartitionReassignments> {
    const decide: Decide<Reassigned> = (context) => decideReassign(context, request.partitions)
    const { metadataOffset, partitions } = await this.#runOnce(decide, request.timeoutMs)
    const answers = partitions.map(({ error, ...of }) => ({
      ...of,
      error: wireErrorOrNone(error),
    }))
    return { body: { metadataOffset, partitions: answers } }
  }

  async listPartitionReassignments({
    body: request,
  }: Call<typeof listPartitionReassignments>): Answer<typeof listPartitionReassignments> {
    return {
      body: await this.#options.controller.run(({ image }) => {
        const all = [...reassignmentsOf(image)]
        const partitions = all.slice(0, PARTITIONS_PER_REQUEST_MAX)
        return {
          records: [],
          response: { metadataOffset: image.metadataOffset, total: all.length, partitions },
        }
      }, request.timeoutMs),
    }
  }

  async registerBroker({ body, connection }: Call<typeof registerBroker>): Answer<typeof registerBroker> {
    const identity = identityOf(connection)
    const { nodeId, incarnationId } = identity
    if (body.incarnationId !== incarnationId) {
      throw new VltavaError(
        'INVALID_REQUEST',
        `The connection is of incarnation ${incarnationId}, the request names ${body.incarnationId}.`,
      )
    }
    const { controller, log } = this.#options
    controller.sessions?.heardOver(identity, connection)
    const isRunning = (run: IncarnationId): boolean => controller.sessions?.isHeard(run) ?? false
    const response = await controller.run((context) =>
      decideRegisterBroker(context, { ...body, brokerId: nodeId, isRunning }),
    )
    const { url, rack } = body
    log.info('broker-registered', {
      ...{ brokerId: nodeId, url, ...response },
      ...(rack === null ? {} : { rack }),
    })
    return { body: response }
  }

  async brokerHeartbeat({ body, connection }: Call<typeof brokerHeartbeat>): Answer<typeof brokerHeartbeat> {
    const { controller } = this.#options
    const identity = identityOf(connection)
    const { nodeId: brokerId } = identity
    const { sessions } = controller
    // Before anything else and in the turn in which it was read: the session must not depend on how fast a command is.
    sessions?.heardOver(identity, connection)
    sessions?.heartbeat({ brokerId, brokerEpoch: body.brokerEpoch }, body.metadataOffset)
    const appliedByOthers = sessions?.appliedByOthers(brokerId) ?? 0
    return {
      body: await controller.run((context) =>
        decideHeartbeat(context, { ...body, brokerId, appliedByOthers }),
      ),
    }
  }

  async alterPartition({ body, connection }: Call<typeof alterPartition>): Answer<typeof alterPartition> {
    const { nodeId: brokerId } = identityOf(connection)
    const answers = await this.#options.controller.run((context) =>
      decideAlterPartition(context, { ...body, brokerId }),
    )
    return { body: { partitions: answers.map(wireAnswerOf) } }
  }

  async fetchMetadata({ body, connection }: Call<typeof fetchMetadata>): Answer<typeof fetchMetadata> {
    const { controller, nodeId } = this.#options
    const { committedLog, activeTerm } = controller
    const { fromOffset } = body
    if (activeTerm === null) throw controller.notController()
    controller.sessions?.heardOver(identityOf(connection), connection)
    if (fromOffset < 1 || fromOffset > committedLog.endOffset + 1) {
      throw new VltavaError(
        'OFFSET_OUT_OF_RANGE',
        `Metadata offset ${fromOffset} is outside of the log, which has 1 to ${committedLog.endOffset}.`,
      )
    }
    await committedLog.waitFor(fromOffset, body.maxWaitMs)
    if (controller.activeTerm !== activeTerm) throw controller.notController()
    const isGone = fromOffset < committedLog.startOffset
    return {
      body: {
        controllerId: nodeId,
        controllerTerm: activeTerm,
        committedOffset: committedLog.endOffset,
        entries: isGone ? [] : committedLog.read(body),
        snapshot: isGone ? wireSnapshotOf(committedLog.snapshot!) : null,
      },
    }
  }

  /** Answers at once, from memory. */
  fetchSnapshot({ body, connection }: Call<typeof fetchSnapshot>): {
    body: ResponseOf<typeof fetchSnapshot>
  } {
    const { controller } = this.#options
    if (controller.activeTerm === null) throw controller.notController()
    controller.sessions?.heardOver(identityOf(connection), connection)
    const { snapshot } = controller.committedLog
    const { metadataOffset, term, position, maxBytes } = body
    if (snapshot === null || snapshot.index !== metadataOffset || snapshot.term !== term) {
      const shown = snapshot === null ? 'none' : `one up to ${snapshot.index}`
      throw new VltavaError(
        'SNAPSHOT_NOT_FOUND',
        `The snapshot up to metadata offset ${metadataOffset} of term ${term} is not here, there is ${shown}. Fetch again.`,
      )
    }
    const { length } = snapshot.data
    if (position > length) {
      throw new VltavaError('POSITION_OUT_OF_RANGE', `Position ${position} of a snapshot of ${length} bytes.`)
    }
    return { body: { part: snapshot.data.subarray(position, position + maxBytes) } }
  }

  /** Answers at once, from memory, for people rather than for brokers: a start before the log is its start. */
  readMetadataLog({ body }: Call<typeof readMetadataLog>): { body: ResponseOf<typeof readMetadataLog> } {
    const { controller } = this.#options
    const { committedLog } = controller
    if (controller.activeTerm === null) throw controller.notController()
    const { startOffset, endOffset } = committedLog
    const fromOffset = Math.max(startOffset, Math.min(body.fromOffset, endOffset + 1))
    const entries = committedLog.read({ fromOffset, maxBytes: body.maxBytes })
    return { body: { startOffset, endOffset, fromOffset, entries } }
  }

  /**
   * A Raft message is taken only from the node that it names as its sender. Whether that one votes decides the consensus: it
   * may do so by a change that this node has not seen (RAFT-26).
   */
  raftMessage({ body, connection }: Call<typeof raftMessage>): null {
    const { nodeId, driver, peers, log } = this.#options
    const sender = identityOf(connection).nodeId
    const message = decodeMessage(body.message)
    if (message.from !== sender || message.to !== nodeId) {
      const { type, from, to } = message
      log.warn('raft-message-refused', { sender, type, from, to })
      throw new VltavaError(
        'INVALID_REQUEST',
        `Node ${sender} sent a message from ${from} to ${to} to ${nodeId}.`,
      )
    }
    if (body.url !== null) peers.told(sender, body.url)
    driver.step({ ...message, directoryId: body.directoryId })
    return null
  }

  async #runOnce<Response>(decide: Decide<Response>, timeoutMs: number): Promise<Response> {
    return await runOnce(this.#options.controller, { decide, timeoutMs })
  }
}

/** The table of APIs lets only peers call what needs an identity (SEC-31); this is the second look. */
function identityOf({ identity }: Connection): PeerIdentity {
  if (identity !== null) return identity
  throw new VltavaError('CLUSTER_AUTHORIZATION_FAILED')
}

function wireSnapshotOf({
  index,
  term,
  data,
}: Snapshot): NonNullable<ResponseOf<typeof fetchMetadata>['snapshot']> {
  return { metadataOffset: index, term, sizeBytes: data.length }
}

function decodeMessage(wire: unknown): Message {
  try {
    const message = raftMessageSchema.decode(wire, 'message')
    if (message.type === 'snapshot') return { ...message, part: new Uint8Array(message.part) }
    if (message.type !== 'append' || message.entries.length === 0) return message
    // The log keeps them, and views would keep the whole frame they came in.
    const entries = message.entries.map((entry) =>
      entry.data === null ? entry : { ...entry, data: new Uint8Array(entry.data) },
    )
    return { ...message, entries }
  } catch (thrown) {
    if (!(thrown instanceof SchemaError)) throw thrown
    throw new VltavaError('INVALID_REQUEST', thrown.message, { cause: thrown })
  }
}

function wireAnswerOf(answer: AlterPartitionAnswer): ResponseOf<typeof alterPartition>['partitions'][number] {
  if (answer.error !== null) {
    const { code, detail } = answer.error
    const none = { leader: null, leaderEpoch: 0, partitionEpoch: 0, isr: [], synced: false }
    return { error: wireError(code, detail), ...none }
  }
  const { leader, leaderEpoch, partitionEpoch, isr, synced } = answer.partition
  return { error: null, leader, leaderEpoch, partitionEpoch, isr, synced }
}
