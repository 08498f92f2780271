// A cluster in memory that does what a test tells it. It keeps real record batches, so that what a producer sends can
// be read again; everything else is as simple as the protocol allows.

import { concatBytes } from '../../src/base/bytes.ts'
import type { Clock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { seededRandom } from '../../src/base/random.ts'
import { EpochHistory } from '../../src/log/epoch-history.ts'
import type { ErrorName } from '../../src/model/error-codes.ts'
import { VltavaError } from '../../src/model/errors.ts'
import type { Connection } from '../../src/net/connection.ts'
import { registerHandshake } from '../../src/net/handshake.ts'
import { type Answer, type Call, Router } from '../../src/net/router.ts'
import type { Listener, ListenerFactory } from '../../src/net/transport.ts'
import { createNodeCpu } from '../../src/platform/node/node-cpu.ts'
import type { AnyApi, ResponseOf } from '../../src/protocol/api.ts'
import { clusterMetadata, metadataChanged } from '../../src/protocol/cluster-metadata.ts'
import { describeConfigs } from '../../src/protocol/configs.ts'
import { wireError } from '../../src/protocol/error-schema.ts'
import { fetch } from '../../src/protocol/fetch.ts'
import { listOffsets } from '../../src/protocol/list-offsets.ts'
import { produce } from '../../src/protocol/produce.ts'
import { createTopic, deleteTopic } from '../../src/protocol/topics.ts'
import {
  baseOffsetOf,
  leaderEpochOf,
  maxTimestampOf,
  nextOffsetOf,
  stampBatch,
} from '../../src/record/batch-format.ts'
import { forEachBatch, readRecords } from '../../src/record/batch-reader.ts'
import { checkReadPosition, checkReplicaReadPosition } from '../../src/replication/fetch-check.ts'

export const CLUSTER_ID = 'AAAAAAAAAAAAAAAAAAAAAA'

export class FakePartition {
  leader: number | null
  leaderEpoch = 0
  /** Stamped batches, in order. */
  readonly batches: Uint8Array[] = []
  logStartOffset = 0
  /** Set to hide the end of the log from readers; null: all is committed. */
  highWatermark: number | null = null
  /** As metadata has them; null: all brokers. */
  isr: readonly number[] | null = null
  observers: readonly number[] = []
  /** The replicas that serve consumers beside the leader, by broker, and what each knows of the log. */
  readonly followers = new Map<number, { highWatermark: number; logStartOffset: number }>()

  constructor(leader: number | null) {
    this.leader = leader
  }

  get logEndOffset(): number {
    const last = this.batches.at(-1)
    return last === undefined ? this.logStartOffset : nextOffsetOf(last, 0)
  }

  get committedOffset(): number {
    return this.highWatermark ?? this.logEndOffset
  }

  /** Of the log, as a leader has them from the start of its leadership on. */
  get epochs(): EpochHistory {
    const epochs = new EpochHistory([])
    for (const batch of this.batches) epochs.assign(leaderEpochOf(batch, 0), baseOffsetOf(batch, 0))
    epochs.assign(this.leaderEpoch, this.logEndOffset)
    return epochs
  }

  append(bytes: Uint8Array): number {
    const baseOffset = this.logEndOffset
    forEachBatch(bytes, (position, sizeBytes) => {
      const batch = bytes.slice(position, position + sizeBytes)
      stampBatch(batch, 0, { baseOffset: this.logEndOffset, leaderEpoch: this.leaderEpoch })
      this.batches.push(batch)
    })
    return baseOffset
  }

  /** The values of all records, as text. */
  values(): readonly string[] {
    const cpu = createNodeCpu(null)
    return this.batches.flatMap((batch) =>
      readRecords(batch, { cpu }).map(({ value }) => (value === null ? '(null)' : cpu.decodeUtf8(value))),
    )
  }
}

export interface FakeTopic {
  readonly name: string
  id: string
  configs: { name: string; value: string }[]
  partitions: FakePartition[]
}

/** What a test makes of one call; `undefined`: what the broker would have done. */
type Script<A extends AnyApi> = (call: Call<A>) => Answer<A> | Promise<Answer<A>> | undefined

/** A call that is never answered. */
export const never = <T>(): Promise<T> => new Promise(() => {})

export interface ReceivedCall {
  readonly api: string
  readonly body: unknown
  readonly payload: Uint8Array
}

export class FakeBroker {
  readonly id: number
  url: string
  readonly #cluster: FakeCluster
  readonly #connections = new Set<Connection>()
  #listener: Listener | null = null
  /** Runs before each produce, fetch or list-offsets is served; the first script that answers wins. */
  onProduce: Script<typeof produce> = () => undefined
  onFetch: Script<typeof fetch> = () => undefined
  onListOffsets: Script<typeof listOffsets> = () => undefined
  onMetadata: Script<typeof clusterMetadata> = () => undefined
  onCreateTopic: Script<typeof createTopic> = () => undefined
  onDescribeConfigs: Script<typeof describeConfigs> = () => undefined
  onDeleteTopic: Script<typeof deleteTopic> = () => undefined
  isFenced = false
  /** What it answers as node id in the hello. */
  nodeId: number
  isBroker = true
  readonly calls: ReceivedCall[] = []

  constructor(cluster: FakeCluster, id: number) {
    this.#cluster = cluster
    this.id = id
    this.nodeId = id
    this.url = `ws://broker-${id}:9092`
  }

  get connectionsCount(): number {
    return this.#connections.size
  }

  callsOf(api: AnyApi): readonly ReceivedCall[] {
    return this.calls.filter((call) => call.api === api.name)
  }

  async start(): Promise<void> {
    const { clock, network, host } = this.#cluster
    const router = new Router(silentLog)
    const accept = registerHandshake({
      router,
      clock,
      log: silentLog,
      random: seededRandom(this.id),
      mac: { hmacSha256: () => new Uint8Array(32), equal: () => false },
      nodeId: this.nodeId,
      incarnationId: CLUSTER_ID,
      isBroker: this.isBroker,
      isController: true,
      software: 'fake',
      clusterId: () => this.#cluster.clusterId,
      secret: null,
    })
    this.#handle(router, produce, (call) => this.onProduce(call) ?? this.#cluster.produce(this.id, call))
    this.#handle(router, fetch, (call) => this.onFetch(call) ?? this.#cluster.fetch(this.id, call))
    this.#handle(
      router,
      listOffsets,
      (call) => this.onListOffsets(call) ?? this.#cluster.listOffsets(this.id, call),
    )
    this.#handle(router, clusterMetadata, (call) => this.onMetadata(call) ?? this.#cluster.metadata(call))
    this.#handle(
      router,
      describeConfigs,
      (call) => this.onDescribeConfigs(call) ?? { body: { metadataOffset: 1, configs: [] } },
    )
    this.#handle(router, createTopic, (call) => this.onCreateTopic(call) ?? this.#cluster.createTopic(call))
    this.#handle(router, deleteTopic, (call) => this.onDeleteTopic(call) ?? this.#cluster.deleteTopic(call))
    this.#listener = await network.listen({
      host: host ?? `broker-${this.id}`,
      port: host === null ? 9092 : 0,
      onChannel: (channel) => {
        const connection = accept(channel)
        this.#connections.add(connection)
        connection.onClose(() => this.#connections.delete(connection))
      },
    })
    if (host !== null) this.url = `ws://${host}:${this.#listener.port}`
  }

  /** Stops as a process does that is told to. */
  async stop(): Promise<void> {
    await this.#listener?.close()
    this.#listener = null
  }

  /** Stops as a killed process does: connections break, new ones are refused. */
  kill(): void {
    const closed = this.#listener?.close()
    this.#listener = null
    this.breakConnections()
    closed?.catch(() => {})
  }

  /** All connections break; new ones can be made. */
  breakConnections(): void {
    for (const connection of [...this.#connections]) connection.abort()
  }

  /** Appends as the leader does, whatever is answered then. */
  append(call: Call<typeof produce>): void {
    this.#cluster.produce(this.id, call)
  }

  /** Pushes a hint about these partitions. */
  hint(topic: FakeTopic, partitions: readonly number[], metadataOffset = this.#cluster.metadataOffset): void {
    const body = {
      metadataOffset,
      partitions: partitions.map((partition) => {
        const { leader, leaderEpoch } = topic.partitions[partition]!
        return { topicId: topic.id, partition, leader, leaderEpoch }
      }),
    }
    for (const connection of this.#connections) connection.notify(metadataChanged, body)
  }

  #handle<A extends AnyApi>(
    router: Router,
    api: A,
    handler: (call: Call<A>) => Answer<A> | Promise<Answer<A>>,
  ): void {
    router.handle(api, (call) => {
      const made = { api: api.name, body: call.body, payload: call.payload }
      this.calls.push(made)
      this.#cluster.calls.push(made)
      return handler(call)
    })
  }
}

export class FakeCluster {
  readonly clock: Clock
  readonly network: ListenerFactory
  readonly host: string | null
  readonly brokers = new Map<number, FakeBroker>()
  readonly topics = new Map<string, FakeTopic>()
  /** Those of all brokers, in the order in which they came. */
  readonly calls: ReceivedCall[] = []
  clusterId = CLUSTER_ID
  metadataOffset = 10

  constructor(options: {
    readonly clock: Clock
    readonly network: ListenerFactory
    /** Where real sockets listen, on free ports; without it each broker has a name of its own. */
    readonly host?: string
  }) {
    this.clock = options.clock
    this.network = options.network
    this.host = options.host ?? null
  }

  async start(brokers: number): Promise<void> {
    for (let id = 1; id <= brokers; id++) {
      const broker = new FakeBroker(this, id)
      this.brokers.set(id, broker)
      await broker.start()
    }
  }

  broker(id: number): FakeBroker {
    return this.brokers.get(id)!
  }

  get bootstrap(): readonly string[] {
    return [...this.brokers.values()].map(({ url }) => url)
  }

  /** @param leaders the leader of each partition. */
  addTopic(name: string, leaders: readonly (number | null)[], configs: FakeTopic['configs'] = []): FakeTopic {
    this.metadataOffset++
    const id = `topic${String(this.metadataOffset).padStart(17, '0')}`
    const topic = { name, id, configs, partitions: leaders.map((leader) => new FakePartition(leader)) }
    this.topics.set(name, topic)
    return topic
  }

  /** Makes another broker the leader. Nobody is told. */
  moveLeader(topic: FakeTopic, partition: number, leader: number | null): void {
    this.metadataOffset++
    const moved = topic.partitions[partition]!
    moved.leader = leader
    moved.leaderEpoch++
  }

  hintAll(topic: FakeTopic, partitions: readonly number[]): void {
    for (const broker of this.brokers.values()) broker.hint(topic, partitions)
  }

  produce(brokerId: number, call: Call<typeof produce>): Answer<typeof produce> {
    let position = 0
    const partitions = call.body.partitions.map((asked) => {
      const bytes = call.payload.subarray(position, position + asked.batchesBytes)
      position += asked.batchesBytes
      const { partition, error } = this.#led(brokerId, asked)
      if (error !== null) return producedError(error)
      const baseOffset = partition.append(bytes)
      return {
        error: null,
        baseOffset,
        leaderEpoch: partition.leaderEpoch,
        logStartOffset: partition.logStartOffset,
      }
    })
    return { body: { partitions } }
  }

  fetch(brokerId: number, call: Call<typeof fetch>): Answer<typeof fetch> | Promise<Answer<typeof fetch>> {
    const answer = this.#readAll(brokerId, call)
    const hasSomething = answer.body.partitions.some(
      ({ error, batchesBytes }) => error !== null || batchesBytes > 0,
    )
    if (hasSomething || call.body.maxWaitMs === 0) return answer
    return new Promise((resolve) => {
      this.clock.setTimer(call.body.maxWaitMs, () => resolve(this.#readAll(brokerId, call)))
    })
  }

  listOffsets(brokerId: number, call: Call<typeof listOffsets>): Answer<typeof listOffsets> {
    const partitions = call.body.partitions.map((asked) => {
      const { partition, error } = this.#led(brokerId, asked)
      const { leaderEpoch, logStartOffset, logEndOffset, committedOffset: highWatermark } = partition
      const bounds = { leaderEpoch, logStartOffset, highWatermark, logEndOffset }
      if (error !== null) return { ...bounds, error: wireError(error), offset: null }
      const { spec } = asked
      if (spec.type === 'earliest') return { ...bounds, error: null, offset: logStartOffset }
      if (spec.type === 'latest') return { ...bounds, error: null, offset: highWatermark }
      const found = partition.batches.find((batch) => maxTimestampOf(batch, 0) >= spec.timestampMs)
      return { ...bounds, error: null, offset: found === undefined ? null : baseOffsetOf(found, 0) }
    })
    return { body: { partitions } }
  }

  metadata(call: Call<typeof clusterMetadata>): Answer<typeof clusterMetadata> {
    return { body: this.metadataBody(call.body.topics) }
  }

  metadataBody(names: readonly string[] | null): ResponseOf<typeof clusterMetadata> {
    return {
      clusterId: this.clusterId,
      metadataOffset: this.metadataOffset,
      controllerId: 1,
      brokers: [...this.brokers.values()].map(({ id, url, isFenced }) => ({
        brokerId: id,
        url,
        fenced: isFenced,
        isController: id === 1,
        rack: null,
        cordoned: false,
      })),
      topics: (names ?? [...this.topics.keys()]).map((name) => this.#topicMetadata(name)),
    }
  }

  createTopic(call: Call<typeof createTopic>): Answer<typeof createTopic> {
    const { name, partitions, replicationFactor, configs } = call.body
    if (this.topics.has(name))
      throw new VltavaError('TOPIC_ALREADY_EXISTS', `Topic "${name}" exists already.`)
    const ids = [...this.brokers.keys()]
    const leaders = Array.from({ length: partitions }, (_, i) => ids[i % ids.length]!)
    const topic = this.addTopic(name, leaders, [...configs])
    const body = {
      topicId: topic.id,
      partitions,
      replicationFactor: replicationFactor ?? Math.min(3, ids.length),
    }
    return { body: { ...body, metadataOffset: this.metadataOffset } }
  }

  deleteTopic(call: Call<typeof deleteTopic>): Answer<typeof deleteTopic> {
    const topic = this.topics.get(call.body.name)
    if (topic === undefined)
      throw new VltavaError('UNKNOWN_TOPIC_OR_PARTITION', `No topic "${call.body.name}".`)
    this.topics.delete(topic.name)
    this.metadataOffset++
    return { body: { topicId: topic.id, metadataOffset: this.metadataOffset } }
  }

  #topicMetadata(name: string): ResponseOf<typeof clusterMetadata>['topics'][number] {
    const topic = this.topics.get(name)
    if (topic === undefined) {
      const error = wireError('UNKNOWN_TOPIC_OR_PARTITION')
      return { error, name, topicId: null, configs: [], partitions: [] }
    }
    const replicas = [...this.brokers.keys()]
    const partitions = topic.partitions.map((given, partition) => {
      const { leader, leaderEpoch, observers } = given
      const isr = leader === null ? [] : (given.isr ?? replicas)
      return {
        partition,
        leader,
        leaderEpoch,
        partitionEpoch: leaderEpoch,
        replicas,
        isr,
        elr: [],
        lastKnownElr: [],
        cutOff: [],
        observers,
      }
    })
    return { error: null, name, topicId: topic.id, configs: topic.configs, partitions }
  }

  #led(
    brokerId: number,
    asked: { readonly topicId: string; readonly partition: number; readonly currentLeaderEpoch: number },
  ): { readonly partition: FakePartition; readonly error: ErrorName | null } {
    const topic = [...this.topics.values()].find(({ id }) => id === asked.topicId)
    const partition = topic?.partitions[asked.partition]
    if (partition === undefined) return { partition: new FakePartition(null), error: 'UNKNOWN_TOPIC_ID' }
    if (asked.currentLeaderEpoch < partition.leaderEpoch) return { partition, error: 'FENCED_LEADER_EPOCH' }
    if (asked.currentLeaderEpoch > partition.leaderEpoch) return { partition, error: 'UNKNOWN_LEADER_EPOCH' }
    return { partition, error: partition.leader === brokerId ? null : 'NOT_LEADER_OR_FOLLOWER' }
  }

  #readAll(
    brokerId: number,
    call: Call<typeof fetch>,
  ): { body: ResponseOf<typeof fetch>; payload: readonly Uint8Array[] } {
    const payload: Uint8Array[] = []
    let leftBytes = call.body.maxBytes
    const partitions = call.body.partitions.map((asked) => {
      const { partition, error: notLed } = this.#led(brokerId, asked)
      const follower = asked.fromReplica ? (partition.followers.get(brokerId) ?? null) : null
      const error = follower !== null && notLed === 'NOT_LEADER_OR_FOLLOWER' ? null : notLed
      const { logEndOffset, committedOffset } = partition
      const { highWatermark, logStartOffset } =
        partition.leader === brokerId || follower === null
          ? { highWatermark: committedOffset, logStartOffset: partition.logStartOffset }
          : follower
      const bounds = { highWatermark, logStartOffset, batchesBytes: 0, diverging: null }
      if (error !== null) return { ...bounds, error: wireError(error) }
      const check = partition.leader === brokerId ? checkReadPosition : checkReplicaReadPosition
      const refused = check(asked, {
        highWatermark,
        logStartOffset,
        logEndOffset,
        leaderEpoch: partition.leaderEpoch,
        epochs: partition.epochs,
      })
      if (typeof refused === 'string') {
        const detail = `The log has offsets ${logStartOffset} to ${logEndOffset}.`
        return { ...bounds, error: wireError(refused, detail) }
      }
      if (refused !== null) {
        return { ...bounds, error: null, diverging: { epoch: refused.epoch, endOffset: refused.endOffset } }
      }
      const maxBytes = Math.min(leftBytes, asked.maxBytes)
      const wanted = this.#batchesFrom(partition, { ...asked, highWatermark, maxBytes })
      leftBytes -= wanted.length
      payload.push(wanted)
      return { ...bounds, error: null, batchesBytes: wanted.length }
    })
    return { body: { partitions, sessionId: null, about: [] }, payload }
  }

  /** Whole batches up to the bound, but one at least. */
  #batchesFrom(
    partition: FakePartition,
    asked: { readonly fetchOffset: number; readonly maxBytes: number; readonly highWatermark: number },
  ): Uint8Array {
    const batches: Uint8Array[] = []
    let bytes = 0
    for (const batch of partition.batches) {
      if (nextOffsetOf(batch, 0) <= asked.fetchOffset || nextOffsetOf(batch, 0) > asked.highWatermark)
        continue
      if (batches.length > 0 && bytes + batch.length > asked.maxBytes) break
      batches.push(batch)
      bytes += batch.length
    }
    return batches.length === 0 ? new Uint8Array(0) : concatBytes(batches)
  }
}

export function producedError(error: ErrorName, detail?: string) {
  return { error: wireError(error, detail), baseOffset: 0, leaderEpoch: 0, logStartOffset: 0 }
}
