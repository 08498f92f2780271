// One member of the quorum at work, with a vote or without: the consensus, its log, its links and the controller on top, put
// together once the cluster and what this directory stored are known.
import type { ClusterImage } from '../metadata/cluster-image.ts'
import type { DirectoryId, IncarnationId, NodeId } from '../model/ids.ts'
import { RAFT_DEFAULTS, type RaftConfig } from '../raft/config.ts'
import { APPEND_ABSOLUTE_MAX_BYTES, ENTRY_ABSOLUTE_MAX_BYTES } from '../raft/messages.ts'
import { RaftNode } from '../raft/raft-node.ts'
import type { Snapshot } from '../raft/types.ts'
import type { VoterSet } from '../raft/voter-history.ts'
import { BrokerRemovalFlows } from './broker-removal-flows.ts'
import { Controller } from './controller.ts'
import type { ConnectPeer, ControllerEnvironment, ControllerSettings } from './controller-environment.ts'
import { ControllerFlows } from './controller-flows.ts'
import { type Formation, voterIdsOf } from './formation-file.ts'
import { QuorumFlows } from './quorum-flows.ts'
import { RaftDriver, type RaftStore } from './raft-driver.ts'
import type { StoredLog } from './raft-log-store.ts'
import { RaftPeers } from './raft-peers.ts'
import type { LoadedSnapshot, SnapshotFiles } from './snapshot-files.ts'
import { voterKeysOf } from './voter-keys.ts'

/** A disk that has not finished a write for so many election timeouts is not fit to lead. */
const DISK_STALL_ELECTIONS = 5

/** Bytes an entry has, more or less: a record or two with their causes, and now and then a big one. */
const TRAILING_ENTRY_BYTES = 1_024

export interface VoterOptions {
  readonly environment: ControllerEnvironment
  readonly settings: ControllerSettings
  readonly nodeId: NodeId
  readonly incarnationId: IncarnationId
  readonly directoryId: DirectoryId
  /** Where other nodes reach this one; null when they were all given its address. */
  readonly url: string | null
  /** The controllers this node was given, itself included. */
  readonly listed: readonly NodeId[]
  readonly formation: Formation
  readonly connectPeer: ConnectPeer
  readonly store: RaftStore
  readonly stored: StoredLog
  readonly snapshotFiles: SnapshotFiles
}

export class Voter {
  readonly controller: Controller
  readonly flows: ControllerFlows
  readonly brokerRemoval: BrokerRemovalFlows
  readonly quorum: QuorumFlows
  readonly driver: RaftDriver
  readonly #peers: RaftPeers

  readonly #options: VoterOptions
  /** The voters to whom links are kept. */
  #followed: VoterSet | null = null

  constructor(options: VoterOptions) {
    this.#options = options
    const { environment, settings, nodeId, directoryId, url, store } = options
    const { clock, random, log } = environment
    const config = raftConfigOf(settings)
    this.#peers = this.#makePeers()
    this.controller = this.#makeController(config.entryMaxBytes)
    this.driver = new RaftDriver({
      ...environment,
      node: raftNodeOf(options, config),
      store,
      diskStallMs: settings.electionTimeoutMs * DISK_STALL_ELECTIONS,
      send: (message) => this.#peers.send(message),
      onRestored: (snapshot) => this.controller.restored(snapshot),
      onCommitted: (entries) => this.controller.committed(entries),
      onProgress: () => this.#progressed(),
    })
    const parts = { nodeId, controller: this.controller, driver: this.driver, peers: this.#peers, log }
    this.flows = new ControllerFlows({ ...parts, random, isStaticSetting: settings.isStaticSetting })
    this.brokerRemoval = new BrokerRemovalFlows(parts)
    this.quorum = new QuorumFlows({ ...parts, directoryId, url, clock })
  }

  start(): void {
    this.#peers.start()
    this.driver.start()
  }

  /** Gives up leadership, and resolves when nothing is written any more. */
  async stop(): Promise<void> {
    this.quorum.stop()
    const stopped = this.driver.stop()
    const written = this.controller.stop()
    this.#peers.stop()
    await stopped
    await written
  }

  #makePeers(): RaftPeers {
    const { environment, directoryId, url, formation, connectPeer } = this.#options
    const { clock, random, log } = environment
    return new RaftPeers({
      peers: this.#partners(voterIdsOf(formation)),
      directoryId,
      url,
      urlOf: (id) => urlIn(this.controller.image, id),
      connectPeer,
      clock,
      random,
      log,
      onLinkOpened: (peer) => this.driver.linkOpened(peer),
      onLinkClosed: (peer) => this.driver.linkClosed(peer),
    })
  }

  #makeController(entryMaxBytes: number): Controller {
    const {
      environment,
      settings,
      nodeId,
      incarnationId: own,
      formation,
      stored,
      snapshotFiles,
    } = this.#options
    return new Controller(
      {
        environment,
        settings,
        nodeId,
        formation,
        entryMaxBytes,
        // There is no link to this node itself, but it knows which run of its broker is its own.
        isLinkDown: ({ brokerId, incarnationId }) =>
          brokerId === nodeId ? incarnationId !== own : this.#peers.isDown(brokerId, incarnationId),
        loaded: stored.loaded,
        snapshotFiles,
      },
      () => this.driver,
    )
  }

  #progressed(): void {
    this.controller.progressed()
    const { voterSet } = this.driver
    if (this.#followed === voterSet) return
    this.#followed = voterSet
    this.#peers.follow(this.#partners(voterSet.ids))
  }

  /** Whom to keep a link to: those who vote, and those who may know who does. */
  #partners(voters: readonly NodeId[]): readonly NodeId[] {
    const { nodeId, listed } = this.#options
    return [...new Set([...voters, ...listed])].filter((id) => id !== nodeId)
  }
}

function raftNodeOf(options: VoterOptions, config: RaftConfig): RaftNode {
  const { environment, nodeId, directoryId, listed, formation, stored } = options
  const { hardState, loaded, entries } = stored
  return new RaftNode({
    id: nodeId,
    directoryId,
    contacts: listed,
    voters: formation.voters.map((voter) => ({ id: voter.nodeId, directoryId: voter.directoryId })),
    hardState,
    snapshot: loaded === null ? null : withVoters(loaded),
    entries,
    config,
    random: environment.random,
    nowMs: environment.clock.monotonicMs(),
  })
}

/** The consensus has to know who votes after a snapshot, but only the image in it says that. */
function withVoters({ snapshot, image }: LoadedSnapshot): Snapshot {
  const voters = voterKeysOf(image)
  return voters === undefined ? snapshot : { ...snapshot, voters }
}

/** Where the metadata say that a controller is reached: as a voter, else as a broker. */
function urlIn(image: ClusterImage, nodeId: NodeId): string | null {
  const voter = image.voters.find((candidate) => candidate.nodeId === nodeId)
  return voter?.url ?? image.brokers.get(nodeId)?.url ?? null
}

function raftConfigOf(settings: ControllerSettings): RaftConfig {
  const { electionTimeoutMs, quorumHeartbeatIntervalMs } = settings
  return {
    ...RAFT_DEFAULTS,
    electionTimeoutMs,
    heartbeatIntervalMs: quorumHeartbeatIntervalMs,
    // The largest batches, those that fence a broker with many replicas, must fit.
    entryMaxBytes: ENTRY_ABSOLUTE_MAX_BYTES,
    appendMaxBytes: APPEND_ABSOLUTE_MAX_BYTES,
    // Not much more than what is between two snapshots, or small settings would have no effect.
    trailingEntries: Math.min(
      RAFT_DEFAULTS.trailingEntries,
      Math.floor(settings.bytesBetweenSnapshots / TRAILING_ENTRY_BYTES),
    ),
  }
}
