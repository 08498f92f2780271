// The controller role of one node: reads what the directory holds, forms or finds the cluster, and takes part in the quorum
// from then on, with a vote or without. A directory that may have lost its votes only tells others which cluster there is.
import { assert } from '../base/assert.ts'
import { deferred } from '../base/async/deferred.ts'
import { type ClusterImage, EMPTY_IMAGE } from '../metadata/cluster-image.ts'
import { VltavaError } from '../model/errors.ts'
import type { ClusterId, IncarnationId, NodeId } from '../model/ids.ts'
import type { Call, Router } from '../net/router.ts'
import { alterPartition } from '../protocol/alter-partition.ts'
import type { ResponseOf } from '../protocol/api.ts'
import {
  brokerHeartbeat,
  fetchMetadata,
  fetchSnapshot,
  registerBroker,
} from '../protocol/broker-lifecycle.ts'
import type { alterConfigs } from '../protocol/configs.ts'
import type { electLeaders } from '../protocol/elect-leaders.ts'
import type { readMetadataLog } from '../protocol/metadata-log.ts'
import { findController, quorumProbe, raftMessage } from '../protocol/quorum.ts'
import type { alterPartitionReassignments, listPartitionReassignments } from '../protocol/reassign.ts'
import type { changeReplicaRole } from '../protocol/replica-role.ts'
import type { createPartitions, createTopic, deleteTopic } from '../protocol/topics.ts'
import { makeDurableDirectory } from '../storage/file-io.ts'
import { joinPath } from '../storage/file-system.ts'
import type { BrokerRemovalFlows } from './broker-removal-flows.ts'
import type {
  ConnectPeer,
  ControllerDirectory,
  ControllerEnvironment,
  ControllerSettings,
} from './controller-environment.ts'
import type { ControllerFlows } from './controller-flows.ts'
import { ClusterFormation } from './formation.ts'
import type { Formation, Membership } from './formation-file.ts'
import { HardStateFile } from './hard-state-file.ts'
import type { QuorumFlows } from './quorum-flows.ts'
import { RaftLogStore, type StoredLog, segmentBytesFor } from './raft-log-store.ts'
import { SnapshotFiles } from './snapshot-files.ts'
import { Voter } from './voter.ts'

export interface ControllerNodeOptions extends ControllerEnvironment {
  readonly nodeId: NodeId
  /** Of this run of the process. */
  readonly incarnationId: IncarnationId
  /** The controllers of the cluster, this one included; alone it is a cluster of its own. */
  readonly voters: readonly { readonly nodeId: NodeId }[]
  /** Where other nodes reach this one; null when they were all given its address. */
  readonly url: string | null
  readonly directory: ControllerDirectory
  readonly connectPeer: ConnectPeer
  readonly settings: ControllerSettings
}

export class ControllerNode {
  readonly #options: ControllerNodeOptions
  readonly #formation: ClusterFormation
  readonly #hardState: HardStateFile
  readonly #formed = deferred<ClusterId>()
  readonly #imageListeners = new Set<(image: ClusterImage) => void>()
  #voter: Voter | null = null
  #forming: Promise<void> = Promise.resolve()
  #isLoaded = false
  #stopped = false

  constructor(options: ControllerNodeOptions) {
    const { nodeId, directory } = options
    const voters = options.voters.map((voter) => voter.nodeId)
    assert(voters.includes(nodeId), `controller ${nodeId} is not among the voters ${voters.join(', ')}`)
    this.#options = options
    const metadataPath = metadataPathOf(directory)
    this.#hardState = new HardStateFile(options, metadataPath)
    this.#formation = new ClusterFormation({
      environment: options,
      nodeId,
      voters,
      directory,
      metadataPath,
      connectPeer: options.connectPeer,
      prepareToVote: () => this.#hardState.prepare(),
    })
  }

  /** Resolves with the id of the cluster once it was formed or found; stays pending until then. */
  get formed(): Promise<ClusterId> {
    return this.#formed.promise
  }

  /** The node that leads the quorum, as far as this one knows; null while it knows none. */
  get controllerId(): NodeId | null {
    return this.#voter?.driver.leader ?? null
  }

  /** Whether this node is the active controller. */
  get isActive(): boolean {
    return this.#voter !== null && this.#voter.controller.activeTerm !== null
  }

  /** Whether this directory votes, as far as this node knows; null while it knows no cluster. */
  get isVoter(): boolean | null {
    const { membership } = this.#formation
    if (membership === null) return null
    return membership.takesPart ? (this.#voter?.driver.isVoter ?? null) : false
  }

  /** The member of the quorum at work, with a vote or without; null while this node takes no part. For onlookers. */
  get voter(): Voter | null {
    return this.#voter
  }

  /** What is committed, as far as this node knows. */
  get image(): ClusterImage {
    return this.#voter?.controller.image ?? EMPTY_IMAGE
  }

  /** Calls back with each committed image from now on. Returns how to take that back. */
  onImage(listener: (image: ClusterImage) => void): () => void {
    this.#imageListeners.add(listener)
    return () => this.#imageListeners.delete(listener)
  }

  /**
   * Reads what the directory holds and starts; forming the cluster may go on long after it resolves (see `formed`).
   * @throws VltavaError STORAGE_ERROR when what is stored cannot be read, INCONSISTENT_CLUSTER_ID when it is of two
   *   clusters.
   */
  async start(): Promise<void> {
    const { fileSystem, directory, process } = this.#options
    await makeDurableDirectory(fileSystem, metadataPathOf(directory))
    const membership = await this.#formation.load()
    this.#isLoaded = true
    if (membership !== null) {
      await this.#enter(membership)
      return
    }
    this.#forming = this.#form().catch((error: unknown) => {
      process.fail('the controller could not enter its cluster', error)
    })
  }

  /** Gives up leadership, and resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#formation.stop()
    await this.#forming
    await this.#voter?.stop()
  }

  /** Registers everything a controller serves, but for the requests for topics, which brokers serve as well. */
  addHandlers(router: Router): void {
    router.handle(registerBroker, (call) => this.#flows().registerBroker(call))
    router.handle(brokerHeartbeat, (call) => this.#flows().brokerHeartbeat(call))
    router.handle(alterPartition, (call) => this.#flows().alterPartition(call))
    router.handle(fetchMetadata, (call) => this.#flows().fetchMetadata(call))
    router.handle(fetchSnapshot, (call) => this.#flows().fetchSnapshot(call))
    router.handle(raftMessage, (call) => this.#voter?.flows.raftMessage(call) ?? null)
    router.handle(findController, () => ({
      body: { controllerId: this.controllerId, term: this.#voter?.driver.term ?? 0 },
    }))
    router.handle(quorumProbe, () => ({ body: this.#answerProbe() }))
  }

  /** @throws VltavaError what decideCreateTopic throws, NOT_CONTROLLER, REQUEST_TIMED_OUT, SERVER_BUSY */
  async createTopic(
    call: Call<typeof createTopic>,
  ): Promise<{ readonly body: ResponseOf<typeof createTopic> }> {
    return await this.#flows().createTopic(call)
  }

  /** @throws VltavaError what decideDeleteTopic throws, NOT_CONTROLLER, REQUEST_TIMED_OUT, SERVER_BUSY */
  async deleteTopic(
    call: Call<typeof deleteTopic>,
  ): Promise<{ readonly body: ResponseOf<typeof deleteTopic> }> {
    return await this.#flows().deleteTopic(call)
  }

  /** @throws VltavaError what decideElectLeaders throws, NOT_CONTROLLER, REQUEST_TIMED_OUT, SERVER_BUSY */
  async electLeaders(
    call: Call<typeof electLeaders>,
  ): Promise<{ readonly body: ResponseOf<typeof electLeaders> }> {
    return await this.#flows().electLeaders(call)
  }

  /** @throws VltavaError what decideAlterTopicConfigs throws, NOT_CONTROLLER, REQUEST_TIMED_OUT, SERVER_BUSY */
  async alterConfigs(
    call: Call<typeof alterConfigs>,
  ): Promise<{ readonly body: ResponseOf<typeof alterConfigs> }> {
    return await this.#flows().alterConfigs(call)
  }

  /** @throws VltavaError NOT_CONTROLLER */
  async readMetadataLog(
    call: Call<typeof readMetadataLog>,
  ): Promise<{ readonly body: ResponseOf<typeof readMetadataLog> }> {
    return this.#flows().readMetadataLog(call)
  }

  /** @throws VltavaError what decideReplicaRole throws, NOT_CONTROLLER, REQUEST_TIMED_OUT, SERVER_BUSY */
  async changeReplicaRole(
    call: Call<typeof changeReplicaRole>,
  ): Promise<{ readonly body: ResponseOf<typeof changeReplicaRole> }> {
    return await this.#flows().changeReplicaRole(call)
  }

  /** @throws VltavaError NOT_CONTROLLER, REQUEST_TIMED_OUT, SERVER_BUSY */
  async alterPartitionReassignments(
    call: Call<typeof alterPartitionReassignments>,
  ): Promise<{ readonly body: ResponseOf<typeof alterPartitionReassignments> }> {
    return await this.#flows().alterPartitionReassignments(call)
  }

  /** @throws VltavaError NOT_CONTROLLER, REQUEST_TIMED_OUT */
  async listPartitionReassignments(
    call: Call<typeof listPartitionReassignments>,
  ): Promise<{ readonly body: ResponseOf<typeof listPartitionReassignments> }> {
    return await this.#flows().listPartitionReassignments(call)
  }

  /** @throws VltavaError what decideCreatePartitions throws, NOT_CONTROLLER, REQUEST_TIMED_OUT, SERVER_BUSY */
  async createPartitions(
    call: Call<typeof createPartitions>,
  ): Promise<{ readonly body: ResponseOf<typeof createPartitions> }> {
    return await this.#flows().createPartitions(call)
  }

  /** @throws VltavaError NOT_CONTROLLER while this node takes no part in the quorum */
  get brokerRemoval(): BrokerRemovalFlows {
    return this.#member().brokerRemoval
  }

  /** @throws VltavaError NOT_CONTROLLER while this node takes no part in the quorum */
  get quorum(): QuorumFlows {
    return this.#member().quorum
  }

  #flows(): ControllerFlows {
    return this.#member().flows
  }

  #member(): Voter {
    if (this.#voter !== null && !this.#stopped) return this.#voter
    const why = this.#stopped
      ? 'is stopping'
      : this.isVoter === false
        ? 'takes no part in the quorum'
        : 'does not belong to a cluster yet'
    throw new VltavaError('NOT_CONTROLLER', `Node ${this.#options.nodeId} ${why}.`)
  }

  #answerProbe(): ResponseOf<typeof quorumProbe> {
    // Before its directory is read it would look empty.
    if (!this.#isLoaded) throw new VltavaError('SERVER_BUSY', `Node ${this.#options.nodeId} is starting.`)
    return this.#formation.answer()
  }

  async #form(): Promise<void> {
    const membership = await this.#formation.run()
    if (membership !== null) await this.#enter(membership)
  }

  async #enter({ formation, takesPart }: Membership): Promise<void> {
    if (takesPart) {
      const { directory, settings } = this.#options
      const snapshotFiles = new SnapshotFiles({ ...this.#options, path: metadataPathOf(directory) })
      const store = new RaftLogStore({
        environment: this.#options,
        directory,
        hardState: this.#hardState,
        snapshots: snapshotFiles,
        segmentBytes: segmentBytesFor(settings.bytesBetweenSnapshots),
      })
      const stored = await store.open()
      if (this.#stopped) return
      this.#voter = this.#newVoter({ formation, store, stored, snapshotFiles })
      this.#voter.start()
    }
    this.#formed.resolve(formation.clusterId)
  }

  #newVoter(parts: {
    readonly formation: Formation
    readonly store: RaftLogStore
    readonly stored: StoredLog
    readonly snapshotFiles: SnapshotFiles
  }): Voter {
    const { nodeId, incarnationId, settings, connectPeer, url, directory, voters } = this.#options
    const voter = new Voter({
      environment: this.#options,
      nodeId,
      incarnationId,
      directoryId: directory.directoryId,
      url,
      listed: voters.map((listed) => listed.nodeId),
      settings,
      connectPeer,
      ...parts,
    })
    voter.controller.onImage((image) => {
      for (const listener of [...this.#imageListeners]) listener(image)
    })
    return voter
  }
}

function metadataPathOf(directory: ControllerDirectory): string {
  return joinPath(directory.path, 'metadata')
}
