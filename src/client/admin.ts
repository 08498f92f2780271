// The admin calls of the public API.
import { VltavaError } from '../model/errors.ts'
import type {
  ClusterId,
  LeaderEpoch,
  MetadataOffset,
  NodeId,
  Offset,
  PartitionIndex,
  TopicId,
} from '../model/ids.ts'
import type { Api, ResponseOf } from '../protocol/api.ts'
import { clusterMetadata } from '../protocol/cluster-metadata.ts'
import { alterConfigs } from '../protocol/configs.ts'
import { electLeaders } from '../protocol/elect-leaders.ts'
import { errorOfWire } from '../protocol/error-schema.ts'
import { readMetadataLog } from '../protocol/metadata-log.ts'
import { alterPartitionReassignments, listPartitionReassignments } from '../protocol/reassign.ts'
import { changeReplicaRole } from '../protocol/replica-role.ts'
import { createPartitions, createTopic, deleteTopic } from '../protocol/topics.ts'
import {
  type CreateTopicOptions,
  type DeleteRecordsOptions,
  type ElectLeadersOptions,
  type ListOffsetsOptions,
  type ReadMetadataLogOptions,
  resolveCreateTopic,
  resolveDeleteRecords,
  resolveElectLeaders,
  resolveListOffsets,
  resolveReadMetadataLog,
  resolveTimeoutMs,
  specOf,
  type TimeoutOptions,
} from './admin-options.ts'
import { BrokerAdmin } from './broker-admin.ts'
import type { ClientContext } from './client-context.ts'
import type { PartitionOffsets, TopicSnapshot } from './cluster-calls.ts'
import type { BrokerView, PartitionView } from './cluster-view.ts'
import {
  type AlterConfigsOptions,
  type ConfigDescription,
  describeConfigsOf,
  resolveAlterConfigs,
} from './config-calls.ts'
import type { BrokerAddress } from './connections.ts'
import { askController, changeOnce } from './controller-requests.ts'
import { deleteRecordsOf } from './delete-records.ts'
import { QuorumAdmin } from './quorum-admin.ts'
import {
  checkWantedReplicas,
  type OngoingReassignment,
  type ReassignmentStarted,
  started,
  type WantedReplicas,
} from './reassign-calls.ts'
import { type ReplicaState, replicaStates } from './replica-calls.ts'
import { type ReplicaRoleOptions, resolveReplicaRole } from './replica-role.ts'
import { retryAction } from './retry.ts'
import { noSuchPartition } from './start-position.ts'

/** Bytes of metadata in one answer. */
const METADATA_READ_BYTES = 1024 * 1024

/** How long a change may take to reach the other brokers before the call returns without them. */
const VISIBLE_WAIT_MS = 5_000

export interface ClusterDescription {
  readonly clusterId: ClusterId
  /** null while there is no active controller. */
  readonly controllerId: NodeId | null
  readonly brokers: readonly BrokerView[]
}

export interface TopicListing {
  readonly name: string
  readonly id: TopicId
  readonly partitions: readonly PartitionView[]
}

export interface PartitionDescription extends PartitionView {
  /** null where the leader did not answer, or there is none. */
  readonly logStartOffset: Offset | null
  readonly highWatermark: Offset | null
  /** The log end offset of the leader. */
  readonly logEndOffset: Offset | null
  /** How far each replica is, the leader first; empty where the leader did not answer, or there is none. */
  readonly replicaStates: readonly ReplicaState[]
}

export interface TopicDescription {
  readonly name: string
  readonly id: TopicId
  /** The settings that were given for the topic. */
  readonly configs: Readonly<Record<string, string>>
  readonly partitions: readonly PartitionDescription[]
}

export interface CreatedTopic {
  readonly topicId: TopicId
  readonly partitions: number
  readonly replicationFactor: number
}

/** A part of the committed metadata log. */
export interface MetadataLogPart {
  /** The first metadata offset that can be read. */
  readonly startOffset: MetadataOffset
  /** The last committed one. */
  readonly endOffset: MetadataOffset
  /** Of the first entry. */
  readonly fromOffset: MetadataOffset
  readonly entries: readonly (Uint8Array | null)[]
}

/** What became of the election of one partition. */
export interface LeaderElected {
  readonly partition: PartitionIndex
  /** The leader after the call; null when there is none. */
  readonly leader: NodeId | null
  readonly leaderEpoch: LeaderEpoch
  /** Whether it was elected uncleanly: acknowledged records may be lost. */
  readonly unclean: boolean
  /** Why nothing was changed; null when the wanted replica leads. */
  readonly error: VltavaError | null
}

export type { LeaderElection } from './admin-options.ts'

/** What is known of the offsets of one partition, by its leader. */
export type { PartitionOffsets, ReplicaState }

/**
 * Calls about topics, offsets and the cluster. Each tries again until it has an answer or its time is up, and throws
 * BOOTSTRAP_UNREACHABLE when no broker was ever reached. Made by the client: `client.admin`.
 */
export class Admin {
  readonly #context: ClientContext
  /** Calls about the controllers. */
  readonly quorum: QuorumAdmin
  /** The brokers, and taking one away. */
  readonly brokers: BrokerAdmin

  constructor(context: ClientContext) {
    this.#context = context
    this.quorum = new QuorumAdmin(context)
    this.brokers = new BrokerAdmin(context)
  }

  /**
   * Creates a topic and waits, up to 5 s, until every broker that answers knows it and its leaders.
   * @throws VltavaError TOPIC_ALREADY_EXISTS (not `definite` where an attempt of this call went unanswered and may have
   *   created it), INVALID_TOPIC, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR, INVALID_CONFIG, INVALID_ARGUMENT
   */
  async createTopic(options: CreateTopicOptions): Promise<CreatedTopic> {
    const { name, partitions, replicationFactor, observers, configs, timeoutMs } = resolveCreateTopic(options)
    const deadlineMs = this.#context.calls.deadlineMs(timeoutMs)
    const settings = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
    const size = { partitions, replicationFactor, observers }
    const created = await changeOnce(this.#context.calls, {
      api: createTopic,
      request: { name, ...size, configs: settings },
      deadlineMs,
      doneBefore: 'TOPIC_ALREADY_EXISTS',
    })
    await this.#whenVisible({ name, needsLeaders: true, metadataOffset: created.metadataOffset, deadlineMs })
    const { topicId } = created
    return { topicId, partitions: created.partitions, replicationFactor: created.replicationFactor }
  }

  /**
   * Gives a topic more partitions, up to `partitions` in all, and waits, up to 5 s, until every broker that answers knows them. Keys
   * may go to other partitions from then on. Where there are so many already, nothing changes.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC, INVALID_PARTITIONS (also for fewer than there are),
   *   INVALID_REPLICATION_FACTOR, INVALID_ARGUMENT
   */
  async createPartitions(topic: string, partitions: number, options: TimeoutOptions = {}): Promise<void> {
    if (typeof topic !== 'string' || !Number.isInteger(partitions)) {
      throw new VltavaError('INVALID_ARGUMENT', 'createPartitions: needs a topic and a whole number.')
    }
    const deadlineMs = this.#context.calls.deadlineMs(resolveTimeoutMs(options, 'createPartitions'))
    const { metadataOffset } = await this.#askController(createPartitions, { topic, partitions }, deadlineMs)
    await this.#whenVisible({ name: topic, needsLeaders: true, metadataOffset, deadlineMs })
  }

  /**
   * Deletes a topic with all its records, and waits, up to 5 s, until every broker that answers has heard of it.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION (not `definite` where an attempt of this call went unanswered and
   *   may have deleted it), INVALID_TOPIC
   */
  async deleteTopic(name: string, options: TimeoutOptions = {}): Promise<void> {
    const deadlineMs = this.#context.calls.deadlineMs(resolveTimeoutMs(options, 'deleteTopic'))
    const { metadataOffset } = await changeOnce(this.#context.calls, {
      api: deleteTopic,
      request: { name },
      deadlineMs,
      doneBefore: 'UNKNOWN_TOPIC_OR_PARTITION',
    })
    await this.#whenVisible({ name, needsLeaders: false, metadataOffset, deadlineMs })
  }

  /**
   * Chooses the leader of partitions of a topic, by default of all of them the preferred one. What could not be done stands in the
   * result of each partition.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC, INVALID_ARGUMENT
   */
  async electLeaders(options: ElectLeadersOptions): Promise<readonly LeaderElected[]> {
    const { topic, partitions, election, timeoutMs } = resolveElectLeaders(options)
    const replica = election.kind === 'preferred' ? null : election.replica
    const { partitions: results } = await this.#askController(
      electLeaders,
      { topic, partitions, election: election.kind, replica },
      this.#context.calls.deadlineMs(timeoutMs),
    )
    return results.map(({ error, ...result }) => ({
      ...result,
      error: error === null ? null : errorOfWire(error),
    }))
  }

  /**
   * Changes settings of a topic, all of those named or, when it throws, none; others stay as they are. Waits, up to 5 s, until every
   * broker that answers has applied the change.
   * @throws VltavaError INVALID_CONFIG, UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC, INVALID_ARGUMENT
   */
  async alterConfigs(options: AlterConfigsOptions): Promise<void> {
    const { timeoutMs, ...change } = resolveAlterConfigs(options)
    const deadlineMs = this.#context.calls.deadlineMs(timeoutMs)
    const { metadataOffset } = await this.#askController(alterConfigs, change, deadlineMs)
    if (change.validateOnly) return
    await this.#whenVisible({ name: change.name, needsLeaders: false, metadataOffset, deadlineMs })
  }

  /**
   * Every setting of a topic, sorted by name, defaults included.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION
   */
  async describeConfigs(topic: string, options: TimeoutOptions = {}): Promise<readonly ConfigDescription[]> {
    const { calls } = this.#context
    const deadlineMs = calls.deadlineMs(resolveTimeoutMs(options, 'describeConfigs'))
    return describeConfigsOf(calls, { resource: 'topic', name: topic }, deadlineMs)
  }

  /**
   * A part of the committed metadata log, in which every change of leaders, in-sync sets and brokers stands with its cause.
   * `vltava explain` shows what it holds.
   * @param options `fromOffset`: the first metadata offset wanted; default 0, from the start of the log on. Old parts are in
   *   snapshots and cannot be read.
   * @returns some entries; behind the end, none. Each is a batch of metadata records as msgpack; null for a change of the controller.
   * @throws VltavaError INVALID_ARGUMENT
   */
  async readMetadataLog(options: ReadMetadataLogOptions = {}): Promise<MetadataLogPart> {
    const { fromOffset, timeoutMs } = resolveReadMetadataLog(options)
    const request = { fromOffset, maxBytes: METADATA_READ_BYTES }
    return this.#askController(readMetadataLog, request, this.#context.calls.deadlineMs(timeoutMs))
  }

  /**
   * Makes an observer of a partition a voter: it joins the ISR once it has caught up. A voter stays one.
   * @throws VltavaError INVALID_REQUEST when the broker is no replica, UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC, INVALID_ARGUMENT
   */
  async promoteReplica(options: ReplicaRoleOptions): Promise<void> {
    await this.#changeRole(resolveReplicaRole(options, 'voter'))
  }

  /**
   * Makes a voter of a partition an observer: it leaves the ISR, gets records asynchronously and holds no producer up. An
   * observer stays one.
   * @throws VltavaError INVALID_REQUEST when the broker leads or is no replica, POLICY_VIOLATION when too few would stay in sync,
   *   UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC, INVALID_ARGUMENT
   */
  async demoteReplica(options: ReplicaRoleOptions): Promise<void> {
    await this.#changeRole(resolveReplicaRole(options, 'observer'))
  }

  /**
   * Starts to move the replicas of partitions, or with `replicas: null` cancels that. The partitions have the old replicas and
   * the new ones until all of the new are in sync; `listReassignments` tells which are under way. What could not be done
   * stands in the result of each partition.
   * @throws VltavaError INVALID_ARGUMENT
   */
  async reassignPartitions(
    partitions: readonly WantedReplicas[],
    options: TimeoutOptions = {},
  ): Promise<readonly ReassignmentStarted[]> {
    checkWantedReplicas(partitions)
    const deadlineMs = this.#context.calls.deadlineMs(resolveTimeoutMs(options, 'reassignPartitions'))
    const answer = await this.#askController(alterPartitionReassignments, { partitions }, deadlineMs)
    return answer.partitions.map(started)
  }

  /** The partitions whose replicas are being moved, at most 10,000 of them. */
  async listReassignments(options: TimeoutOptions = {}): Promise<readonly OngoingReassignment[]> {
    const deadlineMs = this.#context.calls.deadlineMs(resolveTimeoutMs(options, 'listReassignments'))
    return (await this.#askController(listPartitionReassignments, {}, deadlineMs)).partitions
  }

  /** All topics, sorted by name. */
  async listTopics(options: TimeoutOptions = {}): Promise<readonly TopicListing[]> {
    const { calls } = this.#context
    const deadlineMs = calls.deadlineMs(resolveTimeoutMs(options, 'listTopics'))
    const { topics } = await calls.metadata(null, deadlineMs)
    const listings = topics.flatMap(({ error, name, topicId, partitions }) =>
      error === null && topicId !== null ? [{ name, id: topicId, partitions }] : [],
    )
    return listings.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  /**
   * A topic with the offsets of its partitions. Offsets are null where the leader does not answer.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION
   */
  async describeTopic(name: string, options: TimeoutOptions = {}): Promise<TopicDescription> {
    const { calls } = this.#context
    const deadlineMs = calls.deadlineMs(resolveTimeoutMs(options, 'describeTopic'))
    let snapshot = await calls.topic(name, deadlineMs)
    let offsets = await this.#endOffsets(snapshot)
    if ([...offsets.values()].some(isOutdated)) {
      snapshot = await calls.topic(name, deadlineMs)
      offsets = await this.#endOffsets(snapshot)
    }
    const { topic } = snapshot
    const { connections } = this.#context
    const isAnswered = (partition: PartitionIndex): boolean => {
      const found = offsets.get(partition)
      return found !== undefined && !(found instanceof VltavaError)
    }
    const states = await replicaStates(connections, { ...snapshot, isAnswered })
    const partitions = topic.partitions.map((partition): PartitionDescription => {
      const found = offsets.get(partition.partition)
      const known = { ...partition, replicaStates: states.get(partition.partition) ?? [] }
      if (found === undefined || found instanceof VltavaError) {
        return { ...known, logStartOffset: null, highWatermark: null, logEndOffset: null }
      }
      const { logStartOffset, highWatermark, logEndOffset } = found
      return { ...known, logStartOffset, highWatermark, logEndOffset }
    })
    return { name: topic.name, id: topic.topicId, configs: Object.fromEntries(topic.configs), partitions }
  }

  /** Several topics, as `describeTopic` describes them, in the order of the names. */
  async describeTopics(
    names: readonly string[],
    options: TimeoutOptions = {},
  ): Promise<readonly TopicDescription[]> {
    return Promise.all(names.map((name) => this.describeTopic(name, options)))
  }

  /** The cluster and its brokers. */
  async describeCluster(options: TimeoutOptions = {}): Promise<ClusterDescription> {
    const { calls } = this.#context
    const deadlineMs = calls.deadlineMs(resolveTimeoutMs(options, 'describeCluster'))
    const { clusterId, controllerId, brokers } = await calls.metadata([], deadlineMs)
    return { clusterId, controllerId, brokers }
  }

  /**
   * Offsets of a topic's partitions, by partition.
   * @throws VltavaError UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE and other errors of a leader once the time is up
   */
  async listOffsets(options: ListOffsetsOptions): Promise<ReadonlyMap<PartitionIndex, PartitionOffsets>> {
    const { topic: name, at, partitions, timeoutMs } = resolveListOffsets(options)
    const { calls } = this.#context
    return calls.allOffsets(name, {
      deadlineMs: calls.deadlineMs(timeoutMs),
      queriesFor: (topic) => {
        const partitionsCount = topic.partitions.length
        const wanted = partitions ?? topic.partitions.map(({ partition }) => partition)
        for (const partition of wanted) {
          if (partition >= partitionsCount) throw noSuchPartition(name, { partition, partitionsCount })
        }
        return new Map(wanted.map((partition) => [partition, specOf(at)]))
      },
    })
  }

  /**
   * Deletes the records of a partition below an offset, for good, and waits until no in-sync replica holds them any more.
   * Called again with the same offset it does no harm.
   * @returns where the log starts now.
   * @throws VltavaError OFFSET_OUT_OF_RANGE beyond the high watermark, POLICY_VIOLATION for a topic that is only
   *   compacted, REQUEST_TIMED_OUT when a replica has not followed in time (it will), UNKNOWN_TOPIC_OR_PARTITION
   */
  async deleteRecords(options: DeleteRecordsOptions): Promise<{ readonly logStartOffset: Offset }> {
    const { timeoutMs, ...deletion } = resolveDeleteRecords(options)
    const { calls } = this.#context
    const logStartOffset = await deleteRecordsOf(calls, {
      ...deletion,
      deadlineMs: calls.deadlineMs(timeoutMs),
    })
    return { logStartOffset }
  }

  #askController<Request extends { readonly timeoutMs: number }, Response>(
    api: Api<Request, Response>,
    request: Omit<Request, 'timeoutMs'>,
    deadlineMs: number,
  ): Promise<Response> {
    return askController(this.#context.calls, { api, request, deadlineMs })
  }

  async #changeRole({ timeoutMs, ...request }: ReturnType<typeof resolveReplicaRole>): Promise<void> {
    const deadlineMs = this.#context.calls.deadlineMs(timeoutMs)
    const { metadataOffset } = await this.#askController(changeReplicaRole, request, deadlineMs)
    await this.#whenVisible({ name: request.topic, needsLeaders: false, metadataOffset, deadlineMs })
  }

  async #endOffsets(
    snapshot: TopicSnapshot,
  ): Promise<ReadonlyMap<PartitionIndex, PartitionOffsets | VltavaError>> {
    const queries = snapshot.topic.partitions.map(({ partition }) => [partition, specOf('end')] as const)
    return this.#context.calls.offsets(snapshot, new Map(queries))
  }

  /** Asks every broker until it has applied the change, or does not answer. */
  async #whenVisible(change: {
    readonly name: string
    /** Whether it counts only once every partition has a leader. */
    readonly needsLeaders: boolean
    readonly metadataOffset: MetadataOffset
    readonly deadlineMs: number
  }): Promise<void> {
    const { calls, connections } = this.#context
    const { name, needsLeaders, metadataOffset } = change
    const deadlineMs = Math.min(change.deadlineMs, calls.deadlineMs(VISIBLE_WAIT_MS))
    const isVisible = (answer: ResponseOf<typeof clusterMetadata>): boolean => {
      if (answer.metadataOffset < metadataOffset) return false
      const topic = answer.topics.find((candidate) => candidate.name === name)
      return (
        !needsLeaders || (topic?.error === null && topic.partitions.every(({ leader }) => leader !== null))
      )
    }
    const ask = async (broker: BrokerAddress, timeoutMs: number): Promise<boolean> => {
      const connection = await connections.dial(broker)
      return isVisible((await connection.request(clusterMetadata, { topics: [name] }, { timeoutMs })).body)
    }
    // The change is made, so nothing that goes wrong from here on is an error of the call.
    await calls.poll(deadlineMs, async () => {
      const { brokers } = await calls.metadata([], deadlineMs)
      const others = brokers.filter(({ fenced }) => !fenced)
      await Promise.all(others.map((broker) => calls.poll(deadlineMs, (timeoutMs) => ask(broker, timeoutMs))))
      return true
    })
  }
}

/** Whether asking again with fresh metadata may help at once: the broker answered that it does not lead. */
function isOutdated(result: PartitionOffsets | VltavaError): boolean {
  return (
    result instanceof VltavaError &&
    retryAction(result) === 'refresh' &&
    result.code !== 'LEADER_NOT_AVAILABLE' &&
    result.code !== 'CONNECTION_FAILED'
  )
}
