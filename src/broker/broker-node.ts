// The broker role of a node: puts the flows together and routes requests to them.
import { Sleeper } from '../base/async/sleeper.ts'
import { ThresholdWaiters } from '../base/async/threshold-waiters.ts'
import type { Timer } from '../base/clock.ts'
import type { ClusterImage } from '../metadata/cluster-image.ts'
import type { DynamicSettings } from '../metadata/dynamic-settings.ts'
import { VltavaError } from '../model/errors.ts'
import { partitionKey, type TopicId } from '../model/ids.ts'
import type { Call, Router } from '../net/router.ts'
import type { ResponseOf } from '../protocol/api.ts'
import { clusterMetadata } from '../protocol/cluster-metadata.ts'
import { alterConfigs, describeConfigs } from '../protocol/configs.ts'
import { deleteRecords } from '../protocol/delete-records.ts'
import { describeReplicas } from '../protocol/describe-replicas.ts'
import { electLeaders } from '../protocol/elect-leaders.ts'
import { fetch } from '../protocol/fetch.ts'
import { listOffsets } from '../protocol/list-offsets.ts'
import { readMetadataLog } from '../protocol/metadata-log.ts'
import { produce } from '../protocol/produce.ts'
import { alterPartitionReassignments, listPartitionReassignments } from '../protocol/reassign.ts'
import { flushedNote, highWatermarkNote, replicaFetch } from '../protocol/replica-fetch.ts'
import { replicaRead } from '../protocol/replica-read.ts'
import { changeReplicaRole } from '../protocol/replica-role.ts'
import { createPartitions, createTopic, deleteTopic } from '../protocol/topics.ts'
import type { LogDirectory } from '../storage/log-directory.ts'
import { BrokerCounters } from './broker-counters.ts'
import type { BrokerEnvironment, BrokerIdentity, BrokerSettings, ConnectPeer } from './broker-environment.ts'
import { BrokerLifecycle } from './broker-lifecycle.ts'
import { BrokerRemovalFlow } from './broker-removal-flow.ts'
import { describeConfigsOf, type NodeSetting } from './configs-flow.ts'
import { type ControllerAddress, ControllerLink, controllersKnown } from './controller-link.ts'
import { DeleteRecordsFlow } from './delete-records-flow.ts'
import { DescribeReplicasFlow } from './describe-replicas-flow.ts'
import { FetchFlow } from './fetch-flow.ts'
import { followSettings } from './follow-settings.ts'
import { ForwardedChanges } from './forwarded-changes.ts'
import { IsrProposer } from './isr-proposer.ts'
import { LagCheck } from './lag-check.ts'
import { ListOffsetsFlow } from './list-offsets-flow.ts'
import { LogCare } from './log-care.ts'
import { describeCluster } from './metadata-flow.ts'
import { MetadataFollower } from './metadata-follower.ts'
import { MetadataHints } from './metadata-hints.ts'
import { MovingThrottle } from './moving-throttle.ts'
import { PartitionRegistry } from './partition-registry.ts'
import { ProduceFlow } from './produce-flow.ts'
import { QuorumAdminFlow } from './quorum-admin-flow.ts'
import { ReplicaFetchFlow } from './replica-fetch-flow.ts'
import { ReplicaFetchers } from './replica-fetchers.ts'
import { ReplicaReadFlow } from './replica-read-flow.ts'

export interface BrokerNodeOptions {
  readonly environment: BrokerEnvironment
  readonly settings: BrokerSettings
  /** What of the settings is changed while the node runs; this role lets it follow the metadata. */
  readonly dynamic: DynamicSettings
  /** All settings with what the node was started with, to be shown. */
  readonly nodeSettings: readonly NodeSetting[]
  readonly identity: BrokerIdentity
  readonly directory: LogDirectory
  /** The controllers this node was given. */
  readonly voters: readonly Omit<ControllerAddress, 'isVoter'>[]
  readonly connectPeer: ConnectPeer
  /**
   * Whether this role notes in the directory which cluster it has joined. Where the node is a controller as well, that role
   * alone does: a directory with a cluster id but without what it voted never votes again, and this role is faster.
   */
  readonly adoptsClusterId: boolean
}

export class BrokerNode {
  /** What it counted since its start. */
  readonly counters = new BrokerCounters()
  readonly #options: BrokerNodeOptions
  readonly #sleeper: Sleeper
  /** Of its own: hurrying a heartbeat must not hurry a proposal. */
  readonly #proposerSleeper: Sleeper
  readonly #link: ControllerLink
  readonly #lifecycle: BrokerLifecycle
  readonly #metadata: MetadataFollower
  readonly #registry: PartitionRegistry
  readonly #fetchers: ReplicaFetchers
  readonly #care: LogCare
  /** What replicas that are being moved copy: from this broker, and to it. */
  readonly #givingThrottle: MovingThrottle
  readonly #takingThrottle: MovingThrottle
  readonly #fetchFlow: FetchFlow
  readonly #replicaFlow: ReplicaFetchFlow
  readonly #hints = new MetadataHints()
  /** For metadata offsets that this broker has applied. */
  readonly #waiters: ThresholdWaiters
  readonly #changes: ForwardedChanges
  /** What a broker does with requests to take brokers away. */
  readonly brokerRemoval: BrokerRemovalFlow
  /** What a broker does with requests for the controller quorum. */
  readonly quorum: QuorumAdminFlow
  /** Whether the run before had flushed every log when it ended. */
  readonly #wasClean: boolean
  readonly #running: Promise<void>[] = []
  readonly #lagCheck: LagCheck
  #checkpointTimer: Timer | null = null
  #checkpointing: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: BrokerNodeOptions) {
    this.#options = options
    const { environment, settings, directory, connectPeer } = options
    const brokerEpoch = (): number | null => this.#lifecycle.brokerEpoch
    this.#wasClean =
      directory.lastBrokerEpoch !== null && directory.cleanShutdownBrokerEpoch === directory.lastBrokerEpoch
    this.#sleeper = new Sleeper(environment.clock)
    this.#proposerSleeper = new Sleeper(environment.clock)
    this.#waiters = new ThresholdWaiters(environment.clock)
    this.#link = new ControllerLink({
      environment,
      connectPeer,
      voters: () => controllersKnown(options.voters, this.#metadata.image),
    })
    this.#changes = new ForwardedChanges({
      clock: environment.clock,
      link: this.#link,
      whenApplied: (offset, timeoutMs) => this.#waiters.when(offset, timeoutMs),
    })
    this.brokerRemoval = new BrokerRemovalFlow(this.#changes)
    this.quorum = new QuorumAdminFlow(this.#link, this.#changes)
    const proposer = new IsrProposer({
      environment,
      link: this.#link,
      sleeper: this.#proposerSleeper,
      brokerEpoch,
      counters: this.counters,
    })
    const urlOf = (nodeId: number): string | null => this.#metadata.image.brokers.get(nodeId)?.url ?? null
    const moving = { clock: environment.clock, image: () => this.#registry.applied }
    this.#givingThrottle = new MovingThrottle({
      ...moving,
      bytesPerSecond: () => settings.leaderThrottledBytesPerSecond,
    })
    this.#takingThrottle = new MovingThrottle({
      ...moving,
      bytesPerSecond: () => settings.followerThrottledBytesPerSecond,
    })
    this.#fetchers = new ReplicaFetchers({
      nodeId: options.identity.nodeId,
      throttle: this.#takingThrottle,
      environment,
      settings,
      connectPeer,
      urlOf,
      brokerEpoch,
      counters: this.counters,
    })
    this.#lagCheck = new LagCheck(environment.clock, () => this.#registry.hosted)
    this.#registry = this.#makeRegistry(proposer)
    const reading = { environment, registry: this.#registry, counters: this.counters }
    this.#fetchFlow = new FetchFlow(reading)
    this.#replicaFlow = new ReplicaFetchFlow({ ...reading, throttle: this.#givingThrottle })
    this.#care = new LogCare({
      ...options,
      image: () => this.#registry.applied,
      hosted: () => this.#registry.hosted,
    })
    this.#metadata = new MetadataFollower({
      environment,
      link: this.#link,
      onImage: ({ after, deletedTopics }) => {
        for (const topicId of deletedTopics) this.#topicDeleted(topicId)
        this.#registry.apply(after)
      },
    })
    this.#lifecycle = this.#makeLifecycle()
  }

  /** The cluster as the hosted partitions know it. */
  get image(): ClusterImage {
    return this.#registry.applied
  }

  get brokerEpoch(): number | null {
    return this.#lifecycle.brokerEpoch
  }

  /**
   * The broker epoch for the clean-shutdown marker; null while not all logs were opened and the run before did not stop cleanly:
   * their state is not known.
   */
  get cleanBrokerEpoch(): number | null {
    if (!this.#registry.isOpened && !this.#wasClean) return null
    return this.#lifecycle.brokerEpoch ?? (this.#wasClean ? this.#options.directory.lastBrokerEpoch : null)
  }

  get registry(): PartitionRegistry {
    return this.#registry
  }

  get fetchers(): ReplicaFetchers {
    return this.#fetchers
  }

  /** The fetch sessions that it keeps for its readers. */
  get fetchSessions(): { readonly count: number; readonly partitions: number; readonly parked: number } {
    const all = [this.#fetchFlow.sessions, this.#replicaFlow.sessions]
    const sum = (of: 'count' | 'partitions' | 'parked'): number =>
      all.reduce((total, sessions) => total + sessions[of], 0)
    return { count: sum('count'), partitions: sum('partitions'), parked: sum('parked') }
  }

  /** Whether this broker serves: registered, caught up with metadata, unfenced, by the controller's last word. */
  get isReady(): boolean {
    return !this.#stopped && !this.#lifecycle.isFenced && this.#isUnfencedInImage()
  }

  get isStopped(): boolean {
    return this.#stopped
  }

  /** How far it has come on the way to `isReady`. */
  get readiness(): { readonly registered: boolean; readonly caughtUp: boolean; readonly unfenced: boolean } {
    return {
      registered: this.#lifecycle.brokerEpoch !== null,
      // Its own registration is replayed, and the logs of that image are open.
      caughtUp: this.#registry.isOpened,
      unfenced: !this.#lifecycle.isFenced && this.#isUnfencedInImage(),
    }
  }

  /** Starts registering and following; returns at once. `isReady` tells when it serves. */
  start(): void {
    const { environment, settings } = this.#options
    const died = (what: string) => (error: unknown) => environment.process.fail(`${what} stopped`, error)
    this.#running.push(this.#lifecycle.run().catch(died('the broker session')))
    this.#running.push(this.#care.run().catch(died('the care for damaged logs')))
    this.#running.push(this.#metadata.run().catch(died('following the metadata')))
    this.#lagCheck.start()
    const checkpoint = (): void => {
      this.#checkpointing = this.#checkpoint()
      this.#checkpointTimer = environment.clock.setTimer(settings.checkpointIntervalMs, checkpoint)
    }
    this.#checkpointTimer = environment.clock.setTimer(settings.checkpointIntervalMs, checkpoint)
  }

  /** Passes the request on to the active controller; what a client's create-topic does on a broker. */
  async createTopic({
    body,
  }: Call<typeof createTopic>): Promise<{ readonly body: ResponseOf<typeof createTopic> }> {
    return { body: await this.#changes.change(createTopic, body) }
  }

  async deleteTopic({
    body,
  }: Call<typeof deleteTopic>): Promise<{ readonly body: ResponseOf<typeof deleteTopic> }> {
    return { body: await this.#changes.change(deleteTopic, body) }
  }

  /** Passes the request on as well. */
  async electLeaders({
    body,
  }: Call<typeof electLeaders>): Promise<{ readonly body: ResponseOf<typeof electLeaders> }> {
    return { body: await this.#changes.change(electLeaders, body) }
  }

  async alterConfigs({
    body,
  }: Call<typeof alterConfigs>): Promise<{ readonly body: ResponseOf<typeof alterConfigs> }> {
    return { body: await this.#changes.change(alterConfigs, body) }
  }

  async readMetadataLog({
    body,
  }: Call<typeof readMetadataLog>): Promise<{ readonly body: ResponseOf<typeof readMetadataLog> }> {
    return { body: await this.#link.request(readMetadataLog, body, { timeoutMs: body.timeoutMs }) }
  }

  async changeReplicaRole({
    body,
  }: Call<typeof changeReplicaRole>): Promise<{ readonly body: ResponseOf<typeof changeReplicaRole> }> {
    return { body: await this.#changes.change(changeReplicaRole, body) }
  }

  async createPartitions({
    body,
  }: Call<typeof createPartitions>): Promise<{ readonly body: ResponseOf<typeof createPartitions> }> {
    return { body: await this.#changes.change(createPartitions, body) }
  }

  async alterPartitionReassignments({ body }: Call<typeof alterPartitionReassignments>): Promise<{
    readonly body: ResponseOf<typeof alterPartitionReassignments>
  }> {
    return { body: await this.#changes.change(alterPartitionReassignments, body) }
  }

  async listPartitionReassignments({ body }: Call<typeof listPartitionReassignments>): Promise<{
    readonly body: ResponseOf<typeof listPartitionReassignments>
  }> {
    return { body: await this.#link.request(listPartitionReassignments, body, { timeoutMs: body.timeoutMs }) }
  }

  /** Registers the handlers of this role, but for those that a combined node shares with its controller. */
  addHandlers(router: Router): void {
    const { environment } = this.#options
    const { counters } = this
    const registry = this.#registry
    const produceFlow = new ProduceFlow({ environment, registry, counters })
    const offsetsFlow = new ListOffsetsFlow({ registry })
    const replicasFlow = new DescribeReplicasFlow({ registry })
    const deletionFlow = new DeleteRecordsFlow({ environment, registry })
    router.handle(produce, async ({ body, payload }) => ({ body: await produceFlow.handle(body, payload) }))
    router.handle(fetch, ({ body, connection }) => this.#fetchFlow.handle(body, connection))
    router.handle(listOffsets, async ({ body }) => ({ body: await offsetsFlow.handle(body) }))
    router.handle(describeReplicas, async ({ body }) => ({ body: await replicasFlow.handle(body) }))
    router.handle(deleteRecords, async ({ body }) => ({ body: await deletionFlow.handle(body) }))
    router.handle(clusterMetadata, ({ connection, body }) => {
      this.#requireReplayed()
      if (connection.identity === null) this.#hints.subscribe(connection)
      return { body: describeCluster(this.image, body, this.#link.controllerId) }
    })
    router.handle(describeConfigs, ({ body }) => {
      this.#requireReplayed()
      const { identity, dynamic, nodeSettings } = this.#options
      const node = { nodeId: identity.nodeId, image: this.image, dynamic, settings: nodeSettings }
      return { body: describeConfigsOf(node, body) }
    })
    router.handle(replicaFetch, ({ connection, body }) =>
      this.#replicaFlow.handle(body, { replicaId: connection.identity!.nodeId, connection }),
    )
    const readFlow = new ReplicaReadFlow({ registry })
    router.handle(replicaRead, ({ body }) => readFlow.handle(body))
    router.handle(flushedNote, ({ connection, body }) => {
      this.#replicaFlow.flushed(body, connection.identity!.nodeId)
      return null
    })
    router.handle(highWatermarkNote, ({ connection, body }) => {
      for (const { topicId, partition, ...note } of body.partitions) {
        const role = this.#registry.find(partitionKey(topicId, partition))?.follower ?? null
        if (role !== null && role.options.leaderId === connection.identity!.nodeId)
          role.highWatermarkNoted(note)
      }
      return null
    })
  }

  /**
   * Stops: asks the controller to move the leaderships away first, waits for that no longer than
   * controlled.shutdown.timeout.ms, then closes all logs.
   */
  async stop(): Promise<void> {
    if (this.#stopped) return
    await this.#shutDownControlled()
    this.#stopped = true
    this.#lagCheck.stop()
    this.#checkpointTimer?.cancel()
    this.#metadata.stop()
    this.#sleeper.stop()
    this.#proposerSleeper.stop()
    this.#link.close()
    this.#waiters.close()
    this.#fetchers.stop()
    this.#givingThrottle.stop()
    const cared = this.#care.stop()
    await Promise.all(this.#running)
    await cared
    await this.#checkpointing
    // Before the logs close, so that the clean-shutdown marker does not stand beside older high watermarks.
    await this.#checkpoint()
    await this.#registry.close()
  }

  #makeRegistry(proposer: IsrProposer): PartitionRegistry {
    const { environment, settings, identity, directory } = this.#options
    return new PartitionRegistry({
      environment,
      directory,
      nodeId: identity.nodeId,
      brokerEpoch: () => this.#lifecycle.brokerEpoch,
      wiring: {
        settings,
        proposeIsr: (role, proposal) => proposer.propose(role, proposal),
        followLeader: (partition, role) => this.#fetchers.follow(partition, role),
        unfollowLeader: (partition) => this.#fetchers.unfollow(partition),
        reportFlush: (partition, flushedOffset) => this.#fetchers.reportFlush(partition, flushedOffset),
        logTouched: (partition) => this.#fetchers.touched(partition),
        unsettled: (partition) => this.#lagCheck.unsettled(partition),
      },
      onApplied: (before, after) => this.#applied(before, after),
      onDamaged: () => this.#damaged(),
    })
  }

  #makeLifecycle(): BrokerLifecycle {
    const { environment, settings, identity, directory } = this.#options
    return new BrokerLifecycle({
      environment,
      settings,
      identity,
      link: this.#link,
      sleeper: this.#sleeper,
      previousRun: {
        directoryId: directory.directoryId,
        brokerEpoch: directory.lastBrokerEpoch,
        cleanShutdown: this.#wasClean,
      },
      saveBrokerEpoch: (epoch) => directory.setBrokerEpoch(epoch),
      onRegistered: () => this.#registry.resume(),
      appliedOffset: () => this.#registry.appliedOffset,
      offlineLogs: () => this.#registry.offlineLogs,
      damagedLogs: () => this.#registry.damagedLogs,
      droppedTails: () => this.#registry.droppedTails,
    })
  }

  async #shutDownControlled(): Promise<void> {
    const { environment, settings } = this.#options
    if (this.#lifecycle.brokerEpoch === null || this.#lifecycle.isFenced) return
    this.#lifecycle.requestShutdown()
    const deadlineMs = environment.clock.monotonicMs() + settings.controlledShutdownTimeoutMs
    while (!this.#lifecycle.mayShutDown && environment.clock.monotonicMs() < deadlineMs) {
      await this.#link.pause(20)
      this.#lifecycle.hurry()
    }
    environment.log.info('controlled-shutdown', { moved: this.#lifecycle.mayShutDown })
  }

  #topicDeleted(topicId: TopicId): void {
    this.#registry.topicDeleted(topicId)
    this.counters.forget(topicId)
  }

  /** The controller hears of it at once, and whoever has the records is asked for them. */
  #damaged(): void {
    this.#lifecycle.hurry()
    this.#care.wake()
  }

  #applied(before: ClusterImage, after: ClusterImage): void {
    this.#adoptCluster(after)
    this.#followSettings(after)
    this.#hints.publish(this.#options.identity.nodeId, { before, after })
    this.#waiters.reached(after.metadataOffset)
    if (this.#registry.damagedLogs.length > 0) this.#care.wake()
    this.#care.partitionsChanged()
    if (!this.isReady) this.#lifecycle.hurry()
  }

  #followSettings(image: ClusterImage): void {
    const { dynamic, environment } = this.#options
    const hasChanged = followSettings(dynamic, { image, log: environment.log })
    if (hasChanged) this.#care.settingsChanged()
    // Who has joined an in-sync set meanwhile is not held up any more.
    if (hasChanged || this.#givingThrottle.isOn) this.#givingThrottle.wake()
    if (hasChanged || this.#takingThrottle.isOn) this.#fetchers.wake()
  }

  /** A node that is broker only learns from its first image which cluster it has joined. */
  #adoptCluster({ clusterId }: ClusterImage): void {
    const { directory, environment, adoptsClusterId } = this.#options
    if (!adoptsClusterId || clusterId === null || clusterId === directory.clusterId) return
    directory.adoptClusterId(clusterId).catch((error: unknown) => {
      environment.process.fail('the data directory belongs to another cluster', error)
    })
  }

  #isUnfencedInImage(): boolean {
    const broker = this.image.brokers.get(this.#options.identity.nodeId)
    return broker !== undefined && broker.brokerEpoch === this.#lifecycle.brokerEpoch && !broker.fenced
  }

  /** Until its own registration is replayed, the image may be older than what clients know (REP-27). */
  #requireReplayed(): void {
    if (this.#registry.isOpened) return
    throw new VltavaError('BROKER_FENCED', `Broker ${this.#options.identity.nodeId} is starting.`)
  }

  async #checkpoint(): Promise<void> {
    const { directory, environment } = this.#options
    const highWatermarks = new Map(
      [...this.#registry.hosted].map(({ key, highWatermark }) => [key, highWatermark]),
    )
    try {
      await directory.checkpoint(highWatermarks)
    } catch (error) {
      environment.log.error('checkpoint-failed', { error })
    }
  }
}
